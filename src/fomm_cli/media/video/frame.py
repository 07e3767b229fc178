"""Describe frames of a video with the exact times at which they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fomm_cli.geometry import Region
from fomm_cli.media.crop import region_of

LARGE = 4_000_000  # pixels; smaller frames always come with their exact values
_SLOW = 2  # reducing by this takes FFmpeg longer than converting all pixels
_DETAIL = 2  # times the wanted size, to which large frames may be reduced


@dataclass(frozen=True)
class Moment:
    """The time at which a frame is shown.

    Attributes:
        time: seconds since the first kept frame.
        duration: seconds it is shown for; None where the file does not say.
    """

    time: Fraction
    duration: Fraction | None


@dataclass(frozen=True)
class Frame(Moment):
    """A frame and when it is shown.

    Attributes:
        image: uint8 (H, W, 3) RGB, upright; H and W may change in the middle of a video.
    """

    image: np.ndarray


@dataclass(frozen=True)
class Excerpt:
    """The part and size that are needed of every frame of a video.

    Attributes:
        region: the part, in pixels of the upright frame; None for all of it.
        size: (height, width) that it will be resized to, so that frames of more than 4 megapixels may come reduced, to
            twice that size or more; None where every pixel counts.
    """

    region: Region | None = None
    size: tuple[int, int] | None = None

    def reduction(self, height: int, width: int) -> int:
        """Return by how much a frame of some size may be reduced: 1, 4, 8 or another power of two."""
        shown = self.region or Region(0, 0, width, height)
        is_inside = min(shown.left, shown.top) >= 0 and shown.right <= width and shown.bottom <= height
        factor = 1
        if self.size is not None and height * width > LARGE and is_inside:
            spare = min(shown.height // self.size[0], shown.width // self.size[1]) // _DETAIL
            while 2 * factor <= spare:
                factor *= 2
        return factor if factor > _SLOW else 1

    def of(self, image: np.ndarray, reduction: int = 1) -> np.ndarray:
        """Return the needed part of a frame, (H, W, 3), that was reduced."""
        if self.region is None:
            return image
        left, top, width, height = (
            side // reduction for side in (self.region.left, self.region.top, self.region.width, self.region.height)
        )
        return region_of(image, Region(left, top, width, height))


WHOLE = Excerpt()
