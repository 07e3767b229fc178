"""Detect faces and 68 landmarks with the face-alignment package (S3FD and 2DFAN-4)."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from fomm_cli.faces.detectors.weights import ensure_file
from fomm_cli.faces.face import Face, largest_first
from fomm_cli.geometry import Box

SITE = "https://www.adrianbulat.com/downloads/python-fan"
WEIGHTS = {  # what face-alignment 1.5 asks torch.hub for, with the SHA-256 it does not check
    "s3fd-619a316812.pth": "619a31681264d3f7f7fc7a16a42cbbe8b23f31a256f75a366e5a1bcd59b33543",
    "2DFAN4-11f355bf06.pth.tar": "11f355bf0693120222f5955ce3f9dc8fb5763ebb30a47d7906e509490d32e4aa",
}

_LEAST_CONFIDENCE = 0.5  # of S3FD


def weights_path(name: str) -> Path:
    """Return where face-alignment looks for a file of weights."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / name


def suits(*, landmarks: bool) -> bool:
    """Tell whether the detector is worth trying: its weights are here, or it is needed for its landmarks."""
    return landmarks or all(weights_path(name).exists() for name in WEIGHTS)


class Detector:
    """The face-alignment package, with its weights checked before they are used."""

    name = "face-alignment"

    def __init__(self, device: str = "cpu") -> None:
        """Load the networks; downloads the weights (190 MB) on first use.

        Raises:
            FommError: the weights cannot be had, or are not what they should be.
        """
        for name, sha256 in WEIGHTS.items():
            ensure_file(weights_path(name), f"{SITE}/{name}", sha256)
        from face_alignment import FaceAlignment, LandmarksType  # slow to import

        self._aligner = FaceAlignment(LandmarksType.TWO_D, flip_input=True, device=device, compile=False)

    def detect(self, image: np.ndarray) -> list[Face]:
        """Find the faces in an image, uint8 (H, W, 3), the largest first."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "no faces": an empty list says it too
            points, _, boxes = self._aligner.get_landmarks(image, return_bboxes=True)
        found = [
            Face(Box(*map(float, box[:4])), np.asarray(landmarks, np.float64))
            for box, landmarks in zip(boxes or (), points or (), strict=True)
            if box[4] >= _LEAST_CONFIDENCE
        ]
        return largest_first(found)

    def detect_all(self, image: np.ndarray) -> list[Face]:
        """Find every face of a still image; S3FD sees small ones at the first look."""
        return self.detect(image)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
