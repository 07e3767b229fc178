"""Start processes that Ctrl-C ends, whatever the tests inherited."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable


def heed_interrupts() -> Callable[[], None] | None:
    """Return a `preexec_fn` for `Popen` that gives SIGINT its default back.

    A shell's background jobs and `nohup` ignore the signal, children inherit that, and Python then raises no
    KeyboardInterrupt.
    """
    return None if os.name == "nt" else lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
