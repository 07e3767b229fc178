"""Start child processes that compute for this one and answer over a pipe."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from fomm_cli.errors import FommError, InputError, OutOfMemoryError, is_out_of_memory
from fomm_cli.runtime.signals import spared_ctrl_c

_SPAWN = multiprocessing.get_context("spawn")  # forks of a process with threads, or with CUDA, hang


def start_child(work: Callable[..., None], *arguments: object) -> tuple[BaseProcess, Connection]:
    """Start a process that runs ``work(connection, *arguments)``; return it and this end of the connection."""
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=work, args=(theirs, *arguments), daemon=True)
    with spared_ctrl_c():
        process.start()
    theirs.close()
    return process, ours


def prepare_child(at_end: Callable[[], None] = lambda: None) -> None:
    """Let the parent decide about Ctrl-C, and end this process, after `at_end`, when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all processes
    threading.Thread(target=_end_with_parent, args=(at_end,), daemon=True).start()
    warnings.simplefilter("ignore")


def _end_with_parent(at_end: Callable[[], None]) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        at_end()
        os._exit(1)


def sendable_error(error: Exception) -> FommError:
    """Return an error that can be sent to the parent, in its words: one of ours, or one that names the unexpected."""
    if isinstance(error, FommError):
        kind = next(kind for kind in (InputError, OutOfMemoryError, FommError) if isinstance(error, kind))
        return kind(error.problem, error.next_step)
    text = " ".join(f"unexpected {type(error).__name__}: {error}".split())
    return OutOfMemoryError(text, "Close other programs") if is_out_of_memory(error) else FommError(text)
