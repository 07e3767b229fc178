"""Convert frames to the waves in which the mark is looked for."""

from __future__ import annotations

import numpy as np

from fomm_cli.marks.pattern import GRID, coefficients_of, waves

_AROUND = 2.0  # samples; how far around a place it is levelled
_QUIET = 0.05  # below such a standard deviation nothing is raised
_CLIP = 2.5
_DIAGONALS = ((1, 0, -1), (0, 0, 0), (-1, 0, 1))  # answers to diagonal waves, not to level or upright edges


def samples_of(gray: np.ndarray, shape: tuple[int, int] = (GRID, GRID)) -> np.ndarray:
    """Average a frame down to float32 of a (height, width) of at most GRID."""
    import cv2

    height, width = gray.shape
    shrinks = height >= shape[0] and width >= shape[1]
    samples = cv2.resize(gray, shape[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return samples.astype(np.float32)


def waves_of(samples: np.ndarray) -> np.ndarray:
    """Return the waves in samples after levelling them: what is busy counts no more than what is calm."""
    import cv2

    details = cv2.filter2D(samples, -1, np.array(_DIAGONALS, np.float32), borderType=cv2.BORDER_REFLECT)
    spread = np.sqrt(cv2.GaussianBlur(details * details, (0, 0), _AROUND)) + _QUIET
    levelled = np.zeros((GRID, GRID), np.float32)
    levelled[: samples.shape[0], : samples.shape[1]] = np.clip(details / spread, -_CLIP, _CLIP)
    return np.asarray(coefficients_of(levelled) * -np.sign(waves()[0]))  # the filter turns one diagonal over
