"""Run units in processes on this machine, one for each device; a process that dies costs only its own unit."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from fomm_cli.batch.pool import Advanced, Event, Failed, Finished, Unit
from fomm_cli.errors import FommError
from fomm_cli.runtime.child import prepare_child, start_child

_INTERVAL = 0.2  # seconds between two reports of progress
_START_ATTEMPTS = 3


@dataclass
class _Worker:
    device: str
    process: BaseProcess
    connection: Connection
    ready: bool = False
    unit: Unit | None = None


class ProcessPool:
    """A pool of processes on this machine.

    Attributes:
        slots: number of units that run at a time.

    Args:
        devices: one process for each, started when there is work for it; they may repeat.
        threads: processor threads of all processes together; None for all cores.
        motion_folder: where driving keypoints are kept for all processes.
    """

    def __init__(self, devices: Sequence[str], threads: int | None, motion_folder: Path) -> None:
        self._threads = max(1, (threads or available_cores()) // len(devices))
        self._motion_folder = motion_folder
        self._failed_starts = 0
        self._free_devices = list(devices)
        self._workers: list[_Worker] = []
        self.slots = len(devices)

    def _new_worker(self, device: str) -> _Worker:
        return _Worker(device, *start_child(_work, device, self._threads, self._motion_folder))

    def start(self, unit: Unit, folder: Path) -> None:
        """Give a unit to a process that has none."""
        worker = next((worker for worker in self._workers if worker.unit is None), None)
        if worker is None:
            worker = self._new_worker(self._free_devices.pop(0))
            self._workers.append(worker)
        worker.unit = unit
        try:
            worker.connection.send((unit, folder))
        except OSError:
            return  # the process has died; events() notices

    def events(self, timeout: float) -> list[Event]:
        """Return the events since the last call, after `timeout` seconds at the latest."""
        if not self._workers:
            time.sleep(timeout)
            return []
        by_connection = {worker.connection: worker for worker in self._workers}
        return [
            event
            for connection in wait(list(by_connection), timeout)
            for event in self._listen(by_connection[connection])  # type: ignore[index]
        ]

    def _listen(self, worker: _Worker) -> list[Event]:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            return self._replace(worker)
        if isinstance(message, FommError):
            raise message
        worker.ready = True
        if isinstance(message, (Finished, Failed)):
            worker.unit = None
        return [] if message is None else [message]

    def _replace(self, worker: _Worker) -> list[Event]:
        """Put a new process in the place of one that died."""
        worker.connection.close()
        worker.process.join()
        how = _cause(worker.process.exitcode)
        self._failed_starts = 0 if worker.ready else self._failed_starts + 1
        if self._failed_starts >= _START_ATTEMPTS:
            raise FommError(f"the worker processes die when they start ({how})", "Try fewer --workers")
        self._workers[self._workers.index(worker)] = self._new_worker(worker.device)
        if worker.unit is None:
            return []
        return [Failed(worker.unit.number, f"the worker process {how}", may_pass=True)]

    def close(self) -> None:
        """Stop all processes at once."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()


def available_cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        hint = ", perhaps since memory ran out" if -code == 9 else ""
        return f"was ended by signal {-code}{hint}"
    return f"ended with code {code}"


def _work(connection: Connection, device: str, threads: int, motion_folder: Path) -> None:
    """Run in a worker process: answer units until it is stopped or its parent ends."""
    prepare_child()
    logging.getLogger("fomm_cli").addHandler(logging.NullHandler())

    from fomm_cli.batch.worker import PairWorker, answer

    try:
        worker = PairWorker(device, threads, motion_folder)
    except FommError as error:
        connection.send(error)
        return
    connection.send(None)
    while True:
        try:
            unit, folder = connection.recv()
        except EOFError:
            return
        connection.send(answer(worker, unit, folder, _Reporter(connection, unit.number)))


class _Reporter:
    """Send progress, at most five times per second."""

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection = connection
        self._number = number
        self._last = time.monotonic()

    def __call__(self, frames: int) -> None:
        if time.monotonic() - self._last >= _INTERVAL:
            self._last = time.monotonic()
            self._connection.send(Advanced(self._number, frames))
