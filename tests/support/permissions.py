"""Start processes that file permissions bind, also where the tests run as root."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

import pytest

_DROP_FROM_BOUNDING_SET = 24  # PR_CAPBSET_DROP of prctl in Linux
_OVERRIDES = (1, 2)  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by which root passes over permissions


def run_bound(command: list[str], given: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a user whom permissions bind; skip the test where there is no way to do so.

    Args:
        command: program and arguments.
        given: what the command reads from its standard input.
        folder: for a file that tells whether permissions bind.
    """
    if os.name == "nt":
        pytest.skip("Windows has other permissions")
    locked = folder / "locked"
    locked.touch(0)
    if subprocess.run(["cat", locked], capture_output=True, check=False, preexec_fn=_give_up_overrides).returncode == 0:
        pytest.skip("this user may read everything, and cannot give that up")
    return subprocess.run(
        command, input=given, capture_output=True, text=True, check=False, preexec_fn=_give_up_overrides
    )


def _give_up_overrides() -> None:
    """Take from the program that this process is about to become what root has beyond its own files."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if os.geteuid() == 0 and prctl is not None:
        for capability in _OVERRIDES:
            prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)
