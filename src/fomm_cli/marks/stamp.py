"""Put the chosen marks into the frames of a result."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fomm_cli.marks.code import Payload
from fomm_cli.marks.label import draw_label
from fomm_cli.marks.watermark import InvisibleMark
from fomm_cli.version import __version__

Stamp = Callable[[np.ndarray], np.ndarray]
"""Turns a frame, uint8 (H, W, 3) or (H, W, 4), into what is written of it."""


def stamp_for(checkpoint_sha256: str, *, invisible: bool, label: str | None = None) -> Stamp:
    """Return what to do with every frame of one result before it is written.

    Args:
        checkpoint_sha256: of the weights, in hex.
        invisible: whether the frames get the invisible mark; not for frames whose exact numbers matter.
        label: text of the visible label; None for none.
    """
    mark = InvisibleMark(Payload.of(__version__, checkpoint_sha256)) if invisible else None

    def stamp(frame: np.ndarray) -> np.ndarray:
        labelled = frame if label is None else draw_label(frame, label)
        if mark is None:
            return labelled
        marked = mark(np.ascontiguousarray(labelled[..., :3]))
        return marked if frame.shape[2] == 3 else np.concatenate([marked, labelled[..., 3:]], axis=-1)

    return stamp
