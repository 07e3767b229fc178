"""No command destroys what it reads, and each names files that it cannot read or write."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fomm_cli.cli import main
from fomm_cli.models.bundled import sample
from support.parity_data import PARITY

CONFIG, CHECKPOINT = PARITY / "tiny_first_order.yaml", PARITY / "tiny_first_order.pth.tar"
Given = Callable[[str], str]


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Given:
    """Gives a file in the working folder: a copy of the sample, the tiny model or its config, told by ``kind:name``."""
    monkeypatch.chdir(tmp_path)
    source, driving = sample()
    kinds = {"source": source, "driving": driving, "checkpoint": CHECKPOINT, "config": CONFIG}

    def copy(text: str) -> str:
        kind, colon, name = text.partition(":")
        if not colon or kind not in kinds:
            return text
        if not Path(name).exists():
            shutil.copy(kinds[kind], name)
        return name

    return copy


ANIMATE = "animate --cpu --crop none --max_frames 1 --face_backend builtin"
MODEL = f"--config {CONFIG} --checkpoint {CHECKPOINT}"
OVERWRITING = [
    f"{ANIMATE} {MODEL} -s source:a.png -d driving:d.mp4 -o d.mp4",
    f"{ANIMATE} {MODEL} -s source:a.png -d source:b.png -o a.png",
    f"{ANIMATE} --config config:c.png --checkpoint {CHECKPOINT} -s source:a.png -d source:b.png -o c.png",
    f"{ANIMATE} --config {CONFIG} --checkpoint checkpoint:ck.mp4 -s source:a.png -d driving:d.mp4 -o ck.mp4",
    f"{ANIMATE} {MODEL} -s source:a.png -d driving:r_visualization.mp4 --visualize -o r.mp4",
    f"{ANIMATE} {MODEL} -s source:r_visualization.png -d source:b.png --visualize -o r.png",
    "score driving:r.mp4 -d driving:d.mp4 --csv d.mp4",
    "score driving:r.mp4 -d driving:d.mp4 --csv r.mp4",
    "score driving:r.mp4 -d driving:d.mp4 -s source:s.png --plot s.png",
    "convert checkpoint:x.safetensors x.safetensors --half",
    "convert checkpoint:x.pth.tar --config config:c.safetensors c.safetensors",
    f"motion extract {MODEL} -d driving:d.npz.mp4 -o link.npz",
    f"bench -s source:a.png -d driving:d.mp4 {MODEL} --json d.mp4",
    "export --checkpoint checkpoint:generator.onnx --config config:c.yaml -o .",
    "crop --inp driving:d_000.mp4 -o linked --face_backend builtin",
]


@pytest.mark.parametrize("line", OVERWRITING)
def test_no_input_is_overwritten(line: str, given: Given, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [given(word) for word in line.split()]
    Path("link.npz").symlink_to("d.npz.mp4")
    Path("linked").mkdir()
    Path("linked/d_000_000.mp4").symlink_to(tmp_path / "d_000.mp4")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    code = main(words)

    captured = capsys.readouterr()
    assert code == 2
    assert "would overwrite the input" in captured.err
    assert len(captured.err.splitlines()) == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


PLACES = [
    ("-", "cannot be written to the standard output (-). Name a file."),
    (".", "would be scattered in"),
    ("new/sub/r.mp4", "Create it: mkdir -p new/sub"),
    ("n" * 300 + ".mp4", "File name too long"),
    ("n/" * 2500 + "r.mp4", "File name too long"),
    ("fifo.mp4", "fifo.mp4 is a pipe or a device, not a file"),
    ("%0999999999d.png", "can hold one"),
]


@pytest.mark.parametrize(("place", "words"), PLACES, ids=range(len(PLACES)))
def test_places_where_nothing_can_be_written(
    place: str, words: str, given: Given, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo("fifo.mp4")
    source, driving = given("source:a.png"), given("driving:d.mp4")
    before = sorted(tmp_path.iterdir())
    code = main([*f"{ANIMATE} {MODEL}".split(), "-s", source, "-d", driving, "-o", place])
    error = capsys.readouterr().err
    assert code == 2
    assert words in error
    assert len(error.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_frames_in_a_folder_are_called_so(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    source, driving = given("source:a.png"), given("driving:d.mp4")
    assert main([*f"{ANIMATE} {MODEL}".split(), "-s", source, "-d", driving, "-o", "out"]) == 0
    assert capsys.readouterr().out.startswith("wrote 1 PNG frame to out/ (add .mp4 for a video)")


@pytest.mark.parametrize("option", ["-s", "-d", "--config", "--checkpoint"])
def test_a_pipe_is_refused_rather_than_waited_for(
    option: str, given: Given, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo("pipe.png")
    files = {"-s": given("source:a.png"), "-d": given("driving:d.mp4"), "--config": str(CONFIG)}
    files |= {"--checkpoint": str(CHECKPOINT), option: "pipe.png"}
    assert main([*ANIMATE.split(), *(word for pair in files.items() for word in pair)]) == 2
    assert "pipe.png is a named pipe" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["-s", "-d"])
def test_an_address_is_not_read(option: str, given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"-s": given("source:a.png"), "-d": given("driving:d.mp4"), option: "https://example.com/me.jpg"}
    assert main([*f"{ANIMATE} {MODEL}".split(), *(word for pair in files.items() for word in pair)]) == 2
    assert "https://example.com/me.jpg is an address, and addresses are not read" in capsys.readouterr().err
