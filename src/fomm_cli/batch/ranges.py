"""Split long videos into ranges of frames for different workers."""

from __future__ import annotations

_STEP = 32  # frames; a multiple of every device's batch, so that batches and with them all bits stay the same
_SHORTEST = 2 * _STEP  # a range for an idle worker; below it, loading costs more than is gained


def split_ranges(frames: int | None, shares: int, longest: int) -> list[tuple[int, int | None]]:
    """Split a video into ranges [start, stop); the last one is open, since the number of frames may be an estimate.

    Args:
        frames: number of frames; None if unknown.
        shares: number of workers that may take part.
        longest: approximate limit of the frames of a range.

    Returns:
        An empty list if the video should stay whole.
    """
    if frames is None:
        return []
    count = max(-(-frames // longest), min(shares, frames // _SHORTEST), 1)
    length = -(-frames // (count * _STEP)) * _STEP
    starts = range(0, frames, length)
    if len(starts) < 2:
        return []
    stops = [*list(starts)[1:], None]
    return list(zip(starts, stops, strict=True))
