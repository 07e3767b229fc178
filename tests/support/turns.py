"""Let tests that measure time run alone; other workers of pytest-xdist wait for them between two tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if os.name != "nt":
    import fcntl

_GATE, _FIELD = Path(__file__), Path(__file__).parents[1] / "conftest.py"


@contextmanager
def turn(*, alone: bool, gate: Path = _GATE, field: Path = _FIELD) -> Iterator[None]:
    """Hold a place among all processes that run tests, or the only one.

    Who wants to be alone closes the gate, so that nobody else enters the field, and waits until it is empty. On
    Windows nothing is locked.

    Args:
        alone: whether no other process may hold a place meanwhile.
        gate: a file that is there, whose lock is the gate; nothing is written to it.
        field: the same for the field.
    """
    if os.name == "nt":
        yield
        return
    with gate.open("rb") as gate_file, field.open("rb") as field_file:
        fcntl.flock(gate_file, fcntl.LOCK_EX)
        fcntl.flock(field_file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if not alone:
            fcntl.flock(gate_file, fcntl.LOCK_UN)
        try:
            yield
        finally:  # processes that a test has forked hold the files open, so closing them would not unlock them
            fcntl.flock(field_file, fcntl.LOCK_UN)
            fcntl.flock(gate_file, fcntl.LOCK_UN)
