"""Enlarge frames beyond the model's size, with the fine detail of the full-size source warped onto them.

What is lost when the source shrinks to the model's size is not lost for the result: the flow that the networks predict
anyway says where every pixel of a frame comes from. Detail is left out where it would be wrong: where the networks
painted rather than warped (occlusion map, and frames that differ from the warped source), where the flow folds or
squeezes, and where it is weak: as noise, or as texture that moves. Where the flow rests, as in a still background, the
source takes the place of most of the frame.
"""

from __future__ import annotations

import numpy as np

from fomm_cli.animation.flow import FlowSampling, FrameWarp, Scratch, Warp

_STRENGTH = 1.2  # at most, of detail; the networks soften a little what they warp
_STILL = (1.2, 2.5)  # strength of detail where things rest; grey levels below which it is noise
_MOVING = (1.6, 17.0)  # the same where they move: the finer the detail, the less of it lies where it should
_STRETCH = (1.15, 2.0)  # from here on detail fades, here it is gone: source pixels a pixel
_FOLD = (0.5, 0.1)
_REST = (0.05, 3.0)  # pixels of the model that something moves by; up to here it rests, from here on it moves
_REPLACED = (0.4, 1.5)  # the same, for frames that the source replaces
_REPLACEMENT = 0.7  # of the frame that the source replaces where things rest
_LIKENESS = (0.8, 0.3)  # structural similarity of the frame to the warped source
_LIKENESS_WINDOW = 9  # pixels of the model
_LIKENESS_FLOOR = 20.0  # variance in squared grey levels below which structure is noise
_CUBIC_UP_TO = 640  # pixels; beyond, a cubic warp takes longer than a frame, and images hold less for each pixel
_ONE = 128  # fixed-point 1 of weights, so that weight times detail fits into 16 bits


