"""Compositing of images with transparency."""

from __future__ import annotations

import numpy as np

from fomm_cli.errors import InputError


def as_rgb(image: np.ndarray, what: str) -> np.ndarray:
    """Return an image as uint8 (H, W, 3) RGB: grey is repeated, RGBA laid over white.

    Args:
        image: uint8 (H, W), (H, W, 3) or (H, W, 4).
        what: the image is, for the message.

    Raises:
        InputError: it has another type or shape.
    """
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))):
        raise InputError(
            f"{what} is an array of {image.dtype} with the shape {image.shape}", "Give uint8 (height, width, 3) RGB"
        )
    if image.ndim == 2:
        return np.repeat(image[..., None], 3, axis=2)
    return composite_over_white(image) if image.shape[2] == 4 else image


def composite_over_white(rgba: np.ndarray) -> np.ndarray:
    """Lay uint8 (H, W, 4) RGBA over white and return uint8 (H, W, 3)."""
    alpha = rgba[..., 3:]
    if alpha.min(initial=255) == 255:
        return np.ascontiguousarray(rgba[..., :3])
    opaque = alpha.astype(np.uint16)
    blended = rgba[..., :3] * opaque + 255 * (255 - opaque)
    return ((blended + 127) // 255).astype(np.uint8)
