"""Compositing of images with transparency."""

from __future__ import annotations

import numpy as np


def composite_over_white(rgba: np.ndarray) -> np.ndarray:
    """Lay uint8 (H, W, 4) RGBA over white and return uint8 (H, W, 3)."""
    alpha = rgba[..., 3:]
    if alpha.min(initial=255) == 255:
        return np.ascontiguousarray(rgba[..., :3])
    opaque = alpha.astype(np.uint16)
    blended = rgba[..., :3] * opaque + 255 * (255 - opaque)
    return ((blended + 127) // 255).astype(np.uint8)
