"""Writing rendered frames as a video, an animated GIF or numbered pictures, with their exact times."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np


class FrameWriter(Protocol):
    """Takes frames in order of time; leaving the ``with`` block normally completes the file."""

    def write(self, image: np.ndarray, time: Fraction, duration: Fraction | None = None) -> None:
        """Add uint8 (H, W, 3) RGB shown from ``time`` (seconds) on."""
        ...

    def close(self) -> None:
        """Complete the file; calling it again does nothing."""
        ...

    def __enter__(self) -> FrameWriter: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_writer(target: Path, size: tuple[int, int], rate: Fraction, metadata: dict[str, str]) -> FrameWriter:
    """Choose the writer for ``target`` by its suffix.

    Args:
        target: ``.mp4 .mov .webm .gif``, or a frame pattern such as ``folder/%05d.png``.
        size: (height, width) of every frame.
        rate: nominal frames per second; also the duration of the last frame.
        metadata: ``title`` and ``comment`` to store in the file.

    Raises:
        InputError: a suffix that cannot be written.
    """
    raise NotImplementedError
