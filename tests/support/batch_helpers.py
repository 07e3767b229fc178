"""Make small inputs for batches: the parity images as files, and the smallest model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from support.interrupts import heed_interrupts
from support.parity_data import PARITY

CONFIG, CHECKPOINT = (PARITY / f"tiny_first_order{suffix}" for suffix in (".yaml", ".pth.tar"))
WEIGHTS = ["--config", str(CONFIG), "--checkpoint", str(CHECKPOINT), "--cpu", "--threads", "1"]
MODEL = [*WEIGHTS, "--precision", "fp32"]


def make_sources(folder: Path, count: int) -> Path:
    """Write `count` different images p00.png, p01.png, ..."""
    folder.mkdir(parents=True)
    source = np.load(PARITY / "inputs.npz")["source"]
    for index in range(count):
        Image.fromarray(np.roll(source, 8 * index, axis=1)).save(folder / f"p{index:02}.png")
    return folder


def make_driving(folder: Path, count: int = 4) -> Path:
    """Write a folder of `count` frames that move to and fro."""
    folder.mkdir(parents=True)
    frames = np.load(PARITY / "inputs.npz")["driving"]
    for index in range(count):
        frame = np.roll(frames[index % len(frames)], index % 7, axis=0)
        Image.fromarray(frame).save(folder / f"{index:04}.png")
    return folder


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "fomm_cli", *map(str, arguments)]


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts(),
    )


def results_in(folder: Path) -> dict[str, bytes]:
    """Return the results in a folder by name, without report and journal."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and path.name not in {"report.csv", "report.html"}
    }


def assert_no_debris(folder: Path) -> None:
    """Assert that nothing is left that only a run in progress needs."""
    assert list((folder / ".fomm" / "runs").iterdir()) == []
    assert not any(path.name.startswith(".") for path in folder.iterdir() if path.name != ".fomm")
