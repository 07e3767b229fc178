"""Report progress from long work to its caller."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

Progress = Callable[[str, int, int | None], None]
"""Called with the name of a stage, the items done, and the items in all (None where that is unknown)."""


def silent(_stage: str, _done: int, _total: int | None) -> None:
    """Ignore all progress."""


def counted(items: Iterable[T], stage: str, total: int | None, progress: Progress) -> Iterator[T]:
    """Yield the items, and report each once it has been dealt with."""
    for done, item in enumerate(items, start=1):
        yield item
        progress(stage, done, total)
