"""Read still images of any common kind, and write PNG and JPEG."""

from __future__ import annotations

import ctypes
import logging
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from fomm_cli.errors import FommError, InputError, foreign_errors
from fomm_cli.files.inputs import check_file
from fomm_cli.media.alpha import composite_over_white
from fomm_cli.media.formats import IMAGES_WRITTEN
from fomm_cli.media.validate import CONTAINER_OPTIONS, check_content, check_decoded_size, too_large

_JPEG_QUALITY = 95
_EXIF_DESCRIPTION = 0x010E
_EXIF_ORIENTATION = 0x0112
_TIFF_BITS = 0x0102
_TIFF_STARTS = (b"II*\0", b"MM\0*")
_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM", "TGA", "ICO", "JPEG2000", "AVIF")
_PLUGINS = ("Png", "Jpeg", "Mpo", "WebP", "Bmp", "Tiff", "Gif", "Ppm", "Tga", "Ico", "Jpeg2K", "Avif")
_ANIMATED_FORMATS = ("GIF", "WEBP", "PNG")
_BYTES_OF_MODE = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}  # a pixel in Pillow's memory; else 4
_BYTES_OF_DECODER = {"WEBP": 12, "AVIF": 8, "JPEG2000": 12, "ICO": 8, "TIFF": 4, "GIF": 4, "PNG": 2}
"""What decoding takes a pixel beside the image, as measured."""
_RESULT_BYTES = 3
_ALPHA_BYTES = 1  # besides, where the alpha channel is kept
_TILE_PIXELS = 1 << 20  # of the pieces in which images are converted
_warnings_lock = threading.Lock()


def read_image(path: Path) -> np.ndarray:
    """Read an image file.

    Returns:
        uint8 (H, W, 3) RGB, turned upright by its EXIF tag, transparency over white.

    Raises:
        InputError: the file is missing, empty, damaged, too large or no image.
    """
    image = read_image_or_none(path)
    if image is None:
        check_content(path, "image")
        raise not_an_image(path)
    return image


def read_image_or_none(path: Path) -> np.ndarray | None:
    """Read an image file as `read_image` does; None if the file is not an image at all.

    Raises:
        InputError: the file is missing or empty, or an image that is damaged or too large.
    """
    found = read_source_or_none(path, keep_alpha=False)
    return None if found is None else found.pixels


def read_colours(path: Path) -> np.ndarray:
    """Read an image as `read_image` does, but show transparent parts in the colours they have."""
    image = read_source_or_none(path, keep_alpha=True)
    if image is None:
        check_content(path, "image")
        raise not_an_image(path)
    return np.ascontiguousarray(image.pixels[..., :3])


@dataclass(frozen=True)
class SourceImage:
    """An image with or without its transparency.

    Attributes:
        pixels: uint8 (H, W, 3), or (H, W, 4) where it is partly transparent and the alpha channel was kept.
        transparent: whether it is partly transparent as stored.
    """

    pixels: np.ndarray
    transparent: bool


def read_source_or_none(path: Path, *, keep_alpha: bool) -> SourceImage | None:
    """Read an image file as `read_image_or_none` does, with its alpha channel if that is kept and not all opaque."""
    check_file(path, "image")
    with _pillow():
        with _damaged_otherwise(path):
            image = _open_or_none(path)
        if image is not None:
            with image:
                return _decode(path, image, keep_alpha)
        return _read_tiff(path, keep_alpha) if _starts_as_tiff(path) else None


def not_an_image(path: Path) -> InputError:
    """Build the error for a file that cannot be read as an image."""
    return InputError(f"{path} is damaged or not an image", "Give a PNG, JPEG, WebP, BMP, TIFF or GIF file.")


def is_still_image(path: Path) -> bool:
    """Return whether the file is an image with exactly one frame; False for videos and animated GIFs."""
    try:
        with _pillow(), _open(path) as image:
            return image.format not in _ANIMATED_FORMATS or not getattr(image, "is_animated", False)
    except InputError:
        return True  # too large, which read_image reports
    except Exception:  # noqa: BLE001 - damaged files make Pillow raise anything
        return False


