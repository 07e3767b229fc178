"""Pasting back, against a plain composition of the same images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

from fomm_cli.geometry import Region
from fomm_cli.media.paste import PasteBack


def _resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    pixels = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]
    resized = F.interpolate(pixels, size=(height, width), mode="bicubic", antialias=True, align_corners=False)
    return resized[0].permute(1, 2, 0).numpy()


def _faded(start: int, stop: int, length: int) -> np.ndarray:
    """Return 1 inside, smoothly down to 0 at the borders that lie inside the image, for one side of a region."""
    position, feather = np.arange(start, stop), max(1.0, 0.14 * (stop - start))
    from_start = (position - start) / feather if start > 0 else np.ones(stop - start)
    from_stop = (stop - 1 - position) / feather if stop < length else np.ones(stop - start)
    ramp = np.minimum(from_start, from_stop).clip(0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def _composed(
    image: np.ndarray, region: Region, shown: np.ndarray, animated: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Match colours, enlarge and blend, each for the whole region at once."""
    height, width = image.shape[:2]
    rows, columns = _faded(region.top, region.bottom, height), _faded(region.left, region.right, width)
    mask = np.outer(rows, columns)[..., None].astype(np.float32)
    rim = 1 - _resized(mask, 32, 32)
    difference = rim * (_resized(shown * 255, 32, 32) - _resized(animated[..., :3], 32, 32))
    blurred = [gaussian_filter(each, (5, 5, 0), mode="nearest") for each in (difference, rim)]
    new = animated.astype(np.float32)
    new[..., :3] += _resized(blurred[0] / (blurred[1] + 1e-3), *animated.shape[:2])
    new = _resized(new, region.height, region.width)
    top, left = max(0, region.top), max(0, region.left)
    part = np.s_[top - region.top : height - region.top, left - region.left : width - region.left]
    new, mask = new[part], mask[part] * weight[..., None]
    result = image.copy()
    seen = result[top : top + new.shape[0], left : left + new.shape[1]]
    seen[:] = np.rint(seen + mask * (new.clip(0, 255) - seen))
    return result


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(
    ("region", "size"),
    [
        (Region(30, 20, 200, 180), (180, 200)),  # of the size of the animated image
        (Region(30, 20, 200, 180), (64, 96)),
        (Region(-40, 90, 300, 300), (300, 300)),  # over two borders
        (Region(-40, -30, 300, 300), (128, 128)),
        (Region(0, 0, 320, 280), (280, 320)),  # nothing to match colours at
    ],
)
def test_the_result_is_a_plain_composition(region: Region, size: tuple[int, int], channels: int) -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (280, 320, channels), dtype=np.uint8)
    shown = random.random((256, 256, 3), dtype=np.float32)
    inside = (
        min(280, region.bottom) - max(0, region.top),
        min(320, region.right) - max(0, region.left),
    )
    weight = random.random(inside, dtype=np.float32)
    paste, before = PasteBack(image, region, shown, weight), image.copy()
    for _ in range(2):
        animated = random.integers(0, 256, (*size, channels), dtype=np.uint8)
        pasted = paste(animated)
        wrong = np.abs(pasted.astype(int) - _composed(image, region, shown, animated, weight))
        assert wrong.max() <= 1  # sums in another order round a few values otherwise
        assert np.count_nonzero(wrong) <= 4
    np.testing.assert_array_equal(image, before)


def test_other_faces_in_the_image_stay() -> None:
    random = np.random.default_rng(1)
    image = random.integers(0, 256, (200, 300, 3), dtype=np.uint8)
    shown = random.random((64, 64, 3), dtype=np.float32)
    animated = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    first, second = (PasteBack(image, Region(left, 50, 100, 100), shown) for left in (20, 180))
    both = first(animated)
    assert second(animated, onto=both) is both
    np.testing.assert_array_equal(both[:, :150], first(animated)[:, :150])
    np.testing.assert_array_equal(both[:, 150:], second(animated)[:, 150:])
