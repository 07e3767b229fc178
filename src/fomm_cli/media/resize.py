"""Resize images to the size that the networks work at."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from fomm_cli.media.options import Fit

Size = tuple[int, int]
"""(height, width) in pixels."""

_EXACT_PIXELS = 4_000_000  # beyond this the exact resize takes seconds
_GIGANTIC = 16  # times the wanted side; what is much longer is averaged first
_REDUCED_FACTOR = 4  # a large source is first reduced to this multiple of the wanted size


def fit_frame(frame: np.ndarray, size: Size, fit: Fit) -> np.ndarray:
    """Bring a frame to the wanted size, fast.

    Args:
        frame: uint8 (H, W, 3).
        size: (height, width).
        fit: "stretch" ignores the aspect ratio, "crop" cuts the centre out, "pad" mirrors the borders.

    Returns:
        uint8 (height, width, 3); the same array if it already has that size.
    """
    if fit == "crop":
        frame = _centre_crop(frame, size)
    inner = _inside(frame.shape[:2], size) if fit == "pad" else size
    return _mirror_borders(_resize_fast(frame, inner), size)


def fit_source(frame: np.ndarray, size: Size, fit: Fit) -> np.ndarray:
    """Bring the source image to the wanted size with the exact resize.

    Args:
        frame: uint8 (H, W, 3).
        size: (height, width).
        fit: as in :func:`fit_frame`.

    Returns:
        float32 (height, width, 3) in [0, 1].
    """
    if fit == "crop":
        frame = _centre_crop(frame, size)
    inner = _inside(frame.shape[:2], size) if fit == "pad" else size
    return _mirror_borders(resize_exact(frame, inner), size)


def resize_exact(frame: np.ndarray, size: Size) -> np.ndarray:
    """Stretch as ``skimage.transform.resize`` does, with which the published results were made.

    A Gaussian filter where pixels become fewer, then linear interpolation; both are one matrix for each axis.

    Args:
        frame: uint8 (H, W, 3); beyond 4 megapixels it is first reduced by the fast resize.
        size: (height, width).

    Returns:
        float32 (height, width, 3) in [0, 1].
    """
    height, width = frame.shape[:2]
    if height * width > _EXACT_PIXELS:
        frame = _resize_fast(frame, (min(height, _REDUCED_FACTOR * size[0]), min(width, _REDUCED_FACTOR * size[1])))
    rows = _stretching(frame.shape[0], size[0]) @ frame.reshape(frame.shape[0], -1).astype(np.float64)
    lines = rows.reshape(size[0], frame.shape[1], -1).swapaxes(0, 1)  # (W, height, 3)
    columns = _stretching(frame.shape[1], size[1]) @ lines.reshape(frame.shape[1], -1)
    stretched = columns.reshape(size[1], size[0], -1).swapaxes(0, 1) / 255
    return np.ascontiguousarray(stretched, np.float32)


def _stretching(length: int, new: int) -> np.ndarray:
    """Return the matrix (new, length) that brings a row of pixels to another length, mirrored at its ends."""
    sigma = max(0.0, (length / new - 1) / 2)
    reach = int(4 * sigma + 0.5)
    around = np.arange(-reach, reach + 1)
    blur = np.exp(-0.5 * (around / sigma) ** 2) if sigma else np.ones(1)
    blur /= blur.sum()
    place = (np.arange(new) + 0.5) * length / new - 0.5
    before = np.floor(place).astype(int)
    matrix, period = np.zeros((new, length)), max(1, 2 * (length - 1))
    for index, weight in ((before, 1 - (place - before)), (before + 1, place - before)):
        seen = (index[:, None] + around) % period
        np.add.at(matrix, (np.arange(new)[:, None], np.minimum(seen, period - seen)), weight[:, None] * blur)
    return matrix


def _resize_fast(frame: np.ndarray, size: Size) -> np.ndarray:
    if frame.shape[:2] == size:
        return frame
    frame = _coarsened(frame, size)
    # A view of (H, W, 3) as (1, 3, H, W) is channels-last in memory, for which torch has a vectorised kernel.
    pixels = torch.from_numpy(np.require(frame, np.uint8, ["C", "W"])).permute(2, 0, 1)[None]
    resized = F.interpolate(pixels, size=size, mode="bilinear", antialias=True, align_corners=False)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


def _coarsened(frame: np.ndarray, size: Size) -> np.ndarray:
    """Average pixels along a gigantic side, for which the antialiased resize takes minutes."""
    for axis in (0, 1):
        factor = frame.shape[axis] // (_GIGANTIC * size[axis])
        if factor > 1:
            parts = frame.shape[axis] // factor
            shape = (*frame.shape[:axis], parts, factor, *frame.shape[axis + 1 :])
            whole = frame[: parts * factor] if axis == 0 else frame[:, : parts * factor]
            frame = whole.reshape(shape).mean(axis=axis + 1, dtype=np.float32).round().astype(np.uint8)
    return frame


def _centre_crop(frame: np.ndarray, size: Size) -> np.ndarray:
    """Cut the largest centred box with the aspect ratio of ``size`` out of (H, W, 3)."""
    height, width = _inside(size, (frame.shape[0], frame.shape[1]))
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    return frame[top : top + height, left : left + width]


def _inside(shape: tuple[int, ...], bounds: Size) -> Size:
    """Return the largest (height, width) with the aspect ratio of ``shape`` that fits into ``bounds``."""
    scale = min(bounds[0] / shape[0], bounds[1] / shape[1])
    return (max(1, min(bounds[0], round(shape[0] * scale))), max(1, min(bounds[1], round(shape[1] * scale))))


def _mirror_borders(frame: np.ndarray, size: Size) -> np.ndarray:
    """Centre (h, w, 3) in ``size`` and fill the borders with its reflection."""
    if frame.shape[:2] == size:
        return frame
    rows, columns = size[0] - frame.shape[0], size[1] - frame.shape[1]
    borders = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2), (0, 0))
    return np.pad(frame, borders, mode="symmetric")
