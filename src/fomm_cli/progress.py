"""Report progress from long work to its caller."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

Progress = Callable[[str, int, int | None], None]
"""A function of the name of a stage, the items done, and the total of items (None if unknown)."""


def silent(_stage: str, _done: int, _total: int | None) -> None:
    """Ignore all progress."""


def counted(items: Iterable[T], stage: str, total: int | None, progress: Progress) -> Iterator[T]:
    """Yield the items, and report each one after it was processed."""
    for done, item in enumerate(items, start=1):
        yield item
        progress(stage, done, total)
