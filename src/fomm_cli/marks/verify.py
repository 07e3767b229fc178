"""`fomm verify`: look for every mark of synthetic media in a file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from fomm_cli.errors import FommError, InputError
from fomm_cli.files.inputs import check_file
from fomm_cli.marks.credentials import Credentials, read_credentials
from fomm_cli.marks.detect import Reading, detect
from fomm_cli.marks.metadata import Origin, read_origin
from fomm_cli.media.video.reader import open_clip

if TYPE_CHECKING:
    from fomm_cli.media.video.reader import Clip

logger = logging.getLogger(__name__)

T = TypeVar("T")

_MOST_FRAMES = 300  # that are averaged


@dataclass(frozen=True)
class Verdict:
    """The marks that were found in a file.

    Attributes:
        path: the file.
        verdict: marked, nothing found, or unreadable.
        metadata: what fomm wrote into the metadata; None if it did not.
        invisible: the mark in the frames; None if none was found.
        credentials: the Content Credentials; None if there are none, or c2pa-python is not installed.
        problem: why the file cannot be read; empty if it can.
    """

    path: Path
    verdict: Literal["marked", "nothing found", "unreadable"]
    metadata: Origin | None = None
    invisible: Reading | None = None
    credentials: Credentials | None = None
    problem: str = ""


def verify(path: Path) -> Verdict:
    """Look for the marks of a file, whatever became of it; a file that cannot be read is a verdict too."""
    try:
        check_file(path, "video or image")
    except FommError as error:
        return Verdict(path, "unreadable", problem=str(error))
    metadata = _or_none(read_origin, path)
    credentials = _or_none(read_credentials, path)
    invisible, problem = None, ""
    try:
        invisible = detect(_average(path))
    except FommError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - a hostile file may make a decoder raise anything
        problem = f"{path} cannot be decoded: {error}"
    if metadata or invisible or (credentials and credentials.synthetic):
        return Verdict(path, "marked", metadata, invisible, credentials, problem)
    return Verdict(path, "unreadable" if problem else "nothing found", None, None, credentials, problem)


def _average(path: Path) -> np.ndarray:
    """Return the average luma of the first frames, float32 (H, W).

    Raises:
        InputError: there are no frames.
    """
    import cv2

    clip: Clip = open_clip(path, max_frames=_MOST_FRAMES, over_white=False)  # the mark is below transparent parts, too
    total: np.ndarray | None = None
    count = 0
    for frame in clip.frames():
        gray = cv2.cvtColor(np.ascontiguousarray(frame.image), cv2.COLOR_RGB2GRAY).astype(np.float32)
        if total is None:
            total = gray
        elif gray.shape == total.shape:
            total += gray
        else:
            continue
        count += 1
    if total is None:
        raise InputError(f"{path} has no frames")
    return total / np.float32(count)


def _or_none(read: Callable[[Path], T | None], path: Path) -> T | None:
    """Read one kind of mark; damage that keeps it from being read is as good as no mark."""
    try:
        return read(path)
    except Exception as error:  # noqa: BLE001 - a hostile file may make a library raise anything
        logger.debug("%s of %s: %s", read.__name__, path, error)
        return None
