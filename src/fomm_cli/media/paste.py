"""Paste animated images back into the images that they were cropped from."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from fomm_cli.geometry import Region
from fomm_cli.media.options import Fit

_FEATHER = 0.14  # of the region's side, over which the image fades into the original
_FIELD = 32  # pixels; the colour correction is no finer
_SPREAD = 5.0  # pixels of the field, over which the difference at the rim is carried inwards


def fitted_region(shape: tuple[int, ...], size: tuple[int, int], fit: Fit) -> Region:
    """The part of an image that `fit_source` and `fit_frame` show, in the image's pixels.

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
    """Puts animated images back into the region of the image that they were cut from."""

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
        self._mask = _soft_mask(region, image.shape)
        if weight is not None:
            self._mask = self._mask * weight[..., None]
        self._colours = _ColourMatch(shown, region, image.shape)

    @property
    def mask(self) -> np.ndarray:
        """How much of the animated image shows at each pixel of the whole one, float32 (H, W) in [0, 1]."""
        mask = np.zeros(self._image.shape[:2], np.float32)
        mask[self._rows, self._columns] = self._mask[..., 0]
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
        region, inside = self._region, self._inside
        corrected = np.concatenate([self._colours(animated[..., :3]), animated[..., 3:]], axis=-1, dtype=np.float32)
        enlarged = _resize(corrected, (region.height, region.width))
        new = enlarged[inside.top - region.top :, inside.left - region.left :][: inside.height, : inside.width]
        whole = self._image.copy() if onto is None else onto
        old = whole[self._rows, self._columns]
        whole[self._rows, self._columns] = np.rint(old + self._mask * (new.clip(0, 255) - old)).astype(np.uint8)
        return whole


class _ColourMatch:
    """Carries the difference of colour at the rim of the region inwards, so that no seam shows."""

    def __init__(self, shown: np.ndarray, region: Region, shape: tuple[int, ...]) -> None:
        mask = _soft_mask(region, shape, whole=True)
        self._weight = 1 - _resize(mask, (_FIELD, _FIELD))
        self._shown = _resize(shown * 255, (_FIELD, _FIELD))
        self._blurred_weight = _blur(self._weight)

    def __call__(self, animated: np.ndarray) -> np.ndarray:
        """The animated image, uint8 (h, w, 3), in the colours of the original, float32."""
        if not self._weight.any():
            return animated.astype(np.float32)
        difference = self._shown - _resize(animated.astype(np.float32), (_FIELD, _FIELD))
        correction = _blur(self._weight * difference) / (self._blurred_weight + 1e-3)
        return np.asarray(animated + _resize(correction, animated.shape[:2]))


def _blur(field: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    blurred: np.ndarray = gaussian_filter(field, (_SPREAD, _SPREAD, 0), mode="nearest")
    return blurred


def _soft_mask(region: Region, shape: tuple[int, ...], *, whole: bool = False) -> np.ndarray:
    """1 in the middle of a region, fading to 0 at those of its borders that lie inside the image.

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
    """Float32 (H, W, C) at another (height, width), smoothly."""
    if image.shape[:2] == size:
        return image
    pixels = torch.from_numpy(np.ascontiguousarray(image, np.float32)).permute(2, 0, 1)[None]
    resized = F.interpolate(pixels, size=size, mode="bicubic", antialias=True, align_corners=False)
    return resized[0].permute(1, 2, 0).numpy()
