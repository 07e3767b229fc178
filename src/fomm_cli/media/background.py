"""Fill the transparent parts of a result with a colour or an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fomm_cli.media.alpha import composite
from fomm_cli.media.image import read_image
from fomm_cli.media.options import colour_of
from fomm_cli.media.resize import fit_frame


class Background:
    """Fill transparent frames with a colour, or with an image that covers them."""

    def __init__(self, pixels: np.ndarray) -> None:
        """Take one colour, uint8 (3,), or an image, uint8 (H, W, 3) of any size."""
        self._pixels = pixels

    @classmethod
    def of(cls, text: str) -> Background:
        """Read what `--background` names.

        Raises:
            InputError: it is no colour, and no image that can be read.
        """
        colour = colour_of(text)
        return cls(read_image(Path(text)) if colour is None else np.array(colour, np.uint8))

    def __call__(self, rgba: np.ndarray) -> np.ndarray:
        """Lay a frame, uint8 (H, W, 4), over it; returns uint8 (H, W, 3)."""
        size = rgba.shape[0], rgba.shape[1]
        if self._pixels.ndim == 3 and self._pixels.shape[:2] != size:
            self._pixels = fit_frame(self._pixels, size, "crop")  # once: the frames of a result have one size
        return composite(rgba, self._pixels)
