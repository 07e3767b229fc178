import os
import struct
import zlib
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from fomm_cli.errors import FommError, InputError
from fomm_cli.media.alpha import composite_over_white
from fomm_cli.media.first_frame import read_first_frame
from fomm_cli.media.image import is_still_image, read_image, write_image
from support.media_helpers import gradient, make_video


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp"])
def test_lossless_formats_keep_every_pixel(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(gradient(9, 7)).save(path, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(read_image(path), gradient(9, 7))


def test_jpeg(tmp_path: Path) -> None:
    Image.fromarray(gradient(40, 30)).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - gradient(40, 30)).mean() < 2


def test_first_frame_of_gif_and_video(tmp_path: Path) -> None:
    red, blue = (Image.new("RGB", (8, 6), colour) for colour in ("red", "blue"))
    red.save(tmp_path / "a.gif", save_all=True, append_images=[blue])
    np.testing.assert_array_equal(read_image(tmp_path / "a.gif")[0, 0], (255, 0, 0))
    video = make_video(tmp_path / "a.mkv", "-c:v", "ffv1", "-pix_fmt", "gbrp")
    assert read_first_frame(video).shape == (48, 64, 3)


ONE_PIXEL = [  # mode, stored value, what is seen
    ("L", 100, (100, 100, 100)),
    ("1", 1, (255, 255, 255)),
    ("LA", (100, 0), (255, 255, 255)),
    ("LA", (100, 255), (100, 100, 100)),
    ("RGBA", (200, 0, 100, 0), (255, 255, 255)),
    ("RGBA", (200, 0, 100, 51), (244, 204, 224)),
    ("I;16", 257 * 90, (90, 90, 90)),
    ("I;16", 65535, (255, 255, 255)),
    ("I;16", 300, (1, 1, 1)),
]


@pytest.mark.parametrize(("mode", "stored", "seen"), ONE_PIXEL)
def test_png_modes(tmp_path: Path, mode: str, stored: object, seen: tuple[int, int, int]) -> None:
    image = Image.new(mode, (3, 2))
    image.putpixel((1, 1), stored)
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[1, 1], seen)


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=bytes([0, 255]))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0], [(255, 255, 255), (200, 100, 0)])


def test_one_transparent_colour(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)).save(tmp_path / "a.png", transparency=(1, 2, 3))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0], [(255, 255, 255), (4, 5, 6)])


def test_cmyk(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - (255, 0, 0)).max() < 4


@pytest.mark.parametrize(
    ("pixels", "seen"),
    [
        (np.array([[0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0, 100.0, 255.0]], np.float32), [0, 100, 255]),
        (np.array([[0, 257 * 7, 65535]], np.uint16), [0, 7, 255]),
        (np.array([[0, 257 * 7, 65535]], np.int32), [0, 7, 255]),
        (np.array([[0, 0.5, 1.0]], np.float64), [0, 128, 255]),
    ],
)
def test_deep_grey_tiff(tmp_path: Path, pixels: np.ndarray, seen: list[int]) -> None:
    iio.imwrite(tmp_path / "a.tif", pixels, plugin="tifffile")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0], np.repeat(np.array(seen)[:, None], 3, axis=1))


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_deep_colour_tiff(tmp_path: Path, planar: bool, kind: type) -> None:
    white = 1.0 if kind is np.float32 else 65535
    pixels = (gradient(6, 5) / 255 * white).astype(kind)
    stored = np.moveaxis(pixels, -1, 0) if planar else pixels
    options = {"photometric": "rgb", "planarconfig": "separate" if planar else "contig"}
    iio.imwrite(tmp_path / "a.tif", np.ascontiguousarray(stored), plugin="tifffile", **options)
    assert np.abs(read_image(tmp_path / "a.tif").astype(int) - gradient(6, 5)).max() <= 1


@pytest.mark.parametrize(
    ("tag", "turn"), [(1, lambda a: a), (3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1))]
)
def test_exif_orientation(tmp_path: Path, tag: int, turn) -> None:  # type: ignore[no-untyped-def]
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(gradient(9, 5)).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), turn(gradient(9, 5)))


