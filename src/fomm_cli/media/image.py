"""One still picture: reading whatever people have, writing PNG and JPEG."""

from __future__ import annotations

import re
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from fomm_cli.errors import FommError, InputError
from fomm_cli.files.inputs import check_file
from fomm_cli.media.alpha import composite_over_white
from fomm_cli.media.validate import MAX_PIXELS, check_content, check_pixels, too_large

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")

_JPEG_QUALITY = 95
_EXIF_DESCRIPTION = 0x010E
_TIFF_BITS = 0x0102
_TIFF_STARTS = (b"II*\0", b"MM\0*")
_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM", "TGA", "ICO", "JPEG2000", "AVIF")
_ANIMATED_FORMATS = ("GIF", "WEBP", "PNG")
# What Pillow's decoders let out on damaged files.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    LookupError,
    ArithmeticError,
    struct.error,
    zlib.error,
)
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
        check_content(path, "picture")
        raise not_an_image(path)
    return image


def read_image_or_none(path: Path) -> np.ndarray | None:
    """Read an image file as `read_image` does; None if the file is not an image at all.

    Raises:
        InputError: the file is missing or empty, or an image that is damaged or too large.
    """
    check_file(path, "picture")
    with _pillow(path):
        try:
            image = _open(path)
        except UnidentifiedImageError:
            image = None
        except _DAMAGE as error:
            raise _damaged(path) from error
        if image is not None:
            with image:
                return _decode(path, image)
        return _read_tiff(path) if _starts_as_tiff(path) else None


def not_an_image(path: Path) -> InputError:
    """Build the error for a file that cannot be read as an image."""
    return InputError(f"{path} is damaged or not a picture", "Give a PNG, JPEG, WebP, BMP, TIFF or GIF file.")


def is_still_image(path: Path) -> bool:
    """Whether the file is a picture with exactly one frame; False for videos and animated GIFs."""
    try:
        with _pillow(path), _open(path) as image:
            return image.format not in _ANIMATED_FORMATS or not getattr(image, "is_animated", False)
    except InputError:
        return True  # too large, which read_image reports
    except _DAMAGE:
        return False


def write_image(path: Path, frame: np.ndarray, metadata: dict[str, str]) -> None:
    """Write a picture and what it is about.

    Args:
        path: ends in .png, .jpg or .jpeg.
        frame: uint8 (H, W, 3) RGB.
        metadata: texts to store, such as ``title`` and ``comment``; JPEG keeps these two.

    Raises:
        InputError: another suffix.
        FommError: the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in PICTURE_SUFFIXES:
        raise InputError(f"{path} is no picture name", f"End it in one of {' '.join(PICTURE_SUFFIXES)}")
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
def _pillow(path: Path) -> Iterator[None]:
    """Keep Pillow's warnings inside and say its bomb alarm in our words.

    The warning filters belong to the whole process, so one thread at a time.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except Image.DecompressionBombError as error:
            pixels = re.search(r"\d+", str(error))
            raise too_large(path, int(pixels[0]) if pixels else MAX_PIXELS) from error


def _open(path: Path) -> Image.Image:
    Image.init()
    return Image.open(path, formats=[name for name in _FORMATS if name in Image.OPEN])


def _decode(path: Path, image: Image.Image) -> np.ndarray:
    check_pixels(path, *image.size)
    if image.format == "TIFF" and _is_deep_colour(image):
        return _read_tiff(path)
    try:
        return _to_rgb(ImageOps.exif_transpose(image))
    except _DAMAGE as error:
        raise _damaged(path) from error


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether a TIFF holds colours of more than 8 bits, which Pillow cuts and, plane by plane, misreads."""
    bits = image.getexif().get(_TIFF_BITS, 8)
    return isinstance(bits, tuple) and len(bits) > 1 and max(bits) > 8


def _damaged(path: Path) -> InputError:
    return InputError(f"{path} is damaged or incomplete", "Download or copy the picture again.")


def _to_rgb(image: Image.Image) -> np.ndarray:
    """Turn any Pillow mode into uint8 (H, W, 3)."""
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_to_rgb(np.asarray(image))
    if image.has_transparency_data:
        return composite_over_white(np.asarray(image.convert("RGBA")))
    return np.array(image.convert("RGB"))


def _read_tiff(path: Path) -> np.ndarray:
    """Read the TIFF layouts that Pillow does not know or misreads, such as float or 16-bit colour."""
    try:
        pixels = np.asarray(iio.imread(path, plugin="tifffile", index=0))
    except (*_DAMAGE, RuntimeError, ImportError) as error:
        raise _unusual_tiff(path) from error
    if pixels.ndim == 3 and pixels.shape[0] in (3, 4) and pixels.shape[2] not in (3, 4):
        pixels = np.moveaxis(pixels, 0, -1)  # planar: (C, H, W) -> (H, W, C)
    if pixels.ndim not in (2, 3):
        raise _unusual_tiff(path)
    check_pixels(path, pixels.shape[1], pixels.shape[0])
    return _deep_to_rgb(pixels)


def _unusual_tiff(path: Path) -> InputError:
    return InputError(f"{path} is damaged or an unusual kind of TIFF", "Save it as PNG.")


def _starts_as_tiff(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in _TIFF_STARTS


def _deep_to_rgb(pixels: np.ndarray) -> np.ndarray:
    """Scale (H, W) or (H, W, C) of any number type to uint8 (H, W, 3)."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    values = np.nan_to_num(pixels.astype(np.float64), posinf=0.0, neginf=0.0)
    bytes_ = np.rint(values.clip(0) * (255 / _full_scale(pixels.dtype, values.max(initial=0)))).astype(np.uint8)
    channels = bytes_.shape[2]
    if channels == 4:
        return composite_over_white(bytes_)
    return bytes_[..., :3] if channels == 3 else np.repeat(bytes_[..., :1], 3, axis=2)


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
