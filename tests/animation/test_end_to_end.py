"""The command line, from files to files, against what the original demo writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fomm_cli.cli import main
from support.parity_data import PARITY

MODES = {
    "relative_adapt": ["--relative", "--adapt_scale"],
    "relative": ["--relative", "--no-adapt_scale"],
    "absolute": ["--absolute"],
    "relative_adapt_best2": ["--best_frame", "2"],
}
RECORDED = [("false", mode) for mode in MODES] + [("true", "relative_adapt")]


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parity pictures as lossless files: source.png and driving/0.png to 3.png."""
    folder = tmp_path_factory.mktemp("inputs")
    arrays = np.load(PARITY / "inputs.npz")
    Image.fromarray(arrays["source"]).save(folder / "source.png")
    (folder / "driving").mkdir()
    for index, frame in enumerate(arrays["driving"]):
        Image.fromarray(frame).save(folder / "driving" / f"{index}.png")
    return folder


def animate(inputs: Path, result: Path, *options: str) -> int:
    model = [
        "--config",
        str(PARITY / "tiny_first_order.yaml"),
        "--checkpoint",
        str(PARITY / "tiny_first_order.pth.tar"),
    ]
    files = ["--source_image", str(inputs / "source.png"), "--driving_video", str(inputs / "driving")]
    return main(["animate", *model, *files, "--result_video", str(result), "--cpu", "--precision", "fp32", *options])


def frames_in(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.iterdir())])


@pytest.mark.parity
@pytest.mark.parametrize(("align_corners", "mode"), RECORDED)
def test_frames_are_the_originals(align_corners: str, mode: str, inputs: Path, tmp_path: Path) -> None:
    assert animate(inputs, tmp_path / "out", "--align_corners", align_corners, *MODES[mode]) == 0
    frames = frames_in(tmp_path / "out")
    recorded = np.load(PARITY / "end_to_end.npz")[f"align_corners={align_corners.title()}/{mode}"]
    assert frames.shape == recorded.shape
    difference = np.abs(frames.astype(int) - recorded)
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.003


def test_options_may_be_spelled_with_dashes(inputs: Path, tmp_path: Path) -> None:
    assert animate(inputs, tmp_path / "dashes", "--align-corners=false", "--no-adapt-scale", "--best-frame", "1") == 0
    assert animate(inputs, tmp_path / "scores", "--align_corners=false", "--no_adapt_scale", "--best_frame", "1") == 0
    assert np.array_equal(frames_in(tmp_path / "dashes"), frames_in(tmp_path / "scores"))


def test_json_says_what_was_done(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert animate(inputs, tmp_path / "out", "--json", "--quiet", "--max_frames", "3", "--fps", "30000/1001") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    report = json.loads(captured.out)
    assert report["frames"] == 3
    assert report["rate"] == pytest.approx(30000 / 1001)
    assert report["path"] == str(tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_picture_drives_a_picture(inputs: Path, tmp_path: Path) -> None:
    driving = inputs / "driving" / "2.png"
    assert animate(inputs, tmp_path / "out.png", "--driving_video", str(driving), "--absolute", "--mark", "none") == 0
    result = np.asarray(Image.open(tmp_path / "out.png"))
    assert animate(inputs, tmp_path / "frames", "--absolute") == 0
    assert np.array_equal(result, frames_in(tmp_path / "frames")[2])


def test_quiet_prints_nothing(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert animate(inputs, tmp_path / "out", "--quiet") == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_the_last_line_names_frames_speed_and_path(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert animate(inputs, tmp_path / "out") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"wrote 4 PNG frames to {tmp_path / 'out'}")
    assert "frames/s" in last
