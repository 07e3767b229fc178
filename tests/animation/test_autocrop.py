"""`--crop` and `--paste_back`: where pictures are cut, and what comes back into them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fomm_cli.cli import main
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.face import FaceDetector
from fomm_cli.faces.framing import framing_in, head_box, head_square
from fomm_cli.faces.tracking import follow_face
from fomm_cli.geometry import Box, Region
from fomm_cli.media.crop import region_of
from fomm_cli.media.options import Fit
from fomm_cli.media.paste import PasteBack, fitted_region
from fomm_cli.media.resize import fit_source
from fomm_cli.runtime.threads import batched
from support.portraits import (
    HOPPER_FACE,
    PARITY,
    SCENES,
    astronaut,
    blurry_background,
    faces_in_scene,
    hopper,
    load_frames,
    parity_source,
    placed,
    psnr,
    resized,
    save_frames,
    save_scene,
)


@pytest.fixture(scope="module")
def builtin() -> Iterator[FaceDetector]:
    with open_detector("builtin") as detector:
        yield detector


def test_the_square_about_a_head_frames_the_face_as_training_data_are_framed() -> None:
    face = Box(100, 200, 185, 300)
    square = head_square(face)
    assert square.width == pytest.approx(square.height)
    framing = framing_in(face, square)
    assert (framing.height, framing.x, framing.y) == pytest.approx((0.55, 0.50, 0.54))
    assert not framing.is_off
    grown = head_box(face)
    assert grown.width * 1.2 == pytest.approx(square.width)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (Box(0, 0, 400, 400), "small"),
        (Box(0, 0, 260, 260), ""),
        (Box(20, 0, 220, 200), ""),
        (Box(80, 0, 280, 200), "off the middle"),
        (Box(0, -80, 200, 120), "off the middle"),
        (Box(0, 0, 266, 200), "square"),
    ],
)
def test_what_is_framed_unlike_the_training_data_is_told(frame: Box, why: str) -> None:
    framing = framing_in(Box(58, 52, 143, 152), frame)
    assert framing.is_off == bool(why)
    assert why in framing.why


@pytest.mark.parametrize("region", [Region(-7, 3, 20, 20), Region(5, -9, 40, 40), Region(2, 2, 8, 8)])
def test_outside_the_picture_is_its_reflection(region: Region) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (24, 30, 3), dtype=np.uint8)
    everything = np.pad(picture, ((30, 30), (30, 30), (0, 0)), mode="symmetric")
    expected = everything[region.top + 30 : region.bottom + 30, region.left + 30 : region.right + 30]
    assert np.array_equal(region_of(picture, region), expected)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("shape", [(96, 128), (128, 64)])
def test_the_fitted_region_is_what_the_model_sees(fit: Fit, shape: tuple[int, int]) -> None:
    picture = resized(astronaut(), shape[1], shape[0])
    seen = fit_source(picture, (64, 64), fit)
    expected = fit_source(region_of(picture, fitted_region(shape, (64, 64), fit)), (64, 64), "stretch")
    assert np.abs(seen - expected).mean() < 0.01


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_the_followed_face_does_not_depend_on_how_the_video_is_read(builtin: FaceDetector, chunk: int) -> None:
    timed = [(Fraction(index, 5), frame) for index, frame in enumerate(hopper())]
    whole = follow_face(timed, builtin, 5)
    assert follow_face(chain.from_iterable(batched(iter(timed), chunk)), builtin, 5) == whole
    assert whole is not None
    assert whole.looks == 4


def test_the_crop_of_a_driving_video_is_the_union_over_all_frames(builtin: FaceDetector) -> None:
    """A face that wanders through 12 frames at 25 frames/s, of which only some are looked at."""
    frames = [placed(hopper()[0], 480, 360, 20 + 4 * step, 40 + 2 * step) for step in range(12)]
    followed = follow_face(((Fraction(index, 25), frame) for index, frame in enumerate(frames)), builtin, 10)
    reference: Box | None = None
    for frame in frames:
        square = head_square(builtin.detect(frame)[0].box)
        reference = square if reference is None else reference.union(square)
    assert followed is not None
    assert reference is not None
    sides = [abs(a - b) for a, b in zip(vars(followed.heads).values(), vars(reference).values(), strict=True)]
    assert max(sides) < 0.03 * reference.width
    true = Box(*HOPPER_FACE).mapped(1, 1, 20, 40).union(Box(*HOPPER_FACE).mapped(1, 1, 64, 62))
    assert followed.heads.intersection(true).area == true.area


def test_a_video_without_a_face_follows_nothing(builtin: FaceDetector) -> None:
    frames = ((Fraction(index, 5), blurry_background(200, 150)) for index in range(3))
    assert follow_face(frames, builtin, 5) is None


def _paste(region: Region, picture: np.ndarray) -> PasteBack:
    return PasteBack(picture, region, fit_source(region_of(picture, region), (64, 64), "stretch"))


def test_pasting_back_leaves_the_rest_bit_identical() -> None:
    picture, region = astronaut(), Region(130, 20, 200, 200)
    paste = _paste(region, picture)
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    changed = (paste(noise) != picture).any(axis=2)
    outside = np.ones(changed.shape, bool)
    outside[region.top : region.bottom, region.left : region.right] = False
    assert not changed[outside].any()
    assert changed[90:150, 200:260].mean() > 0.9
    assert (paste.mask[90:150, 200:260] == 1).all()


def test_pasting_back_leaves_no_seam_and_matches_colours() -> None:
    """A result that is the source itself in a colour cast comes back as the source, as far as its size allows."""
    picture, region = astronaut(), Region(100, 30, 256, 256)
    shown = fit_source(region_of(picture, region), (256, 256), "stretch")
    cast = np.rint(shown * 255 * 0.8 + (30, 20, 10)).astype(np.uint8)
    pasted = PasteBack(picture, region, shown)(cast).astype(float)
    before = np.abs(cast - region_of(picture, region).astype(float)).mean()
    after = np.abs(region_of(pasted, region) - region_of(picture, region)).mean()
    assert after < before / 2
    steps = np.abs(np.diff(pasted, axis=1) - np.diff(picture.astype(float), axis=1))
    assert steps[region.top : region.bottom, [region.left - 1, region.right - 1]].max() <= 1


def test_a_region_over_the_border_is_pasted_up_to_the_border() -> None:
    picture = astronaut()
    paste = _paste(Region(-60, -40, 300, 300), picture)
    assert (paste.mask[0, :190] == 1).all()
    assert paste(np.zeros((64, 64, 3), np.uint8)).shape == picture.shape


def _animate(tmp_path: Path, source: Path, driving: Path, *flags: str) -> np.ndarray:
    result = tmp_path / f"result{len(list(tmp_path.iterdir()))}"
    arguments = ["animate", "-s", str(source), "-d", str(driving), "-o", str(result), "--cpu"]
    assert main([*arguments, "--face_backend", "builtin", *flags]) == 0
    return load_frames(result)


def _save(path: Path, picture: np.ndarray) -> Path:
    Image.fromarray(picture).save(path)
    return path


def test_prepared_input_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = _save(tmp_path / "source.png", parity_source())
    driving = save_frames(tmp_path / "driving", hopper())
    model = (
        "--config",
        str(PARITY / "tiny_first_order.yaml"),
        "--checkpoint",
        str(PARITY / "tiny_first_order.pth.tar"),
    )
    automatic = _animate(tmp_path, source, driving, *model)
    assert "crop" not in capsys.readouterr().err
    assert np.array_equal(automatic, _animate(tmp_path, source, driving, *model, "--crop", "none"))


def test_without_a_face_nothing_is_cropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = _save(tmp_path / "source.png", blurry_background(300, 200))
    driving = save_frames(tmp_path / "driving", blurry_background(64, 64)[None])
    automatic = _animate(tmp_path, source, driving)
    told = capsys.readouterr().err
    assert told.count("warning: no face found in the source") == 1
    assert told.count("no face found in the driving video") == 1
    assert np.array_equal(automatic, _animate(tmp_path, source, driving, "--crop", "none"))


def test_models_of_other_things_are_cropped_only_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "taichi.yaml"
    config.write_text((PARITY / "tiny_first_order.yaml").read_text().replace("data/none", "data/taichi-png"))
    source = _save(tmp_path / "source.png", placed(hopper()[0], 700, 500, 400, 200))
    driving = save_frames(tmp_path / "driving", hopper()[:1])
    model = ("--config", str(config), "--checkpoint", str(PARITY / "tiny_first_order.pth.tar"))
    _animate(tmp_path, source, driving, *model)
    assert "crop" not in capsys.readouterr().err
    _animate(tmp_path, source, driving, *model, "--crop", "source")
    assert "cropping the source" in capsys.readouterr().err


@pytest.fixture(scope="module")
def well_cropped(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The portrait that the scenes show, cropped on its own, animated and put back."""
    folder = tmp_path_factory.mktemp("well")
    driving = save_frames(folder / "driving", hopper()[1:2])
    return _animate(folder, _save(folder / "well.png", hopper()[0]), driving, "--paste_back", "--crop", "source")


@pytest.mark.parametrize("name", [name for name in SCENES if name != "cut"])
def test_any_picture_animates_as_its_well_cropped_face(name: str, well_cropped: np.ndarray, tmp_path: Path) -> None:
    """In the region of the face, after pasting back; uncropped it comes out differently. See prove_crop.py, too."""
    path = tmp_path / f"{name}.png"
    save_scene(name, hopper()[0], path)
    driving = save_frames(tmp_path / "driving", hopper()[1:2])
    cropped = _animate(tmp_path, path, driving, "--paste_back")
    whole = _animate(tmp_path, path, driving, "--paste_back", "--crop", "none")
    width, height, _, _ = SCENES[name]
    assert cropped.shape == whole.shape == (1, height, width, 3)

    alone, there = faces_in_scene(name, HOPPER_FACE)
    face, truth = well_cropped[0][alone], hopper()[1][alone]
    assert psnr(cropped[0][there], face) > psnr(whole[0][there], face)
    assert psnr(cropped[0][there], truth) > psnr(face, truth) - 2
