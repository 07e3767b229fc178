"""Open a face detector by its name, or the first one that works here."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, get_args

from fomm_cli.errors import FommError
from fomm_cli.faces.face import FaceDetector
from fomm_cli.faces.options import DetectorName

logger = logging.getLogger(__name__)


@contextmanager
def open_detector(
    name: DetectorName = "auto", device: str = "cpu", *, landmarks: bool = False
) -> Iterator[FaceDetector]:
    """Open a face detector for the length of a `with` block.

    Args:
        name: auto takes the first of mediapipe, face-alignment and builtin that works here.
            It downloads face-alignment's weights (190 MB) only where `landmarks` are needed.
        device: for face-alignment.
        landmarks: whether landmarks are needed, which builtin does not have.

    Raises:
        InputError: the detector that was asked for is not installed.
        FommError: its weights cannot be downloaded, or no detector here finds landmarks.
    """
    detector = _first_that_works(device, landmarks) if name == "auto" else _module(name).Detector(device)
    try:
        yield detector
    finally:
        detector.close()


def _module(name: str) -> Any:
    """Return the module of a detector, which has `suits(landmarks=...)` and `Detector(device)`."""
    return import_module(f"fomm_cli.faces.detectors.{name.replace('-', '_')}")


def _first_that_works(device: str, landmarks: bool) -> FaceDetector:
    problem: FommError | None = None
    for name in get_args(DetectorName)[1:]:
        if not _module(name).suits(landmarks=landmarks):
            continue
        if problem is not None:
            logger.warning("%s; trying the next face detector", problem)
        try:
            detector: FaceDetector = _module(name).Detector(device)
        except FommError as error:
            problem = error
        else:
            return detector
    raise problem or FommError("no face detector works here", "Type: pip install mediapipe")
