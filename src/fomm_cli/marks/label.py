"""Draw a visible label into the lower left corner of frames."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

_SIDE = 1 / 20  # height of the letters as a fraction of the frame's shorter side
_SMALLEST = 12  # pixels; letters of this height are readable
_WIDEST = 0.9  # of the frame
_BACKDROP = 0.45  # how much of the frame is left behind the letters


def draw_label(frame: np.ndarray, text: str) -> np.ndarray:
    """Return a copy of a frame, uint8 (H, W, 3 or 4), with white letters on a darkened corner, which is opaque."""
    letters = _letters(text, frame.shape[:2])[..., None]
    height, width = letters.shape[:2]
    labelled = frame.copy()
    corner = labelled[frame.shape[0] - height :, :width]
    corner[..., :3] = np.rint(corner[..., :3] * _BACKDROP * (1 - letters) + 255 * letters)
    corner[..., 3:] = 255
    return labelled


@lru_cache(maxsize=8)
def _letters(text: str, size: tuple[int, int]) -> np.ndarray:
    """Return how much each pixel of the label's box is covered by letters, float32 (height, width) in [0, 1]."""
    from PIL import Image, ImageDraw, ImageFont

    points = max(_SMALLEST, round(min(size) * _SIDE))
    while True:
        font = ImageFont.load_default(points)
        left, top, right, bottom = font.getbbox(text)
        if right - left + points <= _WIDEST * size[1] or points <= _SMALLEST // 2:
            break
        points -= 1
    box = (min(round(right - left) + points, size[1]), min(round(bottom - top) + points, size[0]))
    image = Image.new("L", box)
    ImageDraw.Draw(image).text((points // 2 - left, points // 2 - top), text, fill=255, font=font)
    return np.asarray(image, np.float32) / 255
