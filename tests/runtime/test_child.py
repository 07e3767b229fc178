"""Errors of child processes, as their parent gets them."""

from __future__ import annotations

import pickle

import pytest

from fomm_cli.errors import FommError, InputError, OutOfMemoryError
from fomm_cli.runtime.child import sendable_error
from fomm_cli.runtime.signals import Stopped, StopRequest


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (InputError("a.png is empty", "Copy it again"), InputError, "a.png is empty. Copy it again"),
        (OutOfMemoryError("too large"), OutOfMemoryError, "too large"),
        (Stopped("stopped", "Go on", StopRequest()), FommError, "stopped. Go on"),  # its third argument stays behind
        (MemoryError(), OutOfMemoryError, "unexpected MemoryError:. Close other programs"),
        (RuntimeError("CUDA out of memory"), OutOfMemoryError, "CUDA out of memory"),
        (KeyError("x"), FommError, "unexpected KeyError: 'x'"),
    ],
)
def test_error_keeps_its_kind_and_words_on_its_way(error: Exception, kind: type[FommError], text: str) -> None:
    received = pickle.loads(pickle.dumps(sendable_error(error)))  # noqa: S301 - as a pipe does
    assert type(received) is kind
    assert text in str(received)
