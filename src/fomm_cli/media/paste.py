"""Paste animated images back into the images that they were cropped from."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F

from fomm_cli.geometry import Region
from fomm_cli.media.options import Fit

_FEATHER = 0.14  # of the region's side, over which the image fades into the original
_FIELD = 32  # pixels; the colour correction is no finer
_SPREAD = 5.0  # pixels of the field, over which the difference at the rim is carried inwards
_COLUMNS = 64  # whose weights are neither mostly zeros nor too few for a matrix product
_BAND = 80_000  # numbers, which stay in a processor's cache from one operation to the next


def fitted_region(shape: tuple[int, ...], size: tuple[int, int], fit: Fit) -> Region:
    """Return the part of an image that `fit_source` and `fit_frame` show, in the image's pixels.

    Args:
        shape: (H, W, ...) of the image.
        size: (height, width) it is brought to.
        fit: how.
    """
    height, width = shape[:2]
    if fit == "stretch":
        return Region(0, 0, width, height)
    ratios = height / size[0], width / size[1]
    scale = min(ratios) if fit == "crop" else max(ratios)
    wanted_height, wanted_width = round(size[0] * scale), round(size[1] * scale)
    return Region((width - wanted_width) // 2, (height - wanted_height) // 2, wanted_width, wanted_height)


class PasteBack:
    """Put animated images back into the region of the image that they were cut from."""

    def __init__(self, image: np.ndarray, region: Region, shown: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Prepare what is the same for every frame.

        Args:
            image: the whole image, uint8 (H, W, 3), or (H, W, 4) with alpha.
            region: the part that was animated, at least partly inside.
            shown: what the model was given of it, float32 (h, w, 3) in [0, 1].
            weight: how much of the animated image may show at each pixel of the part inside the whole one,
                float32 (h, w) in [0, 1]; None for all of it.
        """
        self._image = image
        self._region = region
        height, width = image.shape[:2]
        self._inside = Region(
            left := max(0, region.left),
            top := max(0, region.top),
            min(width, region.right) - left,
            min(height, region.bottom) - top,
        )
        self._mask = _soft_mask(region, image.shape)[..., 0]
        if weight is not None:
            self._mask = self._mask * weight
        self._colours = _ColourMatch(shown, region, image.shape)
        self._weights = cache(_weights)

    @property
    def mask(self) -> np.ndarray:
        """Return how much of the animated image shows at each pixel of the whole one, float32 (H, W) in [0, 1]."""
        mask = np.zeros(self._image.shape[:2], np.float32)
        mask[self._rows, self._columns] = self._mask
        return mask

    @property
    def _rows(self) -> slice:
        return slice(self._inside.top, self._inside.bottom)

    @property
    def _columns(self) -> slice:
        return slice(self._inside.left, self._inside.right)

    def __call__(self, animated: np.ndarray, onto: np.ndarray | None = None) -> np.ndarray:
        """Paste an animated image into its region; the result is bit-identical outside it.

        Args:
            animated: uint8 (h, w, C), with as many channels as the whole image.
            onto: the whole image with other faces in it, which is changed and returned; None for a fresh copy.
        """
        if onto is not None:
            return self._blended(onto, self._corrected(animated))
        with ThreadPoolExecutor(1) as pool:  # a large image is copied meanwhile
            copying = pool.submit(self._image.copy)
            new = self._corrected(animated)
        return self._blended(copying.result(), new)

    def _blended(self, whole: np.ndarray, new: _Corrected | _Stretched) -> np.ndarray:
        """Blend the part inside the image into a whole image, which is changed and returned."""
        pixels = whole[self._rows, self._columns]
        for rows in _bands(pixels.shape):
            _blend(pixels[rows], new.rows(rows), self._mask[rows])
        return whole

    def _corrected(self, animated: np.ndarray) -> _Corrected | _Stretched:
        """Return an animated image in the original's colours, enlarged to the region, the part inside the image."""
        region, inside = self._region, self._inside
        rows = slice(inside.top - region.top, inside.bottom - region.top)
        columns = slice(inside.left - region.left, inside.right - region.left)
        corrected = _Corrected(animated, self._colours(animated[..., :3]))
        if animated.shape[:2] != (region.height, region.width):
            across = _widened(corrected.rows(slice(None)), self._weights(animated.shape[1], region.width))
            return _Stretched(self._weights(animated.shape[0], region.height), across).part(rows, columns)
        return corrected.part(rows, columns)


@dataclass(frozen=True)
class _Stretched:
    """An image that is brought to another height as its rows are asked for.

    Attributes:
        down: weights of the rows of `across` for each row of the image, float32 (h, H).
        across: float32 (H, w, C).
    """

    down: np.ndarray
    across: np.ndarray

    def rows(self, rows: slice) -> np.ndarray:
        """Return some rows, float32 (rows, w, C)."""
        weights = self.down[rows]
        some = _used(weights, axis=0)
        found: np.ndarray = weights[:, some] @ _flat(self.across[some])
        return found.reshape(-1, *self.across.shape[1:])

    def part(self, rows: slice, columns: slice) -> _Stretched:
        """Return a part of the image."""
        return _Stretched(self.down[rows], np.ascontiguousarray(self.across[:, columns]))


