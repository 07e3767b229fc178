"""Transparency of images: read, laid over something, and kept from showing as a fringe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from fomm_cli.errors import InputError
from fomm_cli.media.alpha import composite, spread_colours
from fomm_cli.media.background import Background
from fomm_cli.media.first_frame import read_first_frame, read_source
from fomm_cli.media.options import colour_of

BLUE, WHITE, RED = (20, 40, 200), (255, 255, 255), (255, 0, 0)


def disc(height: int = 120, width: int = 160) -> np.ndarray:
    """A blue disc cut out of a white image, RGBA, with white in its soft edge as careless programs leave it."""
    rows, columns = np.mgrid[:height, :width]
    inside = (40 - np.hypot(rows - height / 2, columns - width / 2)).clip(-1.5, 1.5) / 3 + 0.5
    colours = inside[..., None] * BLUE + (1 - inside[..., None]) * WHITE
    return np.dstack([colours, 255 * inside]).round().astype(np.uint8)


def test_spread_colours_leave_no_fringe() -> None:
    rgba = disc()
    spread = spread_colours(rgba)
    opaque = rgba[..., 3] == 255
    np.testing.assert_array_equal(spread[opaque], rgba[opaque][:, :3])
    beyond = rgba[..., 3] < 0.85 * 255
    assert np.abs(spread[beyond].astype(int) - BLUE).max() <= 12
    edge = (rgba[..., 3] > 0) & (rgba[..., 3] < 255)
    over_red = [
        composite(np.dstack([colours, rgba[..., 3]]), np.array(RED, np.uint8)) for colours in (rgba[..., :3], spread)
    ]
    fringed, clean = (image[edge][:, 1].max() for image in over_red)  # red and blue have little green
    assert fringed > BLUE[1] + 30
    assert clean < BLUE[1] + 0.5 * (fringed - BLUE[1])


def test_spread_colours_keep_an_evenly_translucent_image() -> None:
    drawing = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    ghost = np.dstack([drawing, np.full((60, 80), 90, np.uint8)])
    np.testing.assert_array_equal(spread_colours(ghost), drawing)


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (700, 3), (1030, 1500)])
def test_spread_colours_of_any_size(size: tuple[int, int]) -> None:
    rgba = np.zeros((*size, 4), np.uint8)
    rgba[: max(1, size[0] // 2), : max(1, size[1] // 2)] = (*BLUE, 255)
    assert np.abs(spread_colours(rgba).astype(int) - BLUE).max() <= 2


@pytest.mark.parametrize("suffix", ["png", "webp", "gif", "tif"])
def test_alpha_is_kept_on_demand(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    rgba = disc()
    if suffix == "gif":
        rgba[..., 3] = np.where(rgba[..., 3] > 127, 255, 0)
    Image.fromarray(rgba).save(path, **({"lossless": True, "exact": True} if suffix == "webp" else {}))
    kept = read_source(path, keep_alpha=True)
    assert kept.transparent
    np.testing.assert_array_equal(kept.pixels[..., 3], rgba[..., 3])
    laid = read_source(path, keep_alpha=False)
    assert laid.transparent
    np.testing.assert_array_equal(laid.pixels, read_first_frame(path))
    np.testing.assert_array_equal(laid.pixels[0, 0], WHITE)


def test_alpha_of_16_bits(tmp_path: Path) -> None:
    rgba = disc().astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read_source(tmp_path / "a.tif", keep_alpha=True).pixels, disc())


def test_alpha_turns_with_the_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(disc()).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_source(tmp_path / "a.png", keep_alpha=True).pixels, np.rot90(disc(), -1))


def test_an_alpha_channel_that_says_nothing_is_left_out(tmp_path: Path) -> None:
    rgba = disc()
    rgba[..., 3] = 255
    Image.fromarray(rgba).save(tmp_path / "a.png")
    source = read_source(tmp_path / "a.png", keep_alpha=True)
    assert not source.transparent
    np.testing.assert_array_equal(source.pixels, rgba[..., :3])


def test_backgrounds_of_one_colour_and_of_an_image(tmp_path: Path) -> None:
    rgba = disc()
    filled = Background.of("#ff0000")(rgba)
    np.testing.assert_array_equal(filled[0, 0], RED)
    np.testing.assert_array_equal(filled[60, 80], BLUE)
    halves = np.zeros((50, 200, 3), np.uint8)
    halves[:, 100:] = 200
    Image.fromarray(halves).save(tmp_path / "wide.png")  # covers 120 x 160: its sides are cut off
    covered = Background.of(str(tmp_path / "wide.png"))(rgba)
    np.testing.assert_array_equal(covered[:, 0], np.zeros((120, 3)))
    np.testing.assert_array_equal(covered[:, -1], np.full((120, 3), 200))
    assert 77 <= np.argmax(covered[0, :, 0] >= 100) <= 83  # its middle stays in the middle


@pytest.mark.parametrize(
    ("text", "colour"),
    [("white", WHITE), ("Red", RED), ("#14c8", None), ("#1428c8", BLUE), ("rgb(300,0,0)", None), ("sky.png", None),
     ("", None), ("x" * 1000, None)],
)  # fmt: skip
def test_names_of_colours(text: str, colour: tuple[int, ...] | None) -> None:
    assert colour_of(text) == colour


def test_a_background_that_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="is a text file"):
        Background.of(str(tmp_path / "notes.txt"))
