"""Files and folders that may not be read or written: one line that names them, whoever runs the tests."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fomm_cli.models.bundled import sample
from support.parity_data import PARITY
from support.permissions import run_bound

CONFIG, CHECKPOINT = PARITY / "tiny_first_order.yaml", PARITY / "tiny_first_order.pth.tar"
MODEL = f"--config {CONFIG} --checkpoint {CHECKPOINT} --cpu"
ANIMATE = "animate --crop none --max_frames 1"

LINES = [
    f"{ANIMATE} {MODEL} -s hidden.png -d d.mp4 -o r.mp4",
    f"{ANIMATE} {MODEL} -s s.png -d hidden.mp4 -o r.mp4",
    f"{ANIMATE} {MODEL} -s s.png -d hidden.npz -o r.mp4",
    f"{ANIMATE} {MODEL} -s s.png -d hidden/frames -o r.mp4",
    f"{ANIMATE} {MODEL} -s s.png -d d.mp4 -o hidden/r.mp4",
    f"{ANIMATE} {MODEL} -s s.png -d d.mp4 -o readonly/r.mp4",
    f"{ANIMATE} {MODEL} -s s.png -d d.mp4 -o readonly/frames",
    f"{ANIMATE} --config {CONFIG} --checkpoint hidden.pth.tar -s s.png -d d.mp4 -o r.mp4",
    f"{ANIMATE} --config hidden.yaml --checkpoint {CHECKPOINT} -s s.png -d d.mp4 -o r.mp4",
    f"batch {MODEL} --crop none --pairs hidden.csv -o out",
    f"batch {MODEL} --crop none -s hidden.png -d d.mp4 -o out",
    f"batch {MODEL} --crop none -s s.png -d d.mp4 -o readonly",
    f"batch {MODEL} --crop none -s s.png -d d.mp4 -o readonly/out",
    "check -s hidden.png --face_backend builtin",
    "crop --inp hidden.mp4 -o clips --face_backend builtin",
    f"convert hidden.pth.tar x.safetensors --config {CONFIG}",
    f"convert {CHECKPOINT} readonly/x.safetensors --config {CONFIG}",
    f"export --checkpoint {CHECKPOINT} --config {CONFIG} -o readonly",
    f"motion extract {MODEL} --max_frames 1 -d d.mp4 -o readonly/m.npz",
    f"reconstruct {MODEL} . -o readonly/r",
    f"evaluate {MODEL} hidden -o e",
    "score d.mp4 -d hidden.mp4",
    "study -s s.png -d d.mp4 -o readonly/study",
    "study -s s.png -d d.mp4 -o study --ratings hidden.csv",
    f"train --config {CONFIG} --data hidden --log_dir log",
]

ANSWER = """
import contextlib, io, json, sys
from fomm_cli.cli import main
answers = []
for line in json.load(sys.stdin):
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = main([*line.split(), "--quiet"])
    answers.append([code, said.getvalue()])
json.dump(answers, sys.stdout)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder: a source and a driving video, files and a folder that may not be read, and a full one that
    may not be written.
    """
    monkeypatch.chdir(tmp_path)
    source, driving = sample()
    shutil.copy(source, "s.png")
    shutil.copy(driving, "d.mp4")
    for name in ("hidden.png", "hidden.mp4", "hidden.npz", "hidden.pth.tar", "hidden.yaml", "hidden.csv"):
        Path(name).write_bytes(b"x")
        Path(name).chmod(0)
    Path("hidden/frames").mkdir(parents=True)
    Path("hidden").chmod(0)
    Path("readonly").mkdir(mode=0o500)
    yield tmp_path
    for name in ("hidden", "readonly"):
        Path(name).chmod(0o700)


def test_each_command_names_what_it_may_not_read_or_write(folder: Path) -> None:
    done = run_bound([sys.executable, "-c", ANSWER], json.dumps(LINES), folder)
    assert done.returncode == 0, done.stderr
    wrong = [
        f"{line}: exit code {code}: {said}"
        for line, (code, said) in zip(LINES, json.loads(done.stdout), strict=True)
        if code not in (1, 2)
        or said.count("\n") != 1
        or "unexpected" in said
        or "Permission denied" not in said
        or ("readonly" in line) != ("readonly" in said)
        or ("hidden" in line) != ("hidden" in said)
    ]
    assert not wrong, "\n".join(wrong)
