"""`fomm check` orders pictures as the study of twenty pictures did."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fomm_cli.cli import main
from fomm_cli.geometry import Box, Region
from fomm_cli.media.crop import region_of
from support.portraits import (
    ASTRONAUT_EYES,
    HOPPER_FACE,
    astronaut,
    blurry_background,
    hopper,
    placed,
    resized,
    save_frames,
)


@pytest.fixture(params=["builtin", "mediapipe"])
def backend(request: pytest.FixtureRequest) -> str:
    if request.param == "mediapipe":
        request.getfixturevalue("with_mediapipe")
    return str(request.param)


def framed(share: float, x: float = 0.5, y: float = 0.54) -> np.ndarray:
    """The portrait cut so that its face is `share` of the frame high, with its middle at (x, y) of the frame."""
    scene = placed(hopper()[0], 900, 900, 322, 322)
    face = Box(*HOPPER_FACE).mapped(1, 1, 322, 322)
    side = round(face.height / share)
    return region_of(scene, Region(round(face.centre[0] - x * side), round(face.centre[1] - y * side), side, side))


def check(picture: np.ndarray, path: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, dict]:
    Image.fromarray(picture).save(path)
    code = main(["check", "-s", str(path), "--json", *flags])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("share", "verdict"), [(1.25, "poor"), (0.75, "good"), (0.55, "good"), (0.37, "fair"), (0.17, "poor")]
)
def test_sizes(share: float, verdict: str, backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = check(framed(share), tmp_path / "a.png", capsys, "--face_backend", backend, "--crop", "none")
    assert report["verdict"] == verdict
    assert code == (3 if verdict == "poor" else 0)


@pytest.mark.parametrize(
    ("x", "y", "verdicts"),
    [
        (0.50, 0.54, ["good"]),
        (0.36, 0.54, ["good"]),
        (0.64, 0.54, ["good"]),
        (0.50, 0.40, ["good"]),
        (0.50, 0.84, ["fair", "poor"]),  # the chin is cut off; the cascade then finds no face at all
        (0.50, 0.10, ["poor"]),
    ],
)
def test_positions(
    x: float, y: float, verdicts: list[str], backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, report = check(framed(0.55, x, y), tmp_path / "a.png", capsys, "--face_backend", backend, "--crop", "none")
    assert report["verdict"] in verdicts


def _verdicts(report: dict) -> dict[str, str]:
    return {finding["topic"]: finding["verdict"] for finding in report["source"]}


def test_blur_and_missing_contrast_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    portrait = resized(framed(0.55), 256, 256)
    blurred = resized(resized(portrait, 24, 24), 256, 256)
    faded = (portrait * 0.12 + 110).astype(np.uint8)
    verdicts = [
        _verdicts(check(picture, tmp_path / "a.png", capsys, "--face_backend", "builtin")[1])
        for picture in (portrait, blurred, faded)
    ]
    assert [verdict["sharpness"] for verdict in verdicts[:2]] == ["good", "poor"]
    assert [verdicts[0]["contrast"], verdicts[2]["contrast"]] == ["good", "poor"]


@pytest.mark.parametrize("backend", ["mediapipe"], indirect=True)
def test_teeth_and_a_turned_first_frame_are_told(
    backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turned = np.asarray(Image.fromarray(hopper()[0]).rotate(30, Image.Resampling.BICUBIC))
    driving = save_frames(tmp_path / "driving", turned[None])
    flags = ("--face_backend", backend, "-d", str(driving))
    code, report = check(astronaut()[40:240, 120:320], tmp_path / "a.png", capsys, *flags)
    assert code == 3  # for the first frame: teeth may tear, but need not
    assert _verdicts(report)["mouth"] == "fair"
    assert _verdicts(check(hopper()[0], tmp_path / "b.png", capsys, *flags)[1])["mouth"] == "good"
    first = [finding for finding in report["driving"] if finding["topic"] == "first frame"]
    assert first[0]["verdict"] == "poor"
    assert first[0]["flag"] == "--find_best_frame"


def test_a_picture_without_a_face_is_poor_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(blurry_background(200, 200)).save(path)
    assert main(["check", "-s", str(path), "--face_backend", "builtin"]) == 3
    assert "no face found" in capsys.readouterr().out


def test_the_face_that_is_meant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = placed(hopper()[0], 560, 300, 0, 20)
    scene[20:276, 300:556] = astronaut()[20:276, 100:356]
    path = tmp_path / "a.png"
    flags = ("--face_backend", "builtin", "--crop", "none")
    texts = [
        check(scene, path, capsys, *flags, *chosen)[1]["source"][0]["text"]
        for chosen in ((), ("--face", "2"), ("--face_at", "425,120"))
    ]
    assert texts[1] == texts[2] != texts[0]
    assert main(["check", "-s", str(path), *flags, "--face", "3"]) == 2
    assert "2 faces were found" in capsys.readouterr().err
    assert main(["check", "-s", str(path), *flags, "--face_at", "1,1"]) == 2
    assert "no face at" in capsys.readouterr().err


def test_it_judges_what_animate_will_do(backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A small face is poor as it stands, and good once `--crop auto` has cut it out, as animate does by itself."""
    flags = ("--face_backend", backend)
    code, report = check(framed(0.17), tmp_path / "a.png", capsys, *flags)
    assert code == 0
    assert _verdicts(report)["size"] == "good"
    assert "--crop auto cuts it to" in json.dumps(report)
    assert check(framed(0.17), tmp_path / "a.png", capsys, *flags, "--crop", "none")[0] == 3


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_image_is_told(turns: int, backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = check(np.rot90(framed(0.55), turns), tmp_path / "a.png", capsys, "--face_backend", backend)
    assert code == 3
    assert "rotate it" in json.dumps(report)


@pytest.mark.parametrize("backend", ["mediapipe"], indirect=True)
def test_dark_glasses_and_few_pixels_are_told(backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--face_backend", backend)
    portrait = astronaut()[20:276, 100:356].copy()
    assert "eyes" not in _verdicts(check(portrait, tmp_path / "a.png", capsys, *flags)[1])
    for x, y in ASTRONAUT_EYES:
        left, top = int(x) - 100, int(y) - 20
        portrait[top - 12 : top + 17, left - 21 : left + 21] = 15
    assert _verdicts(check(portrait, tmp_path / "b.png", capsys, *flags)[1]).get("eyes") == "poor"
    tiny = placed(resized(astronaut()[20:276, 100:356], 76, 76), 200, 200, 60, 60)
    assert _verdicts(check(tiny, tmp_path / "c.png", capsys, *flags)[1]).get("resolution") == "poor"


@pytest.mark.parametrize("backend", ["mediapipe"], indirect=True)
def test_every_face_of_a_group_is_found(backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = blurry_background(1200, 420)
    portraits = [hopper()[0], astronaut()[20:276, 100:356]]
    for place in range(4):
        side = (256, 180, 230, 150)[place]
        scene[60 : 60 + side, 30 + 290 * place : 30 + 290 * place + side] = resized(portraits[place % 2], side, side)
    _, report = check(scene, tmp_path / "a.png", capsys, "--face_backend", backend, "--face", "4")
    assert "4 faces found" in json.dumps(report)
