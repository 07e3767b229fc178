"""Keep frames exactly, in half the space: FFV1 in Matroska."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np

from fomm_cli.errors import FommError
from fomm_cli.media.video.writer import writing


def write_lossless(path: Path, size: tuple[int, int], frames: Iterable[np.ndarray], *, alpha: bool = False) -> int:
    """Write frames; returns how many there were. Without any, the file cannot be read.

    Args:
        path: ends in .mkv.
        size: (height, width) of every frame.
        frames: uint8 (height, width, 3) RGB; (height, width, 4) RGBA with `alpha`.
        alpha: whether the frames have an alpha channel.

    Raises:
        FommError: the file cannot be written.
    """
    count = 0
    with writing(path), av.open(f"file:{path}", "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = size
        stream.pix_fmt = "bgra" if alpha else "bgr0"
        container.start_encoding()
        for frame in frames:
            pixels = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgba" if alpha else "rgb24")
            container.mux(stream.encode(pixels))
            count += 1
        container.mux(stream.encode(None))
    return count


def read_lossless(path: Path) -> Iterator[np.ndarray]:
    """Yield the frames, uint8 (height, width, 3) RGB, or (height, width, 4) RGBA.

    Raises:
        FommError: the file is damaged.
    """
    try:
        with av.open(f"file:{path}") as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgba" if frame.format.name == "bgra" else "rgb24")
    except (av.FFmpegError, OSError) as error:
        raise FommError(f"{path} cannot be read again: {error}", "Delete it and start again") from error
