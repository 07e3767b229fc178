"""Run tasks in a child process, so that they can be ended at any moment and their memory is returned."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeAlias

from fomm_cli.errors import FommError
from fomm_cli.progress import Progress, silent
from fomm_cli.runtime.child import prepare_child, sendable_error, start_child

Task: TypeAlias = Callable[[dict[str, Any], Progress], Any]
"""Work for a child process: a function of a module, given its arguments and a progress callback."""

_IDLE_SECONDS = 300.0
_INTERVAL = 0.1  # seconds between two reports of progress


class StoppedError(Exception):
    """The work was ended by `Worker.stop`."""


class Worker:
    """Run tasks in a child process, one at a time; the process starts with the first and ends when it idles.

    `run` blocks and belongs into a thread; `stop` may be called from any other thread at any time.
    """

    def __init__(self, folder: Path) -> None:
        """Take the temporary folder of the server, which the child removes if the server is killed."""
        self._folder = folder
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._stopped = False

    def run(
        self,
        task: Task,
        arguments: dict[str, Any],
        progress: Progress = silent,
        note: Callable[[str], None] = lambda _: None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Any:
        """Run a task and return its result.

        Args:
            task: what to do.
            arguments: of the task.
            progress: told how far it is, at most ten times a second.
            note: given each message that the task logs.
            is_wanted: whether it still is to start; what makes it False calls `stop` next.

        Raises:
            FommError: what went wrong, and what to do.
            StoppedError: `stop` was called.
        """
        connection = self._ready(is_wanted)
        try:
            connection.send((task, arguments))
            while True:
                kind, value = connection.recv()
                if kind == "progress":
                    progress(*value)
                elif kind == "note":
                    note(value)
                elif kind == "failed":
                    raise value
                else:
                    return value
        except (EOFError, OSError) as error:
            lost = self._lost()
            if lost is not None:
                raise lost from error
        return self.run(task, arguments, progress, note, is_wanted)  # it idled and ended just before it was asked

    def stop(self) -> None:
        """End the process at once, whatever it is doing."""
        with self._lock:
            self._stopped = True
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join()

    def _ready(self, is_wanted: Callable[[], bool]) -> Connection:
        with self._lock:
            if not is_wanted():
                raise StoppedError
            self._stopped = False
            if self._process is not None and self._connection is not None and self._process.is_alive():
                return self._connection
            self._process, self._connection = start_child(_serve, self._folder)
            return self._connection

    def _lost(self) -> Exception | None:
        with self._lock:
            process, self._process = self._process, None
            if self._stopped or process is None:
                return StoppedError()
        process.join(1)
        code = process.exitcode
        if code == 0:
            return None
        hint = "Perhaps memory ran out: close other programs, or use a shorter or smaller video"
        return FommError(f"the process that computed it ended (exit code {code})", hint)


def _serve(connection: Connection, folder: Path) -> None:
    """Run tasks until the server is gone or asks for nothing for a while."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin would take the browser's turns
    prepare_child(at_end=lambda: shutil.rmtree(folder, ignore_errors=True))
    channel = _Channel(connection)
    logger = logging.getLogger("fomm_cli")
    logger.setLevel(logging.INFO)
    logger.addHandler(_Notes(channel))
    while connection.poll(_IDLE_SECONDS):
        try:
            task, arguments = connection.recv()
        except EOFError:
            return
        channel.send(*_answer(task, arguments, _Reporter(channel)))


class _Channel:
    """Send messages to the server from any thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, kind: str, value: Any) -> None:
        with self._lock:
            self._connection.send((kind, value))


def _answer(task: Task, arguments: dict[str, Any], progress: Progress) -> tuple[str, Any]:
    try:
        return "done", task(arguments, progress)
    except Exception as error:  # noqa: BLE001 - one task must not end the server
        return "failed", sendable_error(error)


class _Reporter:
    """Send progress now and then, and the last of every stage."""

    def __init__(self, channel: _Channel) -> None:
        self._channel = channel
        self._last = 0.0
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if stage != self._stage or done == total or now - self._last >= _INTERVAL:
            self._last, self._stage = now, stage
            self._channel.send("progress", (stage, done, total))


class _Notes(logging.Handler):
    """Send what the package logs to the server."""

    def __init__(self, channel: _Channel) -> None:
        super().__init__(logging.INFO)
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        self._channel.send("note", " ".join(record.getMessage().split()))
