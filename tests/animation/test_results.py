"""Whole runs, from real files to real files, read back by the ffmpeg program."""

from __future__ import annotations

import json
import re
import subprocess
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from fomm_cli.cli import main
from fomm_cli.models.bundled import sample
from support.media_helpers import FFMPEG, describe, ffmpeg, metadata
from support.parity_data import PARITY

MODEL = [f"--config={PARITY / 'tiny_zero_order.yaml'}", f"--checkpoint={PARITY / 'tiny_zero_order.pth.tar'}"]


def frame_times(path: Path) -> list[Fraction]:
    """Presentation times in seconds, in order, as the program's demultiplexer gives them."""
    command = [FFMPEG, "-loglevel", "error", "-i", str(path), "-map", "0:v", "-c", "copy", "-f", "framecrc", "-"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    base = next(Fraction(line.split()[-1]) for line in lines if line.startswith("#tb"))
    return sorted(int(line.split(",")[2]) * base for line in lines if not line.startswith("#"))


def animate(driving: Path, result: Path, *options: object) -> int:
    files = ["--source_image", str(sample()[0]), "--driving_video", str(driving), "--result_video", str(result)]
    return main(["animate", *MODEL, *files, "--cpu", *map(str, options)])


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds at 30000/1001 frames/s, with sound."""
    path = tmp_path_factory.mktemp("driving") / "talking: 100%.mp4"
    picture = ("-f", "lavfi", "-i", "testsrc=size=322x240:rate=30000/1001:duration=2")
    sound = ("-f", "lavfi", "-i", "sine=frequency=440:duration=2")
    ffmpeg(*picture, *sound, "-c:v", "libx264", "-c:a", "aac", f"file:{path}")
    return path


@pytest.mark.parametrize(
    ("suffix", "codec", "audio"),
    [(".mp4", "h264", "aac"), (".mov", "h264", "aac"), (".webm", "vp9", "opus"), (".gif", "gif", None)],
)
def test_every_kind_of_video(suffix: str, codec: str, audio: str | None, talking: Path, tmp_path: Path) -> None:
    result = tmp_path / f"out{suffix}"
    assert animate(talking, result, "--audio") == 0
    said = describe(result)
    assert f"Video: {codec}" in said
    assert "256x256" in said
    assert (f"Audio: {audio}" in said) if audio else ("Audio:" not in said)
    assert list(tmp_path.iterdir()) == [result]
    duration = Fraction(60 * 1001, 30000)
    times = frame_times(result)
    rounding = Fraction(1, 100) if suffix == ".gif" else Fraction(1, 1000)
    assert len(times) == 60 + (suffix == ".gif")  # the comment at the end of a GIF counts as a packet
    assert abs(times[59] + Fraction(1001, 30000) - duration) <= rounding


def test_the_exact_rate_is_kept(talking: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert animate(talking, tmp_path / "out.mp4", "--json", "--quiet") == 0
    assert json.loads(capsys.readouterr().out)["rate"] == pytest.approx(30000 / 1001)
    times = frame_times(tmp_path / "out.mp4")
    assert [time * Fraction(30000, 1001) for time in times] == list(range(60))


def test_a_phone_clip_with_a_varying_rate_keeps_its_time(talking: Path, tmp_path: Path) -> None:
    phone = tmp_path / "phone.mp4"
    ffmpeg("-i", f"file:{talking}", "-vf", "select='not(between(mod(n,6),2,4))'", "-fps_mode", "vfr", phone)
    expected = frame_times(phone)
    assert animate(phone, tmp_path / "out.mp4") == 0
    times = frame_times(tmp_path / "out.mp4")
    assert len(times) == len(expected) == 30
    assert max(abs(a - b + expected[0]) for a, b in zip(times, expected, strict=True)) < Fraction(1, 1000)


def test_sound_is_trimmed_with_the_picture(talking: Path, tmp_path: Path) -> None:
    assert animate(talking, tmp_path / "out.mp4", "--audio", "--start", 0.5, "--end", 1.5) == 0
    wave = tmp_path / "out.wav"
    ffmpeg("-i", tmp_path / "out.mp4", "-ac", "1", wave)
    seconds = wave.stat().st_size / 2 / 44100
    assert seconds == pytest.approx(1.0, abs=0.06)
    assert len(frame_times(tmp_path / "out.mp4")) == 30


def test_sound_that_cannot_be_joined_does_not_cost_the_picture(
    talking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: "/nowhere/ffmpeg")
    assert animate(talking, tmp_path / "out.mp4", "--audio", "--max_frames", 3) == 0
    assert "the result is silent" in capsys.readouterr().err
    assert len(frame_times(tmp_path / "out.mp4")) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_silent_driving_video_is_a_notice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert animate(sample()[1], tmp_path / "out.mp4", "--audio", "--max_frames", 2) == 0
    assert "has no audio" in capsys.readouterr().err


def test_a_damaged_tail_is_a_warning(talking: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ffmpeg("-i", f"file:{talking}", "-c", "copy", "-movflags", "+faststart", tmp_path / "whole.mp4")
    whole = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    assert animate(tmp_path / "cut.mp4", tmp_path / "out.mp4", "--face_backend", "builtin") == 0
    assert 10 < len(frame_times(tmp_path / "out.mp4")) < 60
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert "cut.mp4" in warnings[0]


def test_the_file_says_that_it_is_synthetic(talking: Path, tmp_path: Path) -> None:
    assert animate(talking, tmp_path / "out.mp4", "--max_frames", 2, "--best_frame", 1, "--audio") == 0
    said = metadata(tmp_path / "out.mp4")
    assert "title=Synthetic media" in said
    comment = json.loads(re.search(r"comment=(\{.*\})", said)[1])
    assert comment["synthetic"] is True
    assert comment["best_frame"] == 1
    assert len(comment["checkpoint_sha256"]) == 64
    assert str(tmp_path) not in said


def test_visualize_puts_source_driving_and_result_side_by_side(talking: Path, tmp_path: Path) -> None:
    assert animate(talking, tmp_path / "out", "--visualize", "--max_frames", 3) == 0
    result = np.asarray(Image.open(tmp_path / "out" / "00002.png"))
    shown = np.asarray(Image.open(tmp_path / "out_visualization" / "00002.png"))
    assert shown.shape == (256, 768, 3)
    assert np.array_equal(shown[1:-1, 513:-1], result[1:-1, 1:-1])
    source = np.asarray(Image.open(sample()[0]))
    changed = (shown[1:-1, 1:255] != source[1:-1, 1:-1]).any(axis=2).mean()
    assert 0.001 < changed < 0.05  # ten small disks


def test_numbered_frames_replace_those_of_a_longer_run_only(talking: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert animate(talking, tmp_path / "f_%03d.png", "--max_frames", 4) == 0
    assert animate(talking, tmp_path / "f_%03d.png", "--max_frames", 2) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f_000.png", "f_001.png", "notes.txt"]


def test_a_clip_turned_upright_by_its_metadata(talking: Path, tmp_path: Path) -> None:
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", 90, "-i", f"file:{talking}", "-c", "copy", turned)
    upright = tmp_path / "upright.mp4"
    ffmpeg("-i", turned, "-crf", 0, "-pix_fmt", "yuv444p", upright)  # the program turns the pictures themselves
    for clip in (turned, upright):
        assert animate(clip, tmp_path / clip.stem, "--max_frames", 1, "--absolute", "--visualize") == 0
    pictures = [
        np.asarray(Image.open(tmp_path / f"{name}_visualization" / "00000.png"))[:, 256:512].astype(int)
        for name in ("turned", "upright")
    ]
    assert np.abs(pictures[0] - pictures[1]).mean() < 3


def test_the_real_clip_with_the_full_size_model(shared: Path, full_checkpoint: Path, tmp_path: Path) -> None:
    portrait, clip = shared / "media" / "portrait-b.png", shared / "media" / "driving.mp4"
    flags = ["--config", "vox-256", "--checkpoint", str(full_checkpoint), "--source_image", str(portrait)]
    flags += ["--driving_video", str(clip), "--relative", "--adapt_scale", "--cpu", "--max_frames", "6", "--audio"]
    assert main(["animate", *flags, "--result_video", str(tmp_path / "result.mp4")]) == 0
    said = describe(tmp_path / "result.mp4")
    assert "30 fps" in said
    assert "Audio: aac" in said
    assert frame_times(tmp_path / "result.mp4") == [Fraction(index, 30) for index in range(6)]