class DetailTransfer:
    """Bring the frames of one animated source to the size of a larger copy of that source.

    Attributes:
        size: (height, width) of that copy.
        warp: makes the warps of frames.
    """

    def __init__(self, source: np.ndarray, shown: np.ndarray, sampling: FlowSampling) -> None:
        """Prepare what is the same for every frame.

        Args:
            source: uint8 (H, W, 3), at the size of the result.
            shown: what the model was given of the same image, float32 (h, w, 3) in [0, 1].
            sampling: how the model reads its flow.
        """
        self.size: tuple[int, int] = (source.shape[0], source.shape[1])
        self._source = np.ascontiguousarray(source)
        self._shown = np.rint(shown * 255).astype(np.uint8)
        height, width = self._shown.shape[:2]
        self.warp = Warp((height, width), sampling)
        self._reduces = self.size[0] <= height and self.size[1] <= width
        self._scratch = Scratch()
        self._cored = [_cored(*each) for each in (_STILL, _MOVING)]

    def __call__(self, frame: np.ndarray, warp: FrameWarp, occlusion: np.ndarray | None) -> np.ndarray:
        """Bring a frame to the size of the source; safe to call from several threads.

        Args:
            frame: uint8 (h, w, 3), as the model decoded it.
            warp: of the frame, from `warp.of`.
            occlusion: its occlusion map, float32 (n, m) in [0, 1], or None.

        Returns:
            uint8 (H, W, 3).
        """
        import cv2

        height, width = self.size
        if self._reduces:
            return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA))
        warped = warp(self._shown, cv2.INTER_LINEAR)  # as the model warps
        trust = self._trust(frame, warped, warp, occlusion)
        moved = self._moved(warp)
        still = _REPLACEMENT * trust * _ramp(moved, *_REPLACED)
        enlarged = cv2.resize(
            cv2.blendLinear(warped, frame, still, 1 - still), (width, height), interpolation=cv2.INTER_CUBIC
        )
        detail = self._faded(self._detail(warped, warp, _ramp(moved, *_REST)), trust)
        return np.asarray(cv2.add(enlarged, detail, dst=enlarged, dtype=cv2.CV_8U))

    def _detail(self, warped: np.ndarray, warp: FrameWarp, rest: np.ndarray) -> np.ndarray:
        """Return what the warped source has beyond what the model saw of it, without noise, int16 (H, W, 3).

        Args:
            warped: what the model saw, as the frame is warped, uint8 (h, w, 3).
            warp: of the frame.
            rest: 1 where things rest, 0 where they move, float32 (h, w).
        """
        import cv2

        shape = self._source.shape
        interpolation = cv2.INTER_CUBIC if max(self.size) <= _CUBIC_UP_TO else cv2.INTER_LINEAR
        sharp = warp(self._source, interpolation, self._scratch("sharp", shape, np.uint8))
        blurred = self._scratch("blurred", shape, np.uint8)
        cv2.resize(warped, self.size[::-1], dst=blurred, interpolation=cv2.INTER_CUBIC)
        difference = cv2.addWeighted(sharp, 1, blurred, -1, 128, dst=blurred)
        still, moving = (
            cv2.LUT(difference, cored, dst=self._scratch(name, shape, np.int16))
            for name, cored in zip(("detail", "coarse"), self._cored, strict=True)
        )
        np.subtract(still, moving, out=still)
        detail = _times(np.asarray(still), self._weights(rest))
        np.add(detail, moving, out=detail)
        return detail

    def _trust(
        self, frame: np.ndarray, warped: np.ndarray, warp: FrameWarp, occlusion: np.ndarray | None
    ) -> np.ndarray:
        """Return how far the warped source can be trusted at each pixel of the frame, float32 (h, w) in [0, 1]."""
        import cv2

        trust = _trust_in_flow(warp)
        if occlusion is not None:
            trust = trust * occlusion
        height, width = frame.shape[:2]
        trust = cv2.resize(trust, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(trust * _ramp(_likeness(frame, warped), *_LIKENESS), np.float32)

    def _moved(self, warp: FrameWarp) -> np.ndarray:
        """Return how many pixels of the model the flow moves each pixel of the frame by, float32 (h, w)."""
        import cv2

        height, width = self._shown.shape[:2]
        across, down = (moved * side for moved, side in zip(warp.displacements, (width, height), strict=True))
        return np.asarray(cv2.resize(np.hypot(across, down), (width, height), interpolation=cv2.INTER_LINEAR))

    def _faded(self, detail: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Fade detail, int16 (H, W, 3), in place by weights (h, w); its finer half fades by their squares."""
        import cv2

        weights = self._weights(weight)
        side = 3 if max(self.size) <= _CUBIC_UP_TO else 5
        coarse = cv2.blur(detail, (side, side), dst=self._scratch("coarse", detail.shape, np.int16))
        detail -= coarse
        detail = _times(detail, weights)
        detail += coarse
        return _times(detail, weights)

    def _weights(self, weight: np.ndarray) -> np.ndarray:
        """Enlarge weights, float32 (h, w) in [0, 1], to fixed-point int16 (H, W, 3)."""
        import cv2

        full = self._scratch("weight", self.size, np.uint8)
        cv2.resize(np.rint(weight * _ONE).astype(np.uint8), self.size[::-1], dst=full, interpolation=cv2.INTER_LINEAR)
        shape = self._source.shape
        weights = self._scratch("weights", shape, np.int16)
        np.copyto(weights, cv2.cvtColor(full, cv2.COLOR_GRAY2RGB, dst=self._scratch("sharp", shape, np.uint8)))
        return weights


def _cored(strength: float, noise: float) -> np.ndarray:
    """Return the detail to add for each difference from -128 to 127, int16: strong ones whole, noise not at all."""
    difference = np.arange(-128.0, 128.0)
    gain = strength * difference**2 / (difference**2 + noise**2)
    return np.asarray(np.rint(np.minimum(gain, _STRENGTH) * difference), np.int16)


def _trust_in_flow(warp: FrameWarp) -> np.ndarray:
    """Return 0 where the flow folds, squeezes or leaves the source, 1 where it moves rigidly, (n, m)."""
    nodes = warp.flow.shape[1::-1]
    across, down = (moved * side for moved, side in zip(warp.displacements, nodes, strict=True))
    (a, b), (c, d) = np.gradient(across, axis=(1, 0)), np.gradient(down, axis=(1, 0))
    a, d = a + 1, d + 1
    determinant, norm = a * d - b * c, a**2 + b**2 + c**2 + d**2
    largest = np.sqrt((norm + np.sqrt(np.maximum(norm**2 - 4 * determinant**2, 0))) / 2)
    smallest = determinant / np.maximum(largest, 1e-6)  # negative where the flow is mirrored
    inside = (np.abs(warp.flow) <= 1 + 2 / warp.flow.shape[0]).all(axis=-1)
    return np.asarray(_ramp(largest, *_STRETCH) * _ramp(smallest, *_FOLD) * inside, np.float32)


def _times(detail: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Multiply detail, int16, by fixed-point weights in place."""
    detail *= weights
    detail += _ONE // 2
    detail >>= _ONE.bit_length() - 1
    return detail


def _ramp(values: np.ndarray, full: float, none: float) -> np.ndarray:
    """Return 1 at `full` and beyond, 0 at `none` and beyond, and a straight line between."""
    return np.clip((values - none) / (full - none), 0, 1)


def _likeness(frame: np.ndarray, warped: np.ndarray) -> np.ndarray:
    """Compute the structural similarity of two images, uint8 (h, w, 3), around each pixel: float32 (h, w), 1 if equal.

    Brightness does not count: networks may shade what they warp.
    """
    import cv2

    def mean(values: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.blur(values, (_LIKENESS_WINDOW, _LIKENESS_WINDOW)))

    one, other = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) for image in (frame, warped))
    mean_one, mean_other = mean(one), mean(other)
    variances = mean(one * one) - mean_one**2 + mean(other * other) - mean_other**2
    covariance = mean(one * other) - mean_one * mean_other
    return np.asarray((2 * covariance + _LIKENESS_FLOOR) / (variances + _LIKENESS_FLOOR))
