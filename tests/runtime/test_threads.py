"""Stages that run side by side: order, errors, ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from fomm_cli.runtime.threads import batched, in_parallel, prefetch


def recorded(made: list[int]) -> Iterator[int]:
    """A hundred items, each noted when it is made."""
    for item in range(100):
        made.append(item)
        yield item


def test_items_come_in_order_from_another_thread() -> None:
    threads = []

    def work() -> Iterator[int]:
        for item in range(100):
            threads.append(threading.get_ident())
            yield item

    assert list(prefetch(work(), depth=3)) == list(range(100))
    assert set(threads).isdisjoint({threading.get_ident()})


def test_it_runs_ahead_but_not_further_than_asked() -> None:
    made: list[int] = []
    items = prefetch(recorded(made), depth=3)
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


def test_parallel_results_come_in_the_order_of_the_items() -> None:
    def late_at_first(item: int) -> int:
        time.sleep(0.02 * (item < 2))
        return -item

    assert list(in_parallel(late_at_first, range(20), 3, list)) == [-item for item in range(20)]


def test_parallel_work_is_done_by_so_many_threads_at_a_time() -> None:
    begun, together = [], threading.Barrier(3)  # nobody passes before all three are there

    def work(_item: int) -> int:
        together.wait(timeout=10)
        return threading.get_ident()

    threads = set(in_parallel(work, range(6), 3, lambda: begun.append(threading.get_ident())))
    assert threads <= set(begun)
    assert len(begun) == 3
    assert threading.get_ident() not in begun


def test_parallel_work_reads_a_few_items_ahead() -> None:
    taken: list[int] = []
    results = in_parallel(abs, recorded(taken), 2, list)
    for done in range(1, 10):
        next(results)
        assert len(taken) <= done + 3
    results.close()


def test_an_error_in_parallel_work_comes_in_its_place() -> None:
    results = in_parallel(partial(divmod, 6), [1, 2, 0, 3], 2, list)
    assert [next(results), next(results)] == [(6, 0), (3, 0)]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_closing_ends_parallel_work() -> None:
    before, done = threading.active_count(), []
    results = in_parallel(done.append, range(1000), 2, list)
    next(results)
    results.close()
    assert threading.active_count() == before
    assert len(done) <= 4
