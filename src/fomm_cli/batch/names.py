"""Name the results of a batch."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from fomm_cli.animation.options import AnimateJob
from fomm_cli.errors import InputError

_LONGEST = 100  # bytes of a source's or driving video's name in a result's; file systems take 255 bytes in all
_LONGEST_RESULT = 255 - 40  # bytes of a result's own name; the rest is for temporary names


def result_names(jobs: Sequence[AnimateJob], suffixes: Sequence[str]) -> list[str]:
    """Name each result, uniquely: ``<source>--<driving><suffix>``, relative to the result folder.

    Where two would be equal, also on file systems that ignore case, all of them keep the suffixes of their inputs
    (``a.jpg--b.mp4.mp4``), and if that is not enough they end in a hash of paths and options. So a name depends on
    the set of jobs, not on their order.

    Args:
        jobs: no two of them equal; their own `result_video` goes first.
        suffixes: such as ``.mp4``, for each job.

    Raises:
        InputError: two jobs ask for the same `result_video`, or one for a place outside the folder.
    """
    names: dict[int, str] = {index: _explicit(job) for index, job in enumerate(jobs) if job.result_video}
    taken = Counter(map(_folded, names.values()))
    if clash := next((name for name in names.values() if taken[_folded(name)] > 1), None):
        raise InputError(f"two pairs have the result {clash}", "Give each its own name")
    ways: tuple[Callable[[AnimateJob], str], ...] = (_by_stem, _by_name, _by_hash)
    for way in ways:
        left = [index for index in range(len(jobs)) if index not in names]
        proposed = {index: way(jobs[index]) + suffixes[index] for index in left}
        counts = Counter(map(_folded, [*names.values(), *proposed.values()]))
        names |= {index: name for index, name in proposed.items() if counts[_folded(name)] == 1 or way is _by_hash}
    return [names[index] for index in range(len(jobs))]


def check_inside(folder: Path, name: str) -> None:
    """Refuse a result whose sub-folder is a symbolic link to a place outside the result folder.

    Raises:
        InputError: the result would be written outside.
    """
    place = (folder / name).parent
    if not place.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{place} leads outside the result folder, to {place.resolve()}", "Name another sub-folder")


def _explicit(job: AnimateJob) -> str:
    path = Path(str(job.result_video))
    if path.is_absolute() or "%" in path.name or any(part.startswith(".") for part in path.parts):
        raise InputError(f"result_video {path} is not a place in the result folder", "Give a name, such as smile.mp4")
    if any(len(os.fsencode(part)) > _LONGEST_RESULT for part in path.parts):
        raise InputError(f"result_video {path.name[:40]}... is too long", f"Give at most {_LONGEST_RESULT} bytes")
    return text_of(path.as_posix())


def _by_stem(job: AnimateJob) -> str:
    return f"{_shortened(job.source_image.stem)}--{_shortened(job.driving_video.stem)}"


def _by_name(job: AnimateJob) -> str:
    return f"{_shortened(job.source_image.name)}--{_shortened(job.driving_video.name)}"


def _by_hash(job: AnimateJob) -> str:
    anywhere = replace(job, device="auto", threads=None)
    return f"{_by_name(job)}--{hashlib.sha256(repr(anywhere).encode()).hexdigest()[:8]}"


def text_of(path: str | Path) -> str:
    """Return a path as text that every file and database takes; bytes that are not UTF-8 are written as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _shortened(name: str) -> str:
    """Return the beginning of a name in at most `_LONGEST` bytes, without half a character at its end."""
    plain = text_of(name).replace("\\", "_")  # a backslash separates folders on Windows
    return plain.encode()[:_LONGEST].decode("utf-8", "ignore")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
