"""Detect upright frontal faces with scikit-image's bundled cascade, without packages or downloads."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.data import lbp_frontal_face_cascade_filename
from skimage.feature import Cascade

from fomm_cli.faces.face import Face, largest_first, surroundings
from fomm_cli.faces.groups import find_all
from fomm_cli.geometry import Box

_SEARCHED = ((160, 4), (320, 6), (480, 8))
"""Longest side of the reduced image, in pixels, and how many neighbouring windows have to agree: large faces first,
and stricter where there are more patterns to be fooled by."""
_WINDOW = 24  # pixels, that the cascade was trained with
_SCALE_STEP = 1.1
_AGREEMENT = 0.4  # intersection over union of a face and its mirror image's, below which it is taken for a pattern
_LEAST_DETAIL = 4.0  # grey levels; faces have 15 and more, soft backgrounds less than 2
_LARGE_ENOUGH = 0.3  # of the image, from which a face is measured well at the first look
# From the cascade's square to hairline, chin and temples, in sides of the square: medians over 228 people.
_WIDTH, _HEIGHT, _DOWN = 0.84, 1.0, 0.075


def suits(*, landmarks: bool) -> bool:
    """Tell whether boxes are enough: the detector has no landmarks."""
    return not landmarks


class Detector:
    """Detect faces by a cascade of local binary patterns; a face counts if it is found in the mirrored image, too."""

    name = "builtin"

    def __init__(self, device: str = "cpu") -> None:  # noqa: ARG002 - runs on the CPU
        self._cascade = Cascade(lbp_frontal_face_cascade_filename())  # type: ignore[no-untyped-call]

    def detect(self, image: np.ndarray) -> list[Face]:
        """Find the faces in an image, uint8 (H, W, 3), the largest first; small ones only where no large one is."""
        for side, neighbours in _SEARCHED:
            scale = max(1.0, max(image.shape[:2]) / side)
            squares = self._agreed_squares(_reduced(image, scale), neighbours)
            if squares or scale == 1:
                boxes = [_face_box(square).mapped(scale, scale) for square in squares]
                confirmed = (self._confirmed(box, image) for box in boxes)
                faces = [Face(box) for box in confirmed if box is not None]
                if faces or scale == 1:
                    return largest_first(faces)
        return []

    def detect_all(self, image: np.ndarray) -> list[Face]:
        """Find every face of a still image, those of a group too."""
        return find_all(image, self.detect(image), self.detect)

    def _confirmed(self, box: Box, image: np.ndarray) -> Box | None:
        """Measure a small face again where it fills the frame, which is more precise; None if it is no face."""
        if box.height > _LARGE_ENOUGH * max(image.shape[:2]):
            return box
        close_up, left, top = surroundings(image, box)
        side, neighbours = _SEARCHED[0]
        scale = max(close_up.shape[:2]) / side
        found = [
            _face_box(square).mapped(scale, scale, left, top)
            for square in self._agreed_squares(_reduced(close_up, scale), neighbours)
        ]
        best = max(found, key=box.iou, default=None)
        return best if best is not None and best.iou(box) >= _AGREEMENT else None

    def _agreed_squares(self, image: np.ndarray, neighbours: int) -> list[Box]:
        """Return what is found in the image and in its mirror image, at the mean of both places."""
        squares = self._squares(image, neighbours)
        if not squares:
            return []
        width = image.shape[1]
        mirrored = [
            Box(width - box.right, box.top, width - box.left, box.bottom)
            for box in self._squares(np.ascontiguousarray(image[:, ::-1]), neighbours)
        ]
        pairs = [(box, max(mirrored, key=box.iou, default=box.mapped(0, 0))) for box in squares]
        return _without_overlaps([box.towards(twin, 0.5) for box, twin in pairs if box.iou(twin) >= _AGREEMENT])

    def _squares(self, image: np.ndarray, neighbours: int) -> list[Box]:
        if min(image.shape[:2]) < _WINDOW:
            return []
        found = self._cascade.detect_multi_scale(
            img=image,
            scale_factor=_SCALE_STEP,
            step_ratio=1,
            min_size=(_WINDOW, _WINDOW),
            max_size=image.shape[:2],
            min_neighbor_number=neighbours,
        )
        boxes = [Box(item["c"], item["r"], item["c"] + item["width"], item["r"] + item["height"]) for item in found]
        return [box for box in boxes if _has_detail(image, box)]

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


def _reduced(image: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1:
        return np.ascontiguousarray(image)
    height, width = image.shape[:2]
    size = (max(1, round(width / scale)), max(1, round(height / scale)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))


def _has_detail(image: np.ndarray, box: Box) -> bool:
    """Return whether an area has more than soft shading, which the cascade may take for a face."""
    area = (int(box.left), int(box.top), int(box.right), int(box.bottom))
    grey = np.asarray(Image.fromarray(image).convert("L").crop(area).resize((32, 32), Image.Resampling.BOX), float)
    return float((grey - gaussian_filter(grey, 3)).std()) > _LEAST_DETAIL


def _without_overlaps(boxes: list[Box]) -> list[Box]:
    """Remove the smaller of every two boxes that overlap: the cascade often finds a face twice."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda box: box.area, reverse=True):
        if not any(box.intersection(other).area > 0.3 * box.area for other in kept):
            kept.append(box)
    return kept


def _face_box(square: Box) -> Box:
    x, y = square.centre
    side = square.width
    y += _DOWN * side
    half_width, half_height = _WIDTH * side / 2, _HEIGHT * side / 2
    return Box(x - half_width, y - half_height, x + half_width, y + half_height)
