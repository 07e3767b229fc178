"""Run stages of a pipeline in parallel threads."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar, cast

T = TypeVar("T")
R = TypeVar("R")

_END = object()


@dataclass(frozen=True)
class _Failure:
    error: BaseException


def prefetch(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Run an iterator in a thread of its own, at most `depth` items ahead.

    An exception in it is raised here, in its place; when this iterator is closed or collected, the thread ends and
    closes `items`.

    Args:
        items: the iterator; only the thread uses it.
        depth: how many finished items may wait, at least 1.
    """
    handover: queue.Queue[object] = queue.Queue(maxsize=depth)
    stopped = threading.Event()
    worker = threading.Thread(target=_work, args=(items, handover, stopped), daemon=True)
    worker.start()
    try:
        while (item := _receive(handover)) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield cast("T", item)
    finally:
        stopped.set()
        worker.join()


def _receive(handover: queue.Queue[object]) -> object:
    while True:
        try:
            return handover.get(timeout=0.5)  # without a timeout Ctrl-C would not work on Windows
        except queue.Empty:
            continue


def _work(items: Iterable[object], handover: queue.Queue[object], stopped: threading.Event) -> None:
    try:
        for item in items:
            if not _offer(item, handover, stopped):
                return
        last: object = _END
    except BaseException as error:  # noqa: BLE001 - raised again in the consumer
        last = _Failure(error)
    finally:
        if isinstance(items, Generator):
            items.close()
    _offer(last, handover, stopped)


def _offer(item: object, handover: queue.Queue[object], stopped: threading.Event) -> bool:
    """Put an item into the queue; return False once the consumer has stopped."""
    while not stopped.is_set():
        try:
            handover.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False


def in_parallel(
    work: Callable[[T], R], items: Iterable[T], workers: int, begin: Callable[[], object]
) -> Generator[R, None, None]:
    """Process several items at a time, and yield the results in the order of the items.

    An exception is raised here, in its place; when this iterator is closed or collected, no more work starts.

    Args:
        work: the function to call with each item.
        items: read in the thread that reads the results, at most twice as many ahead as there are workers.
        workers: number of threads.
        begin: called first in each thread.
    """
    with ThreadPoolExecutor(workers, initializer=begin) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) == 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def on_shared_threads(work: Callable[[T], R], items: Iterable[T], workers: int) -> Generator[R, None, None]:
    """Compute something of several items at a time; the workers share the processor threads of PyTorch.

    Args:
        work: the function to call with each item.
        items: as in `in_parallel`.
        workers: number of threads; 1 computes in the calling thread.
    """
    import torch

    if workers == 1:
        yield from map(work, items)
        return
    threads = torch.get_num_threads()
    share = partial(torch.set_num_threads, max(1, threads // workers))
    share()
    try:
        yield from in_parallel(work, items, workers, share)
    finally:
        torch.set_num_threads(threads)


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of `size` items; the last one may be shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
