"""Detect faces, 478 landmarks, expressions and head pose with MediaPipe's Face Landmarker (extra `faces`)."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fomm_cli.errors import FommError
from fomm_cli.extras import is_installed, require
from fomm_cli.faces.detectors.builtin import Detector as CascadeDetector
from fomm_cli.faces.detectors.weights import ensure_file
from fomm_cli.faces.face import Face, Pose, largest_first, moved, surroundings
from fomm_cli.faces.groups import find_all
from fomm_cli.files.cache import cache_folder
from fomm_cli.geometry import Box

MODEL = "face_landmarker.task"
ADDRESS = f"https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/{MODEL}"
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"

_MOST_FACES = 8
_SAME_FACE = 0.3  # intersection over union


def suits(*, landmarks: bool) -> bool:  # noqa: ARG001 - it has landmarks
    """Tell whether the detector is installed."""
    return is_installed("faces")


class Detector:
    """The Face Landmarker, which overlooks small faces: the cascade proposes where to look more closely."""

    name = "mediapipe"

    def __init__(self, device: str = "cpu") -> None:  # noqa: ARG002 - runs on the CPU
        """Load the model; downloads it (3.7 MB) on first use.

        Raises:
            InputError: MediaPipe is not installed.
            FommError: the model cannot be had, or MediaPipe does not work here.
        """
        require("faces")
        path = cache_folder() / MODEL
        ensure_file(path, ADDRESS, SHA256)
        self._cascade = CascadeDetector()
        with _silenced():
            self._landmarker = _create(str(path))
            self._faces_in(np.zeros((64, 64, 3), np.uint8))  # it prints warnings at its first image

    def detect(self, image: np.ndarray) -> list[Face]:
        """Find the faces in an image, uint8 (H, W, 3), the largest first."""
        faces = self._faces_in(image)
        if not faces:
            for candidate in self._cascade.detect(image):
                closer = self._close_up(image, candidate.box)
                faces += [face for face in closer if all(face.box.iou(other.box) < _SAME_FACE for other in faces)]
        return largest_first(faces)

    def detect_all(self, image: np.ndarray) -> list[Face]:
        """Find every face of a still image, those of a group too."""
        return find_all(image, self.detect(image), self._faces_in)

    def _close_up(self, image: np.ndarray, box: Box) -> list[Face]:
        part, left, top = surroundings(image, box)
        found = [moved(face, left, top) for face in self._faces_in(part)]
        return [face for face in found if face.box.iou(box) >= _SAME_FACE]

    def _faces_in(self, image: np.ndarray) -> list[Face]:
        from mediapipe import Image, ImageFormat

        height, width = image.shape[:2]
        found = self._landmarker.detect(Image(image_format=ImageFormat.SRGB, data=np.ascontiguousarray(image)))
        faces = []
        for marks, shapes, matrix in zip(
            found.face_landmarks, found.face_blendshapes, found.facial_transformation_matrixes, strict=True
        ):
            points = np.array([(mark.x * width, mark.y * height) for mark in marks])
            strengths = {shape.category_name: float(shape.score) for shape in shapes}
            faces.append(Face(Box.around(points), points, strengths, _pose(np.asarray(matrix))))
        return faces

    def close(self) -> None:
        """End MediaPipe's threads."""
        self._landmarker.close()


def _create(model: str) -> Any:
    try:
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=model),
            num_faces=_MOST_FACES,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        return vision.FaceLandmarker.create_from_options(options)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        mend = "Install libegl1 and libgles2" if "libEGL" in str(error) or "libGLES" in str(error) else "Reinstall it"
        raise FommError(f"MediaPipe does not work here ({error})", f"{mend}, or use --face_backend builtin") from error


def _pose(matrix: np.ndarray) -> Pose:
    """Return the angles of MediaPipe's head matrix (4, 4), whose y axis points up and z towards the camera."""
    rotation = matrix[:3, :3] / np.cbrt(np.linalg.det(matrix[:3, :3]))
    yaw = math.atan2(rotation[0, 2], rotation[2, 2])
    pitch = math.asin(max(-1.0, min(1.0, -rotation[1, 2])))
    roll = -math.atan2(rotation[1, 0], rotation[1, 1])
    return Pose(math.degrees(yaw), math.degrees(pitch), math.degrees(roll))


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep what the C++ library writes past Python to stderr from the user while it loads."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
