"""Mutate bytes, text, and the values in JSON, YAML and checkpoints."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

_WORDS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_HEAD = 256  # bytes: where formats keep sizes and kinds


def mutated_bytes(dice: random.Random, data: bytes) -> tuple[bytes, str]:
    """Damage a file in one to three ways; returns it and what was done."""
    done = []
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        mutate = dice.choice((_flip, _flip, _set_word, _set_word, _truncate, _splice, _zero, _append))
        data, what = mutate(dice, data)
        done.append(what)
    return data, ", ".join(done)


def _place(dice: random.Random, data: bytes) -> int:
    """Return an offset, in the head of the file half of the time."""
    end = len(data) if dice.random() < 0.5 else min(_HEAD, len(data))
    return dice.randrange(max(1, end))


def _flip(dice: random.Random, data: bytes) -> tuple[bytes, str]:
    changed, count = bytearray(data), dice.choice((1, 1, 2, 4, 16, 64))
    for _ in range(count if data else 0):
        changed[_place(dice, data)] ^= 1 << dice.randrange(8)
    return bytes(changed), f"{count} bits flipped"


def _set_word(dice: random.Random, data: bytes) -> tuple[bytes, str]:
    width, order = dice.choice((1, 2, 4, 4, 8)), dice.choice(("little", "big"))
    word = (dice.choice(_WORDS) & ((1 << (8 * width)) - 1)).to_bytes(width, order)
    at = _place(dice, data)
    return data[:at] + word + data[at + width :], f"bytes {at}:{at + width} are {word.hex()}"


def _truncate(dice: random.Random, data: bytes) -> tuple[bytes, str]:
    length = _place(dice, data)
    return data[:length], f"cut after {length} bytes"


def _splice(dice: random.Random, data: bytes) -> tuple[bytes, str]:
    start, stop = sorted((_place(dice, data), _place(dice, data)))
    at = _place(dice, data)
    kind = dice.choice(("removed", "doubled", "random"))
    if kind == "removed":
        return data[:start] + data[stop:], f"bytes {start}:{stop} removed"
    piece = data[start:stop] if kind == "doubled" else dice.randbytes(dice.randrange(1, 64))
    return data[:at] + piece + data[at:], f"{len(piece)} {kind} bytes put in at {at}"


def _zero(dice: random.Random, data: bytes) -> tuple[bytes, str]:
    start, length = _place(dice, data), dice.choice((4, 64, 1024))
    return data[:start] + bytes(len(data[start : start + length])) + data[start + length :], f"zeros at {start}"


def _append(dice: random.Random, data: bytes) -> tuple[bytes, str]:
    return data + dice.choice((b"\0" * 1000, dice.randbytes(500), data)), "more at the end"


ODD_TEXTS = (
    "", " ", "-", "--", ".", "..", "/", "~", "nan", "inf", "-inf", "-1", "0", "-0.0", "1e309", "1e999999999",
    "1e-999999999", "99999999999999999999", "2147483648", "9" * 5000, "1/99999999999999999999999", "1/0", "0x10",
    "1_000",
    "\uff11\uff12", "\u00bd", "\u0663", "\u00e9\u0301", "\u202egnp.x", "\ufeff", "\x1b[31mred", "a\x07b", "a\nb",
    "\r", "\t",
    "n" * 300, "x/" * 2500, "%d", "%0999999999d.png", "%s%n", "{}", "{0.__class__}", "*", "[", "**/*", "~root",
    "$HOME", "`id`",
    "/dev/null", "/dev/zero", "/proc/self/mem", "/nowhere/x.png", "http://127.0.0.1:9/x.png", "file:///etc/passwd",
    "1,2", "1,2,3", "nan,nan", "a=b", "=", "a=", "true", "None", "vox-256", "\u4eba" * 100,
    "\U0001f600", "x.mp4\u2028y",
)  # fmt: skip
"""Values of options, cells and scalars that have broken programs before; none has a NUL, which no argument can have."""

UNREADABLE_NAME = "s\udcff"
"""A file name that is not UTF-8."""


def odd_values() -> tuple[Any, ...]:
    """Return values to put in the place of another in JSON, YAML and the like."""
    return (
        None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**18, 10**400, -(10**18), 0.0, -0.5, 1e308, 1e-308,
        float("nan"), float("inf"), "", "x", "\x1b[2J", "\ud83d\ude00"[0:0] + "\U0001f600", "n" * 100_000, [], {}, [[]],
        [1, 2, 3], {"a": 1}, [None], "../../escaped", "/dev/zero", [16384, 16384, 3], [0, 0, 3], [1e9], [-1, -1, -1],
    )  # fmt: skip


def mutated_structure(
    dice: random.Random, data: Any, odd: Callable[[random.Random, Any], Any] | None = None
) -> tuple[Any, str]:
    """Change a copy of nested dictionaries and lists in one place or two; returns it and what was done.

    Args:
        dice: the source of chance.
        data: the structure.
        odd: gives a value in the place of another; by default one of `odd_values`.
    """
    done = []
    for _ in range(dice.choice((1, 1, 1, 2))):
        data, what = _changed_at(dice, data, odd or (lambda dice, _: dice.choice(odd_values())))
        done.append(what)
    return data, ", ".join(done)


def _changed_at(dice: random.Random, data: Any, odd: Callable[[random.Random, Any], Any]) -> tuple[Any, str]:
    """Return the same with one place changed; goes down with the chance of three in four."""
    inside = isinstance(data, (dict, list)) and len(data) > 0
    if not inside or dice.random() < 0.1:
        value = odd(dice, data)
        return value, f"= {_shown(value)}"
    copy = dict(data) if isinstance(data, dict) else list(data)
    key = dice.choice(list(copy) if isinstance(copy, dict) else range(len(copy)))
    act = dice.random()
    if act < 0.8:
        copy[key], what = _changed_at(dice, copy[key], odd)
        return copy, f"{str(key)[:60]}.{what}" if not what.startswith("=") else f"{str(key)[:60]} {what}"
    if act < 0.9:
        del copy[key]
        return copy, f"{str(key)[:60]} removed"
    value = odd(dice, copy[key])
    if isinstance(copy, dict):
        name = dice.choice(("", "extra", "\x1b[31m", "n" * 10_000, "a.b"))
        copy[name] = value
        return copy, f"{name[:20]!r} added = {_shown(value)}"
    copy.append(value)
    return copy, f"{_shown(value)} appended"


def _shown(value: object) -> str:
    if type(value).__module__.startswith("torch"):
        return getattr(value, "what", type(value).__name__)
    if isinstance(value, int) and abs(value) > 10**30:
        return "a huge number"
    text = repr(value)
    return text if len(text) < 60 else text[:50] + f"... ({len(text)})"


SPECIAL = ("fifo", "zero", "null", "folder", "dangling", "loop", "socket", "empty", "page")


def special_file(dice: random.Random, path: Path) -> str:
    """Put something at a path that is no regular file, or an empty one, or a web page; returns what it is."""
    kind = dice.choice(SPECIAL)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind in ("zero", "null"):
        path.symlink_to(f"/dev/{kind}")
    elif kind == "folder":
        path.mkdir()
    elif kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "socket":
        import socket

        before = Path.cwd()
        os.chdir(path.parent)  # the name of a socket has at most 107 bytes
        try:
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(path.name)
        finally:
            os.chdir(before)
    else:
        path.write_bytes(b"" if kind == "empty" else b"<!DOCTYPE html><html><body>Not found</body></html>")
    return f"{path.name} is a {kind}"
