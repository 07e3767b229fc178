"""Stop at Ctrl-C or SIGTERM between two steps of work, not in the middle of one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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


class Stopped(FommError):  # noqa: N818 - no error, but told like one
    """The work was ended by a signal; all that was done is kept."""

    def __init__(self, problem: str, next_step: str, request: StopRequest) -> None:
        super().__init__(problem, next_step)
        # a peer of this process may have got the signal
        self.exit_code = _EXIT_CODES[request.signal or signal.SIGTERM]


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Note SIGINT and SIGTERM instead of obeying them at once; a second one is obeyed.

    Outside the main thread signals cannot be caught, and nothing is noted.
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