def write_image(path: Path, frame: np.ndarray, metadata: dict[str, str]) -> None:
    """Write an image and what it is about.

    Args:
        path: ends in .png, .jpg or .jpeg.
        frame: uint8 (H, W, 3) RGB; RGBA for .png.
        metadata: texts to store, such as ``title`` and ``comment``; JPEG keeps these two.

    Raises:
        InputError: another suffix.
        FommError: the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in IMAGES_WRITTEN:
        raise InputError(f"{path} is no image name", f"End it in one of {' '.join(IMAGES_WRITTEN)}")
    image = Image.fromarray(frame)
    try:
        if suffix == ".png":
            image.save(path, format="PNG", pnginfo=_png_info(metadata))
        else:
            exif = Image.Exif()
            if title := metadata.get("title"):
                exif[_EXIF_DESCRIPTION] = title.encode()  # as text, Pillow would keep ASCII only
            comment = metadata.get("comment", "").encode()
            image.save(path, format="JPEG", quality=_JPEG_QUALITY, subsampling=0, exif=exif, comment=comment)
    except OSError as error:
        raise FommError(
            f"{path} cannot be written: {error.strerror or error}", "Check space and permissions."
        ) from error


def _png_info(metadata: dict[str, str]) -> PngInfo:
    info = PngInfo()
    for key, text in metadata.items():
        info.add_text(key.capitalize(), text)  # PNG registers Title, Comment, Author
    return info


@contextmanager
def _pillow() -> Iterator[None]:
    """Keep Pillow's warnings inside.

    The warning filters belong to the whole process, so one thread at a time.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def _silence_libtiff() -> None:
    """Keep the C library in Pillow's wheel from writing to stderr what Pillow raises anyway."""
    for library in (Path(Image.__file__).parents[1] / "pillow.libs").glob("libtiff*"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(str(library)).TIFFSetErrorHandler(None)


@cache
def _register_formats() -> None:
    """Load Pillow's plugins for our formats; `Image.init` would load all of them, which takes longer than an image."""
    for plugin in _PLUGINS:
        with suppress(ImportError):
            import_module(f"PIL.{plugin}ImagePlugin")


def _open(path: Path) -> Image.Image:
    _register_formats()
    _silence_libtiff()
    try:
        return Image.open(path, formats=[name for name in _FORMATS if name in Image.OPEN])
    except Image.DecompressionBombError as error:
        pixels, most = re.search(r"\d+", str(error)), 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise too_large(path, int(pixels[0]) if pixels else most, most) from error


def _open_or_none(path: Path) -> Image.Image | None:
    try:
        return _open(path)
    except UnidentifiedImageError:
        return None


def _decode(path: Path, image: Image.Image, keep_alpha: bool) -> SourceImage:
    check_decoded_size(path, *image.size, bytes_per_pixel(image, keep_alpha))
    with _damaged_otherwise(path):
        if image.format == "TIFF" and _is_deep_colour(image):
            return _read_tiff(path, keep_alpha)
        image.load()  # some formats turn themselves upright now, and forget the tag
        return _converted(image, keep_alpha)


def bytes_per_pixel(image: Image.Image, keep_alpha: bool) -> int:
    """Return what decoding an opened image and converting it to RGB or RGBA take a pixel at a time."""
    decoder = _BYTES_OF_DECODER.get(image.format or "", 0)
    if image.info.get("progressive"):  # JPEG keeps all coefficients, 16 bits each, until the last scan is read
        decoder = 2 * len(image.getbands())
    alpha = _ALPHA_BYTES if keep_alpha and image.has_transparency_data else 0
    return _BYTES_OF_MODE.get(image.mode, 4) + decoder + _RESULT_BYTES + alpha


def _is_deep_colour(image: Image.Image) -> bool:
    """Return whether a TIFF holds colours of more than 8 bits, which Pillow cuts and, plane by plane, misreads."""
    bits = image.getexif().get(_TIFF_BITS, 8)
    return isinstance(bits, tuple) and len(bits) > 1 and max(bits) > 8


def _damaged_otherwise(path: Path) -> AbstractContextManager[None]:
    return foreign_errors(f"{path} is damaged or incomplete", "Download or copy the image again.")


Tile = tuple[slice, slice]
"""Rows and columns of a piece of an image."""


def _tiles(height: int, width: int) -> Iterator[Tile]:
    """Yield pieces that cover an image, so that converting it takes little memory besides."""
    columns = min(width, _TILE_PIXELS)
    rows = _TILE_PIXELS // columns
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield slice(top, min(height, top + rows)), slice(left, min(width, left + columns))


def _converted(image: Image.Image, keep_alpha: bool) -> SourceImage:
    """Convert a loaded image of any Pillow mode to uint8 (H, W, 3 or 4), upright."""
    width, height = image.size
    turn = image.getexif().get(_EXIF_ORIENTATION, 1)
    is_deep = image.mode.startswith("I") or image.mode == "F"
    channels = 4 if keep_alpha and image.has_transparency_data and not is_deep else 3
    shape = (width, height) if turn in (5, 6, 7, 8) else (height, width)
    result = np.empty((*shape, channels), np.uint8)
    as_stored = _as_stored(result, turn)

    def piece(tile: Tile) -> Image.Image:
        rows, columns = tile
        return image.crop((columns.start, rows.start, columns.stop, rows.stop))

    if is_deep:
        return _kept(result, _fill_from_deep(as_stored, lambda tile: np.asarray(piece(tile))))
    transparent = False
    for tile in _tiles(height, width):
        if image.has_transparency_data:
            transparent |= _fill_from_rgba(as_stored[tile], np.asarray(piece(tile).convert("RGBA")))
        else:
            as_stored[tile] = np.asarray(piece(tile).convert("RGB"))
    return _kept(result, transparent)


def _fill_from_rgba(result: np.ndarray, rgba: np.ndarray) -> bool:
    """Fill (h, w, 4) with RGBA as it is, or (h, w, 3) over white; returns whether any is transparent."""
    result[:] = rgba if result.shape[2] == 4 else composite_over_white(rgba)
    return bool(rgba[..., 3].min(initial=255) < 255)


def _kept(pixels: np.ndarray, transparent: bool) -> SourceImage:
    """Return an image without the alpha channel that says nothing."""
    if pixels.shape[2] == 4 and not transparent:
        pixels = np.ascontiguousarray(pixels[..., :3])
    return SourceImage(pixels, transparent)


def _as_stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """Return a view of an upright image in which its pixels lie as the file of this EXIF orientation stores them."""
    if orientation in (5, 6, 7, 8):
        upright = upright.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 6, 7) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 7, 8) else 1)
    return upright[rows, columns]


