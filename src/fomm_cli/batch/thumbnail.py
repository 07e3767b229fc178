"""Make a small moving image of a result for reports."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

from fomm_cli.media.resize import fit_frame
from fomm_cli.media.video.reader import open_clip
from fomm_cli.media.video.writer import open_writer

_SECONDS = 2.0
_SHORTER_SIDE = 96  # pixels
_RATE = 12  # frames per second


def thumbnail(path: Path) -> bytes:
    """Encode the first two seconds of a video, folder of frames or image as a small, silent WebM.

    Raises:
        FommError: the file cannot be read.
    """
    clip = open_clip(path, end=_SECONDS)
    shrink = min(1.0, _SHORTER_SIDE / min(clip.info.width, clip.info.height))
    size = (max(2, round(clip.info.height * shrink)), max(2, round(clip.info.width * shrink)))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "thumbnail.webm"
        with open_writer(target, size, Fraction(_RATE), {}) as writer:
            due = Fraction(0)
            for frame in clip.frames():
                if frame.time >= due:
                    writer.write(fit_frame(frame.image, size, "stretch"), frame.time)
                    due = frame.time + Fraction(1, _RATE + 1)
        return target.read_bytes()
