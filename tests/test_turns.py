"""The lock that lets a test which measures time run alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="nothing is locked on Windows")

# Writes "in" and "out" with what it wanted, between which it stays for as long as its standard input is open.
STAY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from support.turns import turn
gate, field, diary = map(Path, sys.argv[2:5])
print("started", flush=True)
with turn(alone=sys.argv[5] == "alone", gate=gate, field=field):
    with diary.open("a") as file:
        file.write(f"{sys.argv[5]} in\\n")
    print("in", flush=True)
    sys.stdin.read()
    with diary.open("a") as file:
        file.write(f"{sys.argv[5]} out\\n")
"""


def test_who_measures_time_is_alone_and_is_not_kept_waiting_by_newcomers(tmp_path: Path) -> None:
    for name in ("gate", "field", "diary"):
        (tmp_path / name).touch()
    files = [str(tmp_path / name) for name in ("gate", "field", "diary")]
    processes = []

    def enter(wish: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", STAY, str(Path(__file__).parent), *files, wish]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "started\n"  # type: ignore[union-attr]
        return process

    def leave(process: subprocess.Popen[str]) -> None:
        assert process.stdout.readline() == "in\n"  # type: ignore[union-attr]
        process.communicate(timeout=20)

    try:
        first, second = enter("shared 1"), enter("shared 2")
        assert first.stdout.readline() == second.stdout.readline() == "in\n"  # type: ignore[union-attr]
        alone = enter("alone")
        while _is_free(tmp_path / "gate"):
            pass  # until the gate is closed
        third = enter("shared 3")
        first.communicate(timeout=20)
        second.communicate(timeout=20)
        leave(alone)
        leave(third)
    finally:
        for process in processes:
            process.kill()
    diary = (tmp_path / "diary").read_text().splitlines()
    assert {*diary[:2]} == {"shared 1 in", "shared 2 in"}
    assert diary[2:] == ["shared 1 out", "shared 2 out", "alone in", "alone out", "shared 3 in", "shared 3 out"]


def _is_free(path: Path) -> bool:
    import fcntl

    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        fcntl.flock(file, fcntl.LOCK_UN)
        return True