def _read_tiff(path: Path, keep_alpha: bool) -> SourceImage:
    """Read the TIFF layouts that Pillow does not know or misreads, such as float or 16-bit colour."""
    import tifffile

    logging.getLogger("tifffile").disabled = True  # it logs what is wrong with a file, beside raising it
    with foreign_errors(f"{path} is damaged or an unusual kind of TIFF", "Save it as PNG."):
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            height, width = int(page.imagelength), int(page.imagewidth)  # type: ignore[union-attr]
            # once as an array, and once more where it is compressed
            needed = _RESULT_BYTES + 2 * -(-page.nbytes // (height * width))
            check_decoded_size(path, width, height, needed + (_ALPHA_BYTES if keep_alpha else 0))
            try:
                pixels = page.asarray()
            except ValueError:  # a compression that tifffile alone does not know, such as LZW
                pixels = _decode_by_ffmpeg(path)
        if pixels.ndim == 3 and pixels.shape[0] in (3, 4) and pixels.shape[2] not in (3, 4):
            pixels = np.moveaxis(pixels, 0, -1)  # planar: (C, H, W) -> (H, W, C)
        if pixels.ndim not in (2, 3) or pixels.shape[:2] != (height, width):
            raise ValueError(f"an array of the shape {pixels.shape}")
        channels = 4 if keep_alpha and pixels.ndim == 3 and pixels.shape[2] == 4 else 3
        result = np.empty((height, width, channels), np.uint8)
        return _kept(result, _fill_from_deep(result, lambda tile: pixels[tile]))


def _decode_by_ffmpeg(path: Path) -> np.ndarray:
    """Decode a TIFF to uint16 (H, W, 3) or (H, W, 4)."""
    import av

    with av.open(f"file:{path}", format="tiff_pipe", options=dict(CONTAINER_OPTIONS)) as container:
        frame = next(container.decode(video=0))
        has_alpha = any(part.is_alpha for part in frame.format.components)
        return frame.to_ndarray(format="rgba64le" if has_alpha else "rgb48le")


def _starts_as_tiff(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in _TIFF_STARTS


def _fill_from_deep(result: np.ndarray, pixels_of: Callable[[Tile], np.ndarray]) -> bool:
    """Scale (h, w) or (h, w, C) of any number type to uint8, tile by tile.

    Args:
        result: uint8 (H, W, 3), filled in; (H, W, 4) for RGBA whose alpha is kept.
        pixels_of: gives the pixels of a tile.

    Returns:
        Whether any pixel is transparent.
    """

    def values_of(tile: Tile) -> np.ndarray:
        pixels = pixels_of(tile)
        values = np.nan_to_num(pixels.astype(np.float64), posinf=0.0, neginf=0.0).clip(0)
        return values[..., None] if values.ndim == 2 else values

    tiles = list(_tiles(*result.shape[:2]))
    brightest = max(float(values_of(tile).max(initial=0)) for tile in tiles)
    factor = 255 / _full_scale(pixels_of(tiles[0]).dtype.newbyteorder("="), brightest)
    transparent = False
    for tile in tiles:
        bytes_ = np.rint(values_of(tile) * factor).astype(np.uint8)
        channels = bytes_.shape[2]
        if channels == 4:
            transparent |= _fill_from_rgba(result[tile], bytes_)
        else:
            result[tile] = bytes_ if channels == 3 else bytes_[..., :1]
    return transparent


def _full_scale(kind: np.dtype, brightest: float) -> float:
    """Find the value that means white.

    16-bit greys often come in wider types, so those are judged by their content.
    """
    if kind in (np.uint8, np.uint16):
        return float(np.iinfo(kind).max)
    if np.issubdtype(kind, np.floating) and brightest <= 1:
        return 1.0
    steps = (255.0, 65535.0) if np.issubdtype(kind, np.floating) else (65535.0, 2.0**31 - 1)
    return next((step for step in steps if brightest <= step), brightest)