@dataclass(frozen=True)
class _Corrected:
    """An image, uint8 or float32 (h, w, 3 or 4), and what its colours are corrected by; None for nothing."""

    image: np.ndarray
    field: _Stretched | None

    def rows(self, rows: slice) -> np.ndarray:
        """Return some rows of the corrected image, float32 (rows, w, 3 or 4)."""
        corrected = self.image[rows].astype(np.float32)
        if self.field is not None:
            corrected[..., :3] += self.field.rows(rows)
        return corrected

    def part(self, rows: slice, columns: slice) -> _Corrected:
        """Return a part of the image."""
        return _Corrected(self.image[rows, columns], self.field and self.field.part(rows, columns))


class _ColourMatch:
    """Carry the difference of colour at the rim of the region inwards, so that no seam shows."""

    def __init__(self, shown: np.ndarray, region: Region, shape: tuple[int, ...]) -> None:
        mask = _soft_mask(region, shape, whole=True)
        self._weight = 1 - _resize(mask, (_FIELD, _FIELD))
        self._shown = _resize(shown * 255, (_FIELD, _FIELD))
        self._blurred_weight = _blur(self._weight)
        self._weights = cache(_weights)

    def __call__(self, animated: np.ndarray) -> _Stretched | None:
        """Return what brings an animated image, uint8 (h, w, 3), to the colours of the original; None for nothing."""
        if not self._weight.any():
            return None
        height, width = animated.shape[:2]
        shrunk = _shrunk(animated, self._weights(height, _FIELD), self._weights(width, _FIELD))
        difference = self._shown - shrunk
        correction = _blur(self._weight * difference) / (self._blurred_weight + 1e-3)
        return _Stretched(self._weights(_FIELD, height), _widened(correction, self._weights(_FIELD, width)))


def _shrunk(image: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Bring an image, uint8 (h, w, 3), to the size of the field, by weights (_FIELD, h) and (_FIELD, w)."""
    summed = np.zeros((_FIELD, *image.shape[1:]), np.float32)
    for rows in _bands(image.shape):
        weights = down[:, rows]
        some = _used(weights, axis=1)
        _flat(summed[some])[:] += weights[some] @ _flat(image[rows]).astype(np.float32)
    return _widened(summed, across)


def _used(weights: np.ndarray, axis: int) -> slice:
    """Return the range of the other side of a matrix outside of which all weights along an axis are zero."""
    needed = np.asarray(weights.any(axis=axis))
    return slice(int(needed.argmax()), len(needed) - int(needed[::-1].argmax()))


def _flat(image: np.ndarray) -> np.ndarray:
    """Return (H, W, C) as (H, W * C), which matrix products take without a copy."""
    return image.reshape(len(image), -1)


def _widened(image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Bring an image, float32 (H, W, C), to another width by weights (width, W)."""
    import cv2

    planes = cv2.split(image)
    wide = [np.empty((len(image), len(weights)), np.float32) for _ in planes]
    for start in range(0, len(weights), _COLUMNS):
        columns = slice(start, start + _COLUMNS)
        some = _used(weights[columns], axis=0)
        for plane, out in zip(planes, wide, strict=True):
            np.matmul(plane[:, some], weights[columns, some].T, out=out[:, columns])
    return cv2.merge(wide)


def _weights(length: int, wanted: int) -> np.ndarray:
    """Return the weights by which `_resize` brings a side to another length, float32 (wanted, length)."""
    return _resize(np.eye(length, dtype=np.float32)[..., None], (wanted, length))[..., 0].copy()


def _bands(shape: tuple[int, ...]) -> Iterator[slice]:
    """Cut the rows of an image (H, W, C) into bands of few numbers."""
    step = max(1, _BAND // (shape[1] * shape[2]))
    return (slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def _blend(pixels: np.ndarray, new: np.ndarray, mask: np.ndarray) -> None:
    """Bring pixels, uint8 (h, w, C), to new values, float32, as far as a mask, float32 (h, w), says.

    The new values are lost.
    """
    import cv2

    old = pixels.astype(np.float32)
    np.clip(new, 0, 255, out=new)
    new -= old
    new *= cv2.merge([mask] * new.shape[2])  # numpy would repeat the mask for each channel ten times as slowly
    new += old
    np.rint(new, out=new)
    np.copyto(pixels, new, casting="unsafe")


def _blur(field: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    blurred: np.ndarray = gaussian_filter(field, (_SPREAD, _SPREAD, 0), mode="nearest")
    return blurred


def _soft_mask(region: Region, shape: tuple[int, ...], *, whole: bool = False) -> np.ndarray:
    """Return 1 in the middle of a region, fading to 0 at those of its borders that lie inside the image.

    Returns:
        float32 (h, w, 1) for the part inside the image, or for the whole region.
    """
    rows = _ramp(region.top, region.bottom, shape[0], whole)
    columns = _ramp(region.left, region.right, shape[1], whole)
    return np.asarray(np.outer(rows, columns)[..., None], np.float32)


def _ramp(start: int, stop: int, length: int, whole: bool) -> np.ndarray:
    position = np.arange(start, stop) if whole else np.arange(max(0, start), min(length, stop))
    feather = max(1.0, _FEATHER * (stop - start))
    ramp = np.ones(len(position))
    if start > 0:
        ramp = np.minimum(ramp, (position - start) / feather)
    if stop < length:
        ramp = np.minimum(ramp, (stop - 1 - position) / feather)
    ramp = ramp.clip(0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp))


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize float32 (H, W, C) to another (height, width), smoothly."""
    if image.shape[:2] == size:
        return image
    pixels = torch.from_numpy(np.ascontiguousarray(image, np.float32)).permute(2, 0, 1)[None]
    resized = F.interpolate(pixels, size=size, mode="bicubic", antialias=True, align_corners=False)
    return resized[0].permute(1, 2, 0).numpy()
