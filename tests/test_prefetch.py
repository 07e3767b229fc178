"""Stages that run side by side: order, errors, ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from fomm_cli.pipeline.prefetch import batched, prefetch


def test_items_come_in_order_from_another_thread() -> None:
    threads = []

    def work() -> Iterator[int]:
        for item in range(100):
            threads.append(threading.get_ident())
            yield item

    assert list(prefetch(work(), depth=3)) == list(range(100))
    assert set(threads).isdisjoint({threading.get_ident()})


def test_it_runs_ahead_but_not_further_than_asked() -> None:
    made = []

    def work() -> Iterator[int]:
        for item in range(100):
            made.append(item)
            yield item

    items = prefetch(work(), depth=3)
    next(items)
    deadline = time.monotonic() + 5
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(made) == 5  # one taken, three waiting, one in hand
    items.close()


def test_an_error_arrives_in_its_place() -> None:
    def work() -> Iterator[int]:
        yield 1
        raise OSError("disk on fire")

    items = prefetch(work(), depth=3)
    assert next(items) == 1
    with pytest.raises(OSError, match="disk on fire"):
        next(items)


def test_closing_ends_the_thread_and_what_it_runs() -> None:
    closed = threading.Event()

    def work() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    before = threading.active_count()
    items = prefetch(work(), depth=2)
    next(items)
    items.close()
    assert closed.is_set()
    assert threading.active_count() == before


def test_stages_can_be_chained_and_closed_as_one() -> None:
    inner_closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            inner_closed.set()

    chained = prefetch((item * 2 for item in prefetch(source(), depth=1)), depth=1)
    assert next(chained) == 0
    chained.close()
    assert inner_closed.wait(5)


def test_batches_keep_every_item() -> None:
    assert list(batched(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(batched([], 3)) == []
