"""Put the invisible mark into frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fomm_cli.marks.code import Payload, encode
from fomm_cli.marks.pattern import agreement, image_of, pattern_of
from fomm_cli.marks.samples import samples_of, waves_of

SMALLEST_SIDE = 96  # pixels; a smaller frame cannot hold the waves

_ERROR = 1.5  # greatest mean squared change of a frame: 46.4 dB
_ROUNDING = 1 / 12  # the part of it that comes from rounding
_LARGEST = 1.0  # standard deviation of the change where a frame is flat
_GRID = 64  # places a side for which a strength is chosen
_AROUND = 2.0  # halves of such a place; how far around it the frame is looked at
_MASKING, _MOST_MASKING = 0.03, 2.0  # a standard deviation of 1 around a place hides 3 % more; never more than twice
_DARK, _LEAST = 40, 0.4  # below this level there is less to hide behind: down to this factor at black


class InvisibleMark:
    """One payload, put into all frames of a result.

    The first frame decides where the pattern lies: where it already agrees best with the frame, which makes the mark
    stronger at no cost. So a result needs an object of its own.

    Args:
        payload: what the mark says.
    """

    def __init__(self, payload: Payload) -> None:
        self._direction = pattern_of(encode(payload))
        self._shift: tuple[float, float] | None = None
        self._canvas: _Canvas | None = None

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """Return a marked copy of a frame, uint8 (H, W, 3); a frame too small for the mark is returned as it is."""
        import cv2

        height, width = frame.shape[:2]
        if min(height, width) < SMALLEST_SIDE:
            return frame
        if self._shift is None:
            self._shift = _best_shift(frame, self._direction)
        if self._canvas is None or self._canvas.pattern.shape != (height, width):
            self._canvas = _Canvas.of(image_of(self._direction, (height, width), self._shift))
        canvas = self._canvas
        cv2.resize(_strength(frame), (width, height), dst=canvas.strength, interpolation=cv2.INTER_LINEAR)
        # Products saturate at 0, so that one adds what is positive and the other takes away what is negative.
        marked = cv2.add(frame, canvas.change(canvas.pattern))
        return cv2.subtract(marked, canvas.change(canvas.negative), dst=marked)


@dataclass(frozen=True)
class _Canvas:
    """The pattern at the size of the frames, and memory that every frame uses again."""

    pattern: np.ndarray
    negative: np.ndarray
    strength: np.ndarray
    gray: np.ndarray
    rgb: np.ndarray

    @classmethod
    def of(cls, pattern: np.ndarray) -> _Canvas:
        gray = np.empty(pattern.shape, np.uint8)
        return cls(pattern, -pattern, np.empty_like(pattern), gray, np.empty((*pattern.shape, 3), np.uint8))

    def change(self, pattern: np.ndarray) -> np.ndarray:
        """Return the positive part of a pattern times the strength, uint8 (H, W, 3), in memory that is used again."""
        import cv2

        cv2.multiply(pattern, self.strength, dst=self.gray, dtype=cv2.CV_8U)
        return cv2.merge([self.gray] * 3, self.rgb)


def _best_shift(frame: np.ndarray, direction: np.ndarray) -> tuple[float, float]:
    """Return the shift of a pattern, in samples of the grid, at which a frame agrees best with it."""
    import cv2

    found = agreement(waves_of(samples_of(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))), direction)[::2, ::2]
    row, column = np.unravel_index(int(found.argmax()), found.shape)
    return float(row), float(column)


def _strength(frame: np.ndarray) -> np.ndarray:
    """Return how strong the pattern may be at each place, float32 (_GRID, _GRID): more where much hides it."""
    import cv2

    small = cv2.resize(frame, (2 * _GRID, 2 * _GRID), interpolation=cv2.INTER_AREA)
    small = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean = cv2.GaussianBlur(small, (0, 0), _AROUND)
    spread = np.sqrt(np.maximum(cv2.GaussianBlur(small * small, (0, 0), _AROUND) - mean * mean, 0))
    strength = np.minimum(1 + _MASKING * spread, _MOST_MASKING)
    strength *= np.minimum(_LEAST + (1 - _LEAST) / _DARK * mean, 1)
    strength = np.asarray(cv2.resize(strength, (_GRID, _GRID), interpolation=cv2.INTER_AREA))
    allowed = ((_ERROR - _ROUNDING) / float(np.mean(strength * strength))) ** 0.5
    return np.asarray(strength * np.float32(min(allowed, _LARGEST)))
