"""`fomm reconstruct` and `fomm evaluate`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from fomm_cli import cli
from fomm_cli.animation.animator import Animator
from fomm_cli.evaluation.options import EvaluateJob, ReconstructJob
from fomm_cli.evaluation.reconstruct import COPY, evaluate, reconstruct
from fomm_cli.media.image import write_image
from fomm_cli.media.resize import fit_frame
from fomm_cli.media.video.reader import open_clip
from fomm_cli.models.bundled import bundled_checkpoint
from support.parity_data import PARITY
from support.portraits import hopper, save_frames
from support.training_help import write_frames, write_perceptual

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = {"checkpoint": PARITY / "tiny_first_order.pth.tar", "config": str(PARITY / "tiny_first_order.yaml")}


@pytest.fixture
def clips(tmp_path: Path) -> dict[str, list[np.ndarray]]:
    return {name: write_frames(tmp_path / "data" / "test" / name, start=start) for name, start in (("a", 0), ("b", 9))}


def rows_of(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (folder / "evaluation.csv").open(newline="") as file:
        return {(row["video"], row["model"]): row for row in csv.DictReader(file)}


def test_copying_the_source_scores_what_the_frames_say(clips: dict[str, list[np.ndarray]], tmp_path: Path) -> None:
    result = evaluate(EvaluateJob(tmp_path / "data", tmp_path / "out", device="cpu", max_frames=4))
    assert (result.videos, result.frames) == (2, 8)
    rows = rows_of(tmp_path / "out")
    errors = {}
    for name, frames in clips.items():
        large = np.stack([fit_frame(frame, (256, 256), "stretch") for frame in frames[:4]]).astype(float)
        errors[name] = np.abs(large[0] - large).mean() / 255
        assert float(rows[name, COPY]["l1"]) == pytest.approx(errors[name])
    assert result.scores[COPY].l1 == pytest.approx(np.mean(list(errors.values())))
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())[COPY]["l1"] == result.scores[COPY].l1


def test_the_model_is_scored_on_what_it_animates(tmp_path: Path) -> None:
    frames = write_frames(tmp_path / "data" / "only", start=0, count=3)
    result = evaluate(EvaluateJob(tmp_path / "data", tmp_path / "out", **TINY, device="cpu"))
    animator = Animator.load(*TINY.values(), device="cpu")
    rebuilt = list(animator.animate(frames[0], frames, relative=False))
    truth = [fit_frame(frame, animator.size, "stretch") for frame in frames]
    expected = np.mean([np.abs(t.astype(int) - r).mean() / 255 for t, r in zip(truth, rebuilt, strict=True)])
    # the source takes another way to the model's size there
    assert result.scores["this model"].l1 == pytest.approx(expected, rel=0.02)


def test_a_still_video_is_copied_perfectly(tmp_path: Path) -> None:
    (tmp_path / "data" / "still").mkdir(parents=True)
    picture = np.random.default_rng(0).integers(0, 255, (256, 256, 3)).astype(np.uint8)
    for index in range(2):
        write_image(tmp_path / "data" / "still" / f"{index}.png", picture, {})
    write_perceptual(tmp_path / "small.safetensors")
    job = EvaluateJob(
        tmp_path / "data", tmp_path / "out", device="cpu",
        previous=bundled_checkpoint(), perceptual=str(tmp_path / "small.safetensors"),
    )  # fmt: skip
    scores = evaluate(job).scores
    assert (scores[COPY].l1, scores[COPY].psnr, scores[COPY].features) == (0, 100, 0)
    assert scores[COPY].ssim == pytest.approx(1)
    assert scores["this model"].features > 0  # type: ignore[operator]
    assert scores["previous model"] == scores["this model"]  # which is the bundled one, too


@pytest.mark.usefixtures("clips")
def test_reconstructions_are_written_beside_the_originals(tmp_path: Path) -> None:
    result = reconstruct(ReconstructJob(tmp_path / "data", tmp_path / "videos", **TINY, device="cpu", max_frames=3))
    assert (result.videos, result.frames) == (2, 6)
    for name in "ab":
        frames = [frame.image for frame in open_clip(tmp_path / "videos" / f"{name}.mp4").frames()]
        assert [frame.shape for frame in frames] == [(256, 768, 3)] * 3
        assert np.abs(frames[0][:, :256].astype(int) - frames[0][:, 256:512]).mean() < 3  # the first is the source


@pytest.mark.usefixtures("clips")
def test_the_command_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["evaluate", str(tmp_path / "data"), "-o", str(tmp_path / "out"), "--cpu", "--max_frames", "1"]
    assert cli.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["l1", "psnr", "ssim"]
    assert [line[:20].strip() for line in lines[1:]] == ["this model", COPY]
    assert cli.main(["evaluate", str(tmp_path / "nowhere"), "-o", str(tmp_path / "out")]) == 2
    assert "there is no folder" in capsys.readouterr().err


@pytest.fixture
def moving_faces(tmp_path: Path) -> Path:
    """Videos of two frames: nothing moves, 20 pixels to the right, a face that was not there."""
    face, blank = hopper()[0], np.full((256, 256, 3), 127, np.uint8)
    for name, frames in {
        "still": (face, face), "moved": (face, np.roll(face, 20, axis=1)), "appears": (blank, face),
    }.items():  # fmt: skip
        (tmp_path / "faces").mkdir(exist_ok=True)
        save_frames(tmp_path / "faces" / name, np.stack(frames))
    return tmp_path / "faces"


@pytest.mark.usefixtures("with_mediapipe")
def test_key_point_distance_and_missing_faces_are_what_was_done_to_the_frames(
    moving_faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", str(moving_faces), "-o", str(tmp_path / "out"), "--cpu"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["l1", "psnr", "ssim", "akd", "mkr"]
    rows = rows_of(tmp_path / "out")
    copies = {name: (rows[name, COPY]["akd"], rows[name, COPY]["mkr"]) for name in ("still", "moved", "appears")}
    assert copies["still"] == ("0.0", "0.0")
    assert float(copies["moved"][0]) == pytest.approx(20 / 2, rel=0.05)  # the first of the two frames is the source
    assert copies["appears"] == ("", "1.0")
    means = json.loads((tmp_path / "out" / "evaluation.json").read_text())[COPY]
    assert means["akd"] == pytest.approx(float(copies["moved"][0]) / 2)
    assert means["mkr"] == pytest.approx(1 / 3)


@pytest.mark.usefixtures("moving_faces")
def test_without_mediapipe_there_is_no_key_point_distance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fomm_cli.extras.find_spec", lambda _: None)
    arguments = ["evaluate", str(tmp_path / "faces"), "-o", str(tmp_path / "out"), "--cpu", "--max_frames", "1"]
    assert cli.main(arguments) == 0
    printed = capsys.readouterr()
    assert "akd" not in printed.out
    assert [line for line in printed.err.splitlines() if "pip install mediapipe" in line] == [
        "fomm: measuring no keypoint distance (akd, mkr): mediapipe is not installed. Type: pip install mediapipe"
    ]
    assert rows_of(tmp_path / "out")["still", COPY]["akd"] == ""
