"""Enlarge frames beyond the model's size, with the fine detail of the full-size source warped onto them.

What is lost when the source shrinks to the model's size is not lost for the result: the flow that the networks predict
anyway says where every pixel of a frame comes from. Detail is left out where it would be wrong: where the networks
painted rather than warped (occlusion map, and frames that differ from the warped source), where the flow folds or
squeezes, and where it is no stronger than noise. Where the flow rests, as in a still background, the source takes the
place of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_STRENGTH = 1.12  # of detail above the noise; the networks soften a little what they warp
_NOISE = 4.0  # grey levels; weaker detail is grain, which does not move with the face
_STRETCH = (1.15, 2.0)  # from here on detail fades, here it is gone: source pixels a pixel
_FOLD = (0.5, 0.1)
_REST = (0.4, 1.5)  # pixels of the model that something moves by; up to here it rests, from here on it moves
_LIKENESS = (0.8, 0.3)  # structural similarity of the frame to the warped source
_LIKENESS_WINDOW = 9  # pixels of the model
_LIKENESS_FLOOR = 20.0  # variance in squared grey levels below which structure is noise
_CUBIC_UP_TO = 640  # pixels; beyond, a cubic warp takes longer than a frame, and images hold less for each pixel
_ONE = 128  # fixed-point 1 of weights, so that weight times detail fits into 16 bits


@dataclass(frozen=True)
class FlowSampling:
    """How a generator reads its flow; attributes as in `Generator`.

    Attributes:
        skips: whether it warps the image itself, with the flow resized corner to corner, rather than features of
            the flow's size.
        align_corners: whether -1 and 1 are the centres of the outermost pixels rather than the outer edges.
    """

    skips: bool
    align_corners: bool

    def displacement(self, flow: np.ndarray, frame_side: int, axis: int) -> np.ndarray:
        """Return how far each pixel moves along an axis, as a fraction of that side of the image.

        Args:
            flow: float32 (h, w, 2), x before y, in [-1, 1].
            frame_side: pixels of the model's frame along the axis.
            axis: 0 for x, 1 for y.

        Returns:
            float32 (h, w).
        """
        nodes = flow.shape[1 - axis]
        extent = frame_side if self.skips else nodes
        place = np.arange(nodes, dtype=np.float32) * ((extent - 1) / (nodes - 1))
        pixels = (flow[..., axis] + 1) * ((extent - 1) / 2)
        if not self.align_corners:
            pixels = ((flow[..., axis] + 1) * extent - 1) / 2
        moved: np.ndarray = (pixels - (place if axis == 0 else place[:, None])) / extent
        return moved

    def enlarging(self, nodes: int, frame_side: int, side: int) -> np.ndarray:
        """Return a matrix (side, nodes) that interpolates one side of a flow field cubically, constant at the ends."""
        pixel = np.arange(side)
        if self.skips:
            place = ((pixel + 0.5) * frame_side / side - 0.5) * (nodes - 1) / (frame_side - 1)
        else:
            place = (pixel + 0.5) * nodes / side - 0.5
        place = place.clip(0, nodes - 1)
        first = np.floor(place).astype(int)
        matrix = np.zeros((side, nodes), np.float32)
        for neighbour in (-1, 0, 1, 2):
            weight = _cubic(np.abs(place - first - neighbour))
            np.add.at(matrix, (pixel, (first + neighbour).clip(0, nodes - 1)), weight)
        return matrix


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Return Catmull-Rom weights for distances in [0, 2]."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.asarray(np.where(distance <= 1, near, np.where(distance < 2, far, 0)))


class Warp:
    """Warps images of one source by the flow of the model's frames, each at its own size."""

    def __init__(self, frame_size: tuple[int, int], sampling: FlowSampling) -> None:
        """Prepare for frames of a model.

        Args:
            frame_size: (height, width) of the model's frames.
            sampling: how the model reads its flow.
        """
        self._frame_size = frame_size
        self._sampling = sampling
        self._matrices: dict[tuple[int, int, int], np.ndarray] = {}

    def __call__(self, image: np.ndarray, flow: np.ndarray, interpolation: int) -> np.ndarray:
        """Warp an image of the source, (H, W) or (H, W, C); safe to call from several threads.

        Args:
            image: of any size.
            flow: backward flow of a frame, float32 (n, m, 2), x before y, in [-1, 1].
            interpolation: of OpenCV.
        """
        import cv2

        size = image.shape[:2]
        moved = [self._enlarged(self.displacement(flow, axis), size) * size[1 - axis] for axis in (0, 1)]
        moved[0] += np.arange(size[1], dtype=np.float32)
        moved[1] += np.arange(size[0], dtype=np.float32)[:, None]
        warped = cv2.remap(image, moved[0], moved[1], interpolation, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(warped)

    def displacement(self, flow: np.ndarray, axis: int) -> np.ndarray:
        """Return how far each pixel moves along an axis, as a fraction of that side of the image."""
        return self._sampling.displacement(flow, self._frame_size[1 - axis], axis)

    def _enlarged(self, field: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
        """Interpolate a field (n, m) on the nodes of the flow to the pixels of an image."""
        rows = self._matrix(field.shape[0], self._frame_size[0], size[0])
        columns = self._matrix(field.shape[1], self._frame_size[1], size[1])
        return np.asarray(rows @ field @ columns.T)

    def _matrix(self, nodes: int, frame_side: int, side: int) -> np.ndarray:
        key = nodes, frame_side, side
        if key not in self._matrices:
            self._matrices[key] = self._sampling.enlarging(*key)
        return self._matrices[key]


class DetailTransfer:
    """Brings the frames of one animated source to the size of a larger copy of that source."""

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
        self._warp = Warp((height, width), sampling)
        self._reduces = self.size[0] <= height and self.size[1] <= width
        difference = np.arange(-128.0, 128.0)
        self._cored = np.rint(_STRENGTH * difference**3 / (difference**2 + _NOISE**2)).astype(np.int16)

    def __call__(self, frame: np.ndarray, flow: np.ndarray, occlusion: np.ndarray | None) -> np.ndarray:
        """Bring a frame to the size of the source; safe to call from several threads.

        Args:
            frame: uint8 (h, w, 3), as the model decoded it.
            flow: its backward flow, float32 (n, m, 2), x before y, in [-1, 1].
            occlusion: its occlusion map, float32 (n, m) in [0, 1], or None.

        Returns:
            uint8 (H, W, 3).
        """
        import cv2

        height, width = self.size
        if self._reduces:
            return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA))
        warped = self._warp(self._shown, flow, cv2.INTER_LINEAR)  # as the model warps
        trust = self._trust(frame, warped, flow, occlusion)
        still = trust * self._rest(flow)
        frame = cv2.blendLinear(warped, frame, still, 1 - still)
        enlarged = cv2.resize(frame, (width, height), interpolation=cv2.INTER_CUBIC)
        interpolation = cv2.INTER_CUBIC if max(self.size) <= _CUBIC_UP_TO else cv2.INTER_LINEAR
        sharp = self._warp(self._source, flow, interpolation)
        blurred = cv2.resize(warped, (width, height), interpolation=cv2.INTER_CUBIC)
        detail = cv2.LUT(cv2.addWeighted(sharp, 1, blurred, -1, 128), self._cored)
        weight = np.asarray(np.rint(trust * _ONE), np.uint8)
        return np.asarray(cv2.add(enlarged, self._faded(detail, weight), dtype=cv2.CV_8U))

    def _trust(
        self, frame: np.ndarray, warped: np.ndarray, flow: np.ndarray, occlusion: np.ndarray | None
    ) -> np.ndarray:
        """Return how far the warped source can be trusted at each pixel of the frame, float32 (h, w) in [0, 1]."""
        import cv2

        trust = self._trust_in_flow(flow)
        if occlusion is not None:
            trust = trust * occlusion
        height, width = frame.shape[:2]
        trust = cv2.resize(trust, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(trust * _ramp(_likeness(frame, warped), *_LIKENESS), np.float32)

    def _rest(self, flow: np.ndarray) -> np.ndarray:
        """Return 1 where the flow leaves things where they are, 0 where it moves them, float32 (h, w)."""
        import cv2

        height, width = self._shown.shape[:2]
        across, down = (self._warp.displacement(flow, axis) * self._shown.shape[1 - axis] for axis in (0, 1))
        rest = np.asarray(_ramp(np.hypot(across, down), *_REST), np.float32)
        return np.asarray(cv2.resize(rest, (width, height), interpolation=cv2.INTER_LINEAR))

    def _trust_in_flow(self, flow: np.ndarray) -> np.ndarray:
        """Return 0 where the flow folds, squeezes or leaves the source, 1 where it moves rigidly, (n, m)."""
        across, down = (self._warp.displacement(flow, axis) * flow.shape[1 - axis] for axis in (0, 1))
        (a, b), (c, d) = np.gradient(across, axis=(1, 0)), np.gradient(down, axis=(1, 0))
        a, d = a + 1, d + 1
        determinant, norm = a * d - b * c, a**2 + b**2 + c**2 + d**2
        largest = np.sqrt((norm + np.sqrt(np.maximum(norm**2 - 4 * determinant**2, 0))) / 2)
        smallest = determinant / np.maximum(largest, 1e-6)  # negative where the flow is mirrored
        inside = (np.abs(flow) <= 1 + 2 / flow.shape[0]).all(axis=-1)
        return np.asarray(_ramp(largest, *_STRETCH) * _ramp(smallest, *_FOLD) * inside, np.float32)

    def _faded(self, detail: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Fade detail, int16 (H, W, 3), by weights (h, w); its finer half fades by their squares."""
        import cv2

        height, width = self.size
        full = cv2.cvtColor(cv2.resize(weight, (width, height), interpolation=cv2.INTER_LINEAR), cv2.COLOR_GRAY2RGB)
        weights = full.astype(np.int16)
        side = 3 if max(self.size) <= _CUBIC_UP_TO else 5
        coarse = cv2.blur(detail, (side, side))
        faded = _times(detail - coarse, weights)
        faded += coarse
        return _times(faded, weights)


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
