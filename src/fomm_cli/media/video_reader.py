"""Frames of a driving video, folder or picture, one at a time, with their exact times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Frame:
    """One picture of a clip: image uint8 (H, W, 3) RGB upright; times in seconds from the first kept frame."""

    image: np.ndarray
    time: Fraction
    duration: Fraction | None = None


@dataclass(frozen=True)
class ClipInfo:
    """What is known of a clip before its frames are read.

    Attributes:
        width, height: of the upright picture, in pixels.
        rate: frames per second, exact for constant rates, the average for variable ones.
        frame_count: estimate of the frames that will come, None if unknown.
        has_audio: whether the file carries sound.
        still: whether the source is one single picture.
    """

    width: int
    height: int
    rate: Fraction
    frame_count: int | None
    has_audio: bool
    still: bool


class Clip(Protocol):
    """A source of frames that can be read several times."""

    name: str
    path: Path
    info: ClipInfo
    offset: Fraction
    """Seconds from the start of the file's time line to the first kept frame; known once a frame was read."""

    def frames(self) -> Iterator[Frame]:
        """Yield the kept frames; each call opens the source anew.

        Raises:
            InputError: no frame can be decoded in the kept range.
        """
        ...


def open_clip(
    path: Path,
    start: float = 0.0,
    end: float | None = None,
    max_frames: int | None = None,
    rate: Fraction | None = None,
) -> Clip:
    """Open a video, a folder of frames or a still picture.

    Args:
        path: what to read.
        start: seconds; earlier frames are dropped.
        end: seconds, exclusive.
        max_frames: stop after this many kept frames.
        rate: frames per second of a folder of frames (25 when None); ignored for videos.

    Raises:
        InputError: nothing there that can be read as frames.
    """
    raise NotImplementedError