def png_header(path: Path, width: int, height: int) -> Path:
    """A PNG that claims a size in its header and holds hardly anything."""
    Image.new("L", (1, 1)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("size", [(13_500, 13_200), (30_000, 30_000)])  # past our limit, and past Pillow's alarm
def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path, size: tuple[int, int]) -> None:
    path = png_header(tmp_path / "huge.png", *size)
    with pytest.raises(
        InputError, match=rf"huge.png has {size[0] * size[1] // 10**6} megapixels, the limit for this kind"
    ):
        read_image(path)
    assert is_still_image(path)


def test_large_pictures_do_not_warn(tmp_path: Path) -> None:
    path = png_header(tmp_path / "large.png", 10_000, 9_000)
    assert is_still_image(path)
    with pytest.raises(InputError, match="damaged or incomplete"):
        read_image(path)


def test_missing_file_suggests_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "portrait.png").write_bytes(b"x")
    with pytest.raises(InputError, match=r"potrait.png does not exist. Did you mean .*portrait.png"):
        read_image(tmp_path / "potrait.png")
    with pytest.raises(InputError, match="There is no folder"):
        read_image(tmp_path / "nowhere" / "a.png")


DISGUISES = [
    (b"", "is empty"),
    (b"<!DOCTYPE html><html><body>virus scan</body></html>", "is a web page"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "is a Git LFS pointer.*git lfs pull"),
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is a HEIC image.*PNG or JPEG"),
    (b"just words\n", "is a text file"),
    (b'<?xml version="1.0"?>\n<svg xmlns="a"></svg>', "is an SVG drawing"),
    (bytes(range(256)) * 8, "is damaged or not an image"),
]


@pytest.mark.parametrize(("content", "message"), DISGUISES)
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert not is_still_image(path)
    with pytest.raises(InputError, match=f"a.png {message}"):
        read_image(path)


def test_folder_instead_of_picture(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder, not an image"):
        read_image(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif", "gif"])
def test_cut_pictures_are_errors(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (90, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="is damaged or"):
        read_image(path)


def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(InputError, match="cannot be read"):
        read_image(path)


def test_is_still_image(tmp_path: Path) -> None:
    picture, other = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    for name in ("a.png", "a.jpg", "a.gif", "a.webp"):
        picture.save(tmp_path / name)
        assert is_still_image(tmp_path / name)
    for name in ("b.gif", "b.webp", "b.png"):
        picture.save(tmp_path / name, save_all=True, append_images=[other])
        assert not is_still_image(tmp_path / name)
    assert not is_still_image(make_video(tmp_path / "a.mp4"))
    assert not is_still_image(tmp_path / "missing.png")


def test_phone_pictures_with_a_second_picture_inside_are_still(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8), "red")
    picture.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[picture])
    assert is_still_image(tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg").shape == (8, 8, 3)


def test_write_png(tmp_path: Path) -> None:
    metadata = {"title": "Änne", "comment": "made by fomm"}
    write_image(tmp_path / "a.png", gradient(9, 7), metadata)
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), gradient(9, 7))
        assert image.info == {"Title": "Änne", "Comment": "made by fomm"}
    write_image(tmp_path / "b.png", gradient(9, 7), metadata)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("suffix", ["jpg", "JPEG"])
def test_write_jpeg(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    write_image(path, gradient(40, 30), {"title": "Änne", "comment": "made by fomm"})
    with Image.open(path) as image:
        assert np.abs(np.asarray(image).astype(int) - gradient(40, 30)).mean() < 1
        assert image.info["comment"] == b"made by fomm"
        assert image.getexif()[0x010E].encode("latin-1").decode() == "Änne"  # Pillow reads bytes as Latin-1


def test_write_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.png \.jpg \.jpeg"):
        write_image(tmp_path / "a.txt", gradient(4, 4), {})
    with pytest.raises(FommError, match=r"a.png cannot be written") as caught:
        write_image(tmp_path / "missing" / "a.png", gradient(4, 4), {})
    assert caught.value.exit_code == 1


def test_composite_over_white_rounds_to_the_nearest() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (50, 50, 4), dtype=np.uint8)
    alpha = rgba[..., 3:] / 255
    np.testing.assert_array_equal(composite_over_white(rgba), np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha)))


def test_a_side_that_takes_minutes_to_shrink_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.fromarray(np.zeros((1, 32_769, 3), np.uint8)).save(path)
    with pytest.raises(InputError, match="32769 x 1 pixels, the limit is 32768 a side"):
        read_image(path)
