"""Define the errors that end a command in one line: what is wrong, what to do next, and the exit code.

FommError                     1    a runtime error
    InputError                2    wrong use, or a file or value that cannot be worked with
    OutOfMemoryError          1    the device had not enough memory; another attempt may succeed
    InterruptedByUserError  130    Ctrl-C, with what was done so far and how to continue
    runtime.signals.Stopped 130    a signal ended the work (143 for SIGTERM); finished work is kept
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

_LONGEST = 1000  # characters of a message
_OUT_OF_MEMORY = (
    "out of memory",
    "allocate memory",
    "bad_alloc",
    "bad allocation",
    "failed to allocate",
    "unable to allocate",
    "insufficient memory",
    "not enough memory",
    "can't start new thread",
    "failed to map segment",
)


class FommError(Exception):
    """A runtime error.

    Args:
        problem: what is wrong, naming the file, flag or key at fault.
        next_step: what the user can do about it, as a sentence or a command.
    """

    exit_code = 1

    def __init__(self, problem: str, next_step: str = "") -> None:
        super().__init__(problem, next_step)
        self.problem = problem
        self.next_step = next_step

    def __str__(self) -> str:
        """Return one printable line: ``problem. next step``."""
        return one_line(f"{self.problem.rstrip('.')}. {self.next_step}" if self.next_step else self.problem)


class InputError(FommError):
    """Wrong use, or a file or value that cannot be worked with."""

    exit_code = 2


class OutOfMemoryError(FommError):
    """The device had not enough memory; another attempt may succeed."""


class InterruptedByUserError(FommError):
    """Ctrl-C, with what was done so far and how to continue."""

    exit_code = 130


def with_article(noun: str) -> str:
    """Return ``an image`` for ``image``, ``a video`` for ``video``."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``Did you mean X? `` for the known word that is nearest to another; empty where none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean {near[0]}? " if near else ""


def one_line(text: str) -> str:
    """Return a text without line breaks and control characters, with at most 1000 characters.

    Names of files, metadata and answers of servers get into messages, and could change the terminal or fill it. The
    middle of a longer text is left out, since the end says what to do next.
    """
    text = " ".join(printable(text).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 305]} ... {text[-300:]}"


def printable(text: str) -> str:
    """Return a text of several lines with spaces in the place of other control characters."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


@contextmanager
def foreign_errors(problem: str, next_step: str = "", kind: type[FommError] = InputError) -> Iterator[None]:
    """Raise whatever a library raises in the block as one of our errors.

    Damaged files make libraries raise any type at all, so no list of types would be complete. Wrap the call of the
    library only: a mistake of our own in the block would be blamed on the file.

    Args:
        problem: what is wrong, naming the file at fault.
        next_step: what the user can do about it.
        kind: the error to raise.

    Raises:
        FommError: `kind` for any exception; OutOfMemoryError where memory ran out. Our own errors pass unchanged.
    """
    try:
        yield
    except FommError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemoryError(f"there is not enough memory: {problem}", "Close other programs") from error
        raise kind(problem, next_step) from error


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether an error, or the one it was raised from, says that memory ran out.

    Few libraries raise a MemoryError: PyTorch raises a RuntimeError, FFmpeg an OSError, C++ says "bad_alloc", and the
    system refuses threads and shared libraries.
    """
    if error is None:
        return False
    text = str(error).lower()
    found = isinstance(error, MemoryError) or getattr(error, "errno", None) in (errno.ENOMEM, errno.EAGAIN)
    return found or any(phrase in text for phrase in _OUT_OF_MEMORY) or is_out_of_memory(error.__cause__)
