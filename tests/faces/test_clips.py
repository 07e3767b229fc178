"""`fomm crop`: every face of a video or picture, cut out."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from fomm_cli.cli import main
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.framing import framing_in
from fomm_cli.faces.tracking import Tracker
from fomm_cli.geometry import Box
from fomm_cli.media.video.writer import open_writer
from support.portraits import blurry_background, hopper, placed

EMPTY = 5  # frames before the face comes in
SHOWN = 8


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face that wanders through the right half from frame 5 to 12, then leaves."""
    path = tmp_path_factory.mktemp("video") / "talk.mp4"
    background = blurry_background(480, 320)
    frames = [background] * EMPTY
    frames += [placed(hopper()[0], 480, 320, 190 + 3 * step, 40) for step in range(SHOWN)]
    frames += [background] * 7
    with open_writer(path, (320, 480), Fraction(25), {}) as writer:
        for index, frame in enumerate(frames):
            writer.write(frame, Fraction(index, 25))
    return path


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def crop(inp: Path, folder: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> list[dict]:
    arguments = ["crop", "--inp", str(inp), "-o", str(folder), "--face_backend", "builtin", "--json", *flags]
    assert main(arguments) == 0, capsys.readouterr().err
    clips: list[dict] = json.loads(capsys.readouterr().out)["clips"]
    return clips


def test_a_face_becomes_a_square_clip(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (clip,) = crop(video, tmp_path / "out", capsys, "--min_frames", "5", "--image_shape", "128,128")
    left, top, width, height = clip["region"]
    assert width == height
    assert clip["start"] == pytest.approx(EMPTY / 25)
    frames, original = decoded(Path(clip["path"])), decoded(video)
    assert frames.shape == (SHOWN, 128, 128, 3)
    for index in (0, SHOWN - 1):
        cut = Image.fromarray(original[EMPTY + index, top : top + height, left : left + width])
        assert np.abs(np.asarray(cut.resize((128, 128))) - frames[index].astype(float)).mean() < 8
    with open_detector("builtin") as detector:
        framing = framing_in(detector.detect(frames[3])[0].box, Box(0, 0, 128, 128))
    assert not framing.is_off
    assert framing.height == pytest.approx(0.5, abs=0.1)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["talk_000.mp4"]


def test_a_dry_run_prints_the_commands(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    arguments = ["crop", "--inp", str(video), "-o", str(folder), "--min_frames", "5", "--dry_run"]
    assert main([*arguments, "--face_backend", "builtin"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "crop=" in line
    assert line.split()[-1] == f"file:{folder / 'talk_000.mp4'}"
    assert not folder.exists()


def test_short_tracks_are_left_out(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["crop", "--inp", str(video), "-o", str(tmp_path / "out"), "--min_frames", str(SHOWN)]
    assert main([*arguments, "--face_backend", "builtin"]) == 2
    assert "--min_frames" in capsys.readouterr().err


def test_a_picture_is_cut_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "scene.png"
    Image.fromarray(placed(hopper()[0], 700, 500, 350, 200)).save(path)
    (clip,) = crop(path, tmp_path / "out", capsys)
    (wider,) = crop(path, tmp_path / "wider", capsys, "--increase", "0.4")
    assert wider["region"][2] == pytest.approx(clip["region"][2] * 1.5, abs=2)
    assert Image.open(clip["path"]).size == (256, 256)


def test_tracks_follow_the_first_box_and_survive_gaps() -> None:
    tracker = Tracker(0.25)
    still, ended = Box(0, 0, 10, 10), []
    for index in range(20):
        moving = Box(100 + index, 0, 110 + index, 10)  # leaves its first box after 6 frames: 4 / 16 is the limit
        boxes = [moving] if index in (3, 4) else [still, moving]
        ended += tracker.add(index, Fraction(index, 25), boxes)
    ended += tracker.finish()
    spans = sorted((track.initial.left, track.first, track.last, track.tube.right) for track in ended)
    assert spans == [(0, 0, 19, 10), (100, 0, 5, 115), (106, 6, 11, 121), (112, 12, 17, 127), (118, 18, 19, 129)]
    assert {track.end for track in ended if track.initial.left == 100} == {Fraction(5, 25)}
