"""Whatever users feed it: one line that names the culprit, the right exit code, nothing left behind."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest
from PIL import Image

from fomm_cli.cli import main
from fomm_cli.models.bundled import sample
from support.parity_data import PARITY

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
EARLIER = b"the result of an earlier run"
Case = Callable[[Path], list[str]]


def case(words: str) -> Callable[[Case], Case]:
    """Mark a function that makes bad input in a folder and returns the options that point at it."""

    def mark(function: Case) -> Case:
        CASES.append(pytest.param(function, words, id=function.__name__))
        return function

    return mark


CASES: list[object] = []


@case("nobody.png does not exist")
def missing_source(folder: Path) -> list[str]:
    return ["--source_image", str(folder / "nobody.png")]


@case("source.png")
def misspelt_source(folder: Path) -> list[str]:
    return ["--source_image", str(folder / "sorce.png")]


@case("empty.png")
def empty_source(folder: Path) -> list[str]:
    (folder / "empty.png").touch()
    return ["--source_image", str(folder / "empty.png")]


@case("folder")
def folder_as_source(folder: Path) -> list[str]:
    (folder / "pictures").mkdir()
    return ["--source_image", str(folder / "pictures")]


@case("cut.jpg")
def cut_source(folder: Path) -> list[str]:
    Image.open(sample()[0]).save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:4000])
    return ["--source_image", str(folder / "cut.jpg")]


@case("web page")
def web_page_as_source(folder: Path) -> list[str]:
    (folder / "photo.jpg").write_text("<!DOCTYPE html><html><body>403 Forbidden</body></html>")
    return ["--source_image", str(folder / "photo.jpg")]


@case("notes.txt")
def text_as_source(folder: Path) -> list[str]:
    (folder / "notes.txt").write_text("not a picture")
    return ["--source_image", str(folder / "notes.txt")]


@case("megapixels")
def gigantic_source(folder: Path) -> list[str]:
    Image.new("1", (30_000, 30_000)).save(folder / "huge.png")
    return ["--source_image", str(folder / "huge.png")]


@case("nothing.mp4 does not exist")
def missing_driving(folder: Path) -> list[str]:
    return ["--driving_video", str(folder / "nothing.mp4")]


@case("empty.mp4")
def empty_driving(folder: Path) -> list[str]:
    (folder / "empty.mp4").touch()
    return ["--driving_video", str(folder / "empty.mp4")]


@case("fake.mp4")
def text_as_driving(folder: Path) -> list[str]:
    (folder / "fake.mp4").write_text("this is no video" * 100)
    return ["--driving_video", str(folder / "fake.mp4")]


@case("sound.wav")
def sound_as_driving(folder: Path) -> list[str]:
    _ffmpeg("-f", "lavfi", "-i", "sine=d=1", folder / "sound.wav")
    return ["--driving_video", str(folder / "sound.wav")]


@case("cut.mp4")
def driving_without_index(folder: Path) -> list[str]:
    _ffmpeg("-f", "lavfi", "-i", "testsrc=d=1", folder / "whole.mp4")
    (folder / "cut.mp4").write_bytes((folder / "whole.mp4").read_bytes()[:8000])
    (folder / "whole.mp4").unlink()
    return ["--driving_video", str(folder / "cut.mp4")]


@case("frames")
def empty_folder_as_driving(folder: Path) -> list[str]:
    (folder / "frames").mkdir()
    return ["--driving_video", str(folder / "frames")]


@case("--source_image is missing")
def driving_alone(_: Path) -> list[str]:
    return ["--source_image"]  # taken out again by the test


@case("there is no checkpoint")
def missing_checkpoint(folder: Path) -> list[str]:
    return ["--checkpoint", str(folder / "vox-cpk.pth.tar")]


@case("web page")
def web_page_as_checkpoint(folder: Path) -> list[str]:
    (folder / "vox-cpk.pth.tar").write_text("<html>Google Drive can't scan this file for viruses</html>")
    return ["--checkpoint", str(folder / "vox-cpk.pth.tar")]


@case("cut short")
def cut_checkpoint(folder: Path) -> list[str]:
    whole = (PARITY / "tiny_first_order.pth.tar").read_bytes()
    (folder / "vox-cpk.pth.tar").write_bytes(whole[: len(whole) // 2])
    return ["--checkpoint", str(folder / "vox-cpk.pth.tar")]


@case("do not fit the config")
def checkpoint_of_another_config(_: Path) -> list[str]:
    return ["--config", "vox-256"]


@case("vox-265")
def misspelt_config(_: Path) -> list[str]:
    return ["--config", "vox-265"]


@case("num_kpp")
def config_with_an_unknown_key(folder: Path) -> list[str]:
    text = (PARITY / "tiny_first_order.yaml").read_text().replace("num_kp:", "num_kpp:")
    (folder / "mine.yaml").write_text(text)
    return ["--config", str(folder / "mine.yaml")]


@case("not valid YAML")
def config_that_is_no_yaml(folder: Path) -> list[str]:
    (folder / "mine.yaml").write_text("model_params: [1, 2")
    return ["--config", str(folder / "mine.yaml")]


@case("cannot be written")
def unknown_kind_of_result(folder: Path) -> list[str]:
    return ["--result_video", str(folder / "result.docx")]


@case("There is no folder")
def result_in_a_missing_folder(folder: Path) -> list[str]:
    return ["--result_video", str(folder / "missing" / "result.mp4")]


@case("can hold one image")
def picture_for_a_video(folder: Path) -> list[str]:
    return ["--result_video", str(folder / "result.png")]


@case("would overwrite the input")
def result_over_the_driving_video(folder: Path) -> list[str]:
    shutil.copy(sample()[1], folder / "mine.mp4")
    return ["--driving_video", str(folder / "mine.mp4"), "--result_video", str(folder / "mine.mp4")]


@case("is a file without a suffix")
def file_for_a_folder(folder: Path) -> list[str]:
    (folder / "frames").write_text("a file")
    return ["--result_video", str(folder / "frames")]


@case("--best_frame 500 is beyond the end")
def best_frame_beyond_the_end(_: Path) -> list[str]:
    return ["--best_frame", "500"]


@case("invalid --best_frame -1")
def negative_best_frame(_: Path) -> list[str]:
    return ["--best_frame", "-1"]


@case("exclude each other")
def two_best_frames(_: Path) -> list[str]:
    return ["--best_frame", "1", "--find_best_frame"]


@case("has no frame from second 100")
def start_beyond_the_end(_: Path) -> list[str]:
    return ["--start", "100"]


@case("invalid --end 1.")
def end_before_start(_: Path) -> list[str]:
    return ["--start", "2", "--end", "1"]


@case("invalid --start nan")
def start_that_is_no_number(_: Path) -> list[str]:
    return ["--start", "nan"]


@case("invalid --max_frames 0")
def no_frames(_: Path) -> list[str]:
    return ["--max_frames", "0"]


@case("invalid --crf 99")
def quality_off_the_scale(_: Path) -> list[str]:
    return ["--crf", "99"]


@case("--fps")
def rate_that_is_no_number(_: Path) -> list[str]:
    return ["--fps", "1/0"]


@case("--align_corners")
def neither_true_nor_false(_: Path) -> list[str]:
    return ["--align_corners", "maybe"]


@case("--device tpu is unknown")
def unknown_device(_: Path) -> list[str]:
    return ["--device", "tpu"]


@case("--device cuda:99")
def device_that_is_not_there(_: Path) -> list[str]:
    return ["--device", "cuda:99"]


@case("--sauce_image")
def unknown_option(_: Path) -> list[str]:
    return ["--sauce_image", "x.png"]


def _ffmpeg(*arguments: object) -> None:
    subprocess.run([FFMPEG, "-loglevel", "error", "-y", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize(("make", "words"), CASES)
def test_bad_input(make: Case, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, driving = sample()
    shutil.copy(source, tmp_path / "source.png")
    (tmp_path / "result.mp4").write_bytes(EARLIER)
    options = ["--cpu", "--max_frames", "2", "--source_image", str(source), "--driving_video", str(driving)]
    options += ["--config", str(PARITY / "tiny_first_order.yaml"), "--face_backend", "builtin"]
    options += [
        "--checkpoint",
        str(PARITY / "tiny_first_order.pth.tar"),
        "--result_video",
        str(tmp_path / "result.mp4"),
    ]
    extra = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    if extra == ["--source_image"]:
        position = options.index("--source_image")
        del options[position : position + 2]
        extra = []

    code = main(["animate", *options, *extra])

    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert captured.err.startswith("fomm: error: ")
    assert words in captured.err
    assert (tmp_path / "result.mp4").read_bytes() == EARLIER
    assert sorted(tmp_path.rglob("*")) == before


def test_debug_shows_the_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _source, driving = sample()
    files = ["--source_image", str(tmp_path / "nobody.png"), "--driving_video", str(driving)]
    assert main(["animate", *files, "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("checkpoint", "told"),
    [("vox-cpk.pth.tar", "fomm download vox"), ("vox-adw", "Did you mean --checkpoint vox-adv?")],
)
def test_a_missing_checkpoint_names_the_way_to_get_it(
    checkpoint: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    source, driving = sample()
    assert main(["animate", "-s", str(source), "-d", str(driving), "--checkpoint", checkpoint]) == 2
    assert told in capsys.readouterr().err


def test_swapped_files_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, driving = sample()
    assert main(["animate", "-s", str(driving), "-d", str(source), "-o", str(tmp_path / "x.mp4")]) == 2
    assert "are they swapped?" in capsys.readouterr().err
