"""Motion templates that claim more than they hold, or numbers that break arithmetic: one error each, and at once."""

from __future__ import annotations

import io
import resource
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fomm_cli.animation.template import MotionTemplate
from fomm_cli.errors import InputError


def arrays(**changes: Any) -> dict[str, np.ndarray]:
    """The arrays of a template of two frames."""
    good = {
        "format": np.array(1),
        "checkpoint_sha256": np.array("0" * 64),
        "value": np.zeros((2, 3, 2), np.float32),
        "times": np.array([[0, 1, 1, 25], [1, 25, 1, 25]], np.int64),
        "rate": np.array([25, 1], np.int64),
        "size": np.array([64, 64], np.int64),
        "still": np.array(False),
        "offset": np.array([0, 1], np.int64),
    }
    return {**good, **changes}


def load(path: Path, **changes: Any) -> MotionTemplate:
    np.savez_compressed(path, **arrays(**changes))
    return MotionTemplate.load(path)


def test_a_good_one(tmp_path: Path) -> None:
    assert len(load(tmp_path / "a.npz").timeline) == 2


HUGE = 2**62
HOSTILE: dict[str, dict[str, Any]] = {
    "no keypoints": {"value": np.zeros((2, 0, 2), np.float32)},
    "no frames": {"value": np.zeros((0, 3, 2), np.float32), "times": np.zeros((0, 4), np.int64)},
    "late": {"times": np.array([[0, 1, 1, 25], [HUGE, 1, 1, 25]])},
    "long": {"times": np.array([[0, 1, HUGE, 1], [1, 25, 1, 25]])},
    "fine": {"times": np.array([[0, 1, -1, 25], [1, 25, 1, 25]])},
    "fast": {"rate": np.array([10**18, 1])},
    "slow": {"rate": np.array([1, 10**18])},
    "large": {"size": np.array([HUGE, 64])},
    "far": {"offset": np.array([HUGE, 1])},
    "over zero": {"offset": np.array([1, 0])},
    "times in floats": {"times": np.array([[0, 1, 1, 25], [1, 25, 1, np.nan]])},
    "objects": {"rate": np.array([25, 1], object)},
    "version": {"format": np.array("one")},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_values(what: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.npz is no motion template, or a damaged one"):
        load(tmp_path / "a.npz", **HOSTILE[what])


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_millions_of_frames_without_keypoints(tmp_path: Path) -> None:
    before = _peak()
    times = np.zeros((4_000_000, 4), np.int64)  # some kilobytes in the file
    with pytest.raises(InputError, match="is no motion template"):
        load(tmp_path / "a.npz", times=times, value=np.zeros((4_000_000, 0, 2), np.float32))
    assert _peak() - before < 700e6  # most of it for making the file


@pytest.mark.parametrize("shape", [(10**12, 3, 2), (2, 3, 3), (-1, 3, 2), (0,), ()])
def test_headers_that_lie(tmp_path: Path, shape: tuple[int, ...]) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    stream.write(bytes(48))
    assert _refused_with(tmp_path, stream.getvalue())


def test_a_header_that_is_no_python(tmp_path: Path) -> None:
    assert _refused_with(tmp_path, b"\x93NUMPY\x01\x00\x10\x00{'descr': ('<f4'" + bytes(48))


def _refused_with(folder: Path, value: bytes) -> bool:
    np.savez_compressed(folder / "good.npz", **arrays())
    with zipfile.ZipFile(folder / "good.npz") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(folder / "a.npz", "w") as archive:
        for name, content in {**parts, "value.npy": value}.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match=r"a\.npz is no motion template"):
        MotionTemplate.load(folder / "a.npz")
    return True
