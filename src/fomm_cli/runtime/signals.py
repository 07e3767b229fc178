"""Stop at Ctrl-C or SIGTERM between two steps of work, and in the process that decides, not in its children."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType

from fomm_cli.errors import FommError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class StopRequest:
    """The signal that asked to stop, if one did."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


class Stopped(FommError):  # noqa: N818 - not a mistake, but reported like one
    """A signal ended the work; finished work is kept."""

    def __init__(self, problem: str, next_step: str, request: StopRequest) -> None:
        super().__init__(problem, next_step)
        # without a signal here, another process of the training received it
        self.exit_code = _EXIT_CODES[request.signal or signal.SIGTERM]


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Yield a request that SIGINT or SIGTERM sets; a second signal ends the process at once.

    Outside the main thread signals cannot be caught, and the request is never set.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {each: signal.getsignal(each) for each in _SIGNALS}

    def note(number: int, _frame: FrameType | None) -> None:
        request.signal = signal.Signals(number)
        restore()

    def restore() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    for each in _SIGNALS:
        signal.signal(each, note)
    try:
        yield request
    finally:
        restore()


@contextmanager
def spared_ctrl_c() -> Iterator[None]:
    """Keep Ctrl-C, which a terminal sends to all processes, from those that are started in the block.

    They inherit that the signal is blocked, so that it does not even interrupt their imports with a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # multiprocessing starts it with its first process, and then unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
