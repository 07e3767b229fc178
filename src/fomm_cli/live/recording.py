"""Record a live session to a file, with the times at which the camera captured the frames."""

from __future__ import annotations

import json
import time as clock
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import numpy as np

from fomm_cli.marks.stamp import stamp_for
from fomm_cli.media.destination import Target
from fomm_cli.media.resize import Size, fit_frame
from fomm_cli.media.video.writer import FrameWriter, open_writer
from fomm_cli.version import __version__

_NOMINAL_RATE = Fraction(30)  # frames per second; the times are those of the frames
_MICROSECONDS = 1_000_000


class Recorder:
    """Write frames to a file that appears whole when the recorder is closed."""

    def __init__(self, target: Target, checkpoint_sha256: str) -> None:
        """Prepare to write.

        Args:
            target: the file, or the pattern of single frames.
            checkpoint_sha256: of the weights, for the marks in the file that say how it was made.

        Raises:
            InputError: it cannot be written there.
        """
        self.path = target.shown
        self.frames = 0
        made_by = {"synthetic": True, "tool": "fomm", "version": __version__, "live": True,
                   "checkpoint_sha256": checkpoint_sha256}  # fmt: skip
        self._metadata = {"title": "Synthetic media: animated with fomm", "comment": json.dumps(made_by)}
        self._open = ExitStack()
        self._part = self._open.enter_context(target.publishing())
        self._writer: FrameWriter | None = None
        self._size: Size = (0, 0)
        self._start = 0.0
        self._stamp = stamp_for(checkpoint_sha256, invisible=target.kind != "frames")

    def write(self, image: np.ndarray, time: float) -> None:
        """Add a frame, uint8 (H, W, 3), captured at a time in seconds; it is brought to the size of the first one."""
        if self._writer is None:
            self._size = (image.shape[0], image.shape[1])
            self._writer = self._open.enter_context(open_writer(self._part, self._size, _NOMINAL_RATE, self._metadata))
            self._start = time
        self.frames += 1
        since = Fraction(round((time - self._start) * _MICROSECONDS), _MICROSECONDS)
        self._writer.write(self._stamp(fit_frame(image, self._size, "pad")), since)

    def close(self) -> None:
        """Complete the file; without a single frame nothing is written."""
        if self.frames:
            self._open.close()
        else:
            self.abandon()

    def abandon(self) -> None:
        """Remove what was written."""
        error = RuntimeError("recording abandoned")
        self._open.__exit__(RuntimeError, error, None)


def new_recording() -> Target:
    """Return a file in the present folder, named after the time, that does not exist yet."""
    name = clock.strftime("fomm-live-%Y%m%d-%H%M%S")
    path, number = Path(f"{name}.mp4"), 1
    while path.exists():
        number += 1
        path = Path(f"{name}-{number}.mp4")
    return Target.of(path, still=False)
