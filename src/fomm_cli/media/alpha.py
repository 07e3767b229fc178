"""Lay transparent images over white, a colour or an image, and prepare them to be animated."""

from __future__ import annotations

import numpy as np

from fomm_cli.errors import InputError

SPREAD_BYTES = 32
"""What `spread_colours` takes for each pixel."""

_ROWS = 256  # that are worked on at a time, for the sake of memory
_FILL_SIDE = 512  # pixels; what lies below transparent areas is no finer
_NEARBY = 0.01  # of the longer side; a soft edge is no wider
_TRUST = (0.85, 1.0)  # of the alpha nearby: below, colours are of something behind; from here on, of the image itself


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
    return composite(rgba, np.array(255, np.uint8))


def composite(rgba: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Lay an image over another.

    Args:
        rgba: uint8 (H, W, 4).
        background: uint8 (H, W, 3), or one colour (3,), or one grey ().

    Returns:
        uint8 (H, W, 3).
    """
    alpha = rgba[..., 3:]
    if alpha.min(initial=255) == 255:
        return np.ascontiguousarray(rgba[..., :3])
    opaque = alpha.astype(np.uint16)
    blended = rgba[..., :3] * opaque + background * (255 - opaque)
    return ((blended + 127) // 255).astype(np.uint8)


def spread_colours(rgba: np.ndarray) -> np.ndarray:
    """Return the colours of an image, continued below what is transparent.

    Images have anything there, white or black mostly, and some of it at soft edges too. Animated, it would show as a
    fringe.

    Args:
        rgba: uint8 (H, W, 4), at least one pixel of it not wholly transparent.

    Returns:
        uint8 (H, W, 3), the colours of `rgba` where it is opaque.
    """
    import cv2

    height, width = rgba.shape[:2]
    trust = _trust(np.ascontiguousarray(rgba[..., 3]))
    fill = cv2.resize(_fill(rgba, trust), (width, height), interpolation=cv2.INTER_LINEAR)
    spread = np.empty_like(fill)
    for top in range(0, height, _ROWS):
        rows = slice(top, top + _ROWS)
        layer = np.dstack([rgba[rows, :, :3], trust[rows]])
        spread[rows] = composite(layer, fill[rows])
    return spread


def _trust(alpha: np.ndarray) -> np.ndarray:
    """Return how far the colours of an image are its own, uint8 (H, W): less where nearby pixels are more opaque."""
    import cv2

    radius = max(2, round(_NEARBY * max(alpha.shape)))
    nearby = cv2.dilate(alpha, np.ones((1, 2 * radius + 1), np.uint8))
    nearby = cv2.dilate(nearby, np.ones((2 * radius + 1, 1), np.uint8))
    trust = np.empty_like(alpha)
    low, high = _TRUST
    for top in range(0, len(alpha), _ROWS):
        rows = slice(top, top + _ROWS)
        ratio = alpha[rows] / np.maximum(nearby[rows], 1, dtype=np.float32)
        trust[rows] = np.rint(255 * ((ratio - low) / (high - low)).clip(0, 1))
    return trust


def _fill(rgba: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """Continue the trusted colours smoothly over the whole image, uint8 of at most _FILL_SIDE a side."""
    import cv2

    height, width = trust.shape
    shrink = min(1.0, _FILL_SIDE / max(height, width))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    full = cv2.multiply(rgba[..., 3], trust, scale=1 / 255**2, dtype=cv2.CV_32F)
    weighted = [cv2.multiply(rgba[..., channel], full, dtype=cv2.CV_32F) for channel in range(3)]
    *colours, weight = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (*weighted, full))
    levels = [(np.dstack(colours), weight)]
    while max(weight.shape) > 1:
        half = -(-weight.shape[1] // 2), -(-weight.shape[0] // 2)
        coarse, weight = (cv2.resize(each, half, interpolation=cv2.INTER_AREA) for each in levels[-1])
        levels.append((coarse.reshape(*weight.shape, 3), weight))
    fill: np.ndarray = np.zeros((1, 1, 3), np.float32)
    for coarse, weight in reversed(levels):
        own = coarse / np.maximum(weight, 1e-12)[..., None]
        wider = np.asarray(cv2.resize(fill, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)).reshape(own.shape)
        known = np.minimum(4 * weight, 1)[..., None] if weight.size > 1 else 1
        fill = np.asarray(wider + known * (own - wider), np.float32)
    return np.asarray(np.rint(fill).clip(0, 255), np.uint8)
