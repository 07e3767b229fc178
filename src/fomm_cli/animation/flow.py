"""Read the flow of the model's frames, and warp images of the source by it at any size."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


@dataclass(frozen=True)
class FlowSampling:
    """The way a generator reads its flow; attributes as in `Generator`.

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


class Scratch(threading.local):
    """Keep arrays that a thread uses again for every frame; new memory would take longer than the computing in it."""

    def __init__(self) -> None:
        """Start without arrays, once a thread."""
        self._arrays: dict[str, np.ndarray] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
        """Return the array of a name, with any values in it."""
        array = self._arrays.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            array = self._arrays[name] = np.empty(shape, dtype)
        return array


class Warp:
    """Warp images of one source by the flow of the model's frames; safe to use from several threads.

    Attributes:
        frame_size: (height, width) of the model's frames.
        sampling: how the model reads its flow.
        scratch: holds what the warps of frames work with.
    """

    def __init__(self, frame_size: tuple[int, int], sampling: FlowSampling) -> None:
        """Prepare for frames of a model."""
        self.frame_size = frame_size
        self.sampling = sampling
        self.scratch = Scratch()
        self._matrices: dict[tuple[int, int, int], np.ndarray] = {}

    def of(self, flow: np.ndarray) -> FrameWarp:
        """Return the warp of one frame, valid until the thread asks for the next.

        Args:
            flow: backward flow of the frame, float32 (n, m, 2), x before y, in [-1, 1].
        """
        return FrameWarp(flow, self)

    def enlarged(self, field: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Interpolate a field (n, m) on the nodes of the flow to the pixels of an image."""
        rows = self._matrix(field.shape[0], self.frame_size[0], size[0])
        columns = self._matrix(field.shape[1], self.frame_size[1], size[1])
        return np.asarray(rows @ field @ columns.T)

    def _matrix(self, nodes: int, frame_side: int, side: int) -> np.ndarray:
        key = nodes, frame_side, side
        if key not in self._matrices:
            self._matrices[key] = self.sampling.enlarging(*key)
        return self._matrices[key]


class FrameWarp:
    """Warp images of the source, each at its own size, as the model warped them for one frame.

    Attributes:
        flow: backward flow of the frame, float32 (n, m, 2), x before y, in [-1, 1].
        displacements: how far each node of the flow moves along x and along y, as a fraction of that side of the
            image, (n, m) each.
    """

    def __init__(self, flow: np.ndarray, warp: Warp) -> None:
        """Prepare for a frame; `Warp.of` does it."""
        self.flow = flow
        self.displacements = [
            warp.sampling.displacement(flow, side, axis) for axis, side in enumerate(reversed(warp.frame_size))
        ]
        self._warp = warp
        self._of_frame: dict[int, np.ndarray] = {}
        self._places: dict[tuple[int, int], list[np.ndarray]] = {}

    def __call__(self, image: np.ndarray, interpolation: int, out: np.ndarray | None = None) -> np.ndarray:
        """Warp an image of the source, (H, W) or (H, W, C).

        Args:
            image: of any size.
            interpolation: of OpenCV.
            out: an array like the image to write to; None makes a new one.
        """
        import cv2

        size = image.shape[0], image.shape[1]
        if size not in self._places:
            self._places[size] = [self._place(size, axis) for axis in (0, 1)]
        x, y = self._places[size]
        return np.asarray(cv2.remap(image, x, y, interpolation, dst=out, borderMode=cv2.BORDER_REPLICATE))

    def _place(self, size: tuple[int, int], axis: int) -> np.ndarray:
        """Return where along an axis each pixel of an image comes from, in its pixels, float32 (H, W)."""
        import cv2

        frame = self._warp.frame_size
        if size[0] > frame[0] and size[1] > frame[1]:  # by the matrices it takes longer, and a flow is smooth
            place = self._warp.scratch(f"place {axis}", size, np.float32)
            cv2.resize(self._moved(axis), size[::-1], dst=place, interpolation=cv2.INTER_LINEAR)
            place *= size[1 - axis]
        else:
            moved = self._moved(axis) if size == frame else self._warp.enlarged(self.displacements[axis], size)
            place = moved * size[1 - axis]
        pixels = np.arange(size[1 - axis], dtype=np.float32)
        place += pixels if axis == 0 else pixels[:, None]
        return place

    def _moved(self, axis: int) -> np.ndarray:
        """Return the displacements along an axis of the pixels of a frame; every larger size starts from them."""
        if axis not in self._of_frame:
            self._of_frame[axis] = self._warp.enlarged(self.displacements[axis], self._warp.frame_size)
        return self._of_frame[axis]
