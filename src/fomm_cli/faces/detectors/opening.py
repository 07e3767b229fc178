"""Open a face detector by its name, or the first one that works here."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from fomm_cli.errors import FommError
from fomm_cli.faces.face import Backend, FaceFinder

logger = logging.getLogger(__name__)


@contextmanager
def open_finder(backend: Backend = "auto", device: str = "cpu", *, landmarks: bool = False) -> Iterator[FaceFinder]:
    """Open a source of faces for the length of a `with` block.

    Args:
        backend: auto takes the first of mediapipe, face-alignment and builtin that works here.
            It downloads face-alignment's weights (190 MB) only where `landmarks` are needed.
        device: for face-alignment.
        landmarks: whether landmarks are needed, which builtin does not have.

    Raises:
        InputError: the backend that was asked for is not installed.
        FommError: its weights cannot be had, or none has landmarks.
    """
    finder = _first_that_works(device, landmarks) if backend == "auto" else _open(backend, device)
    try:
        yield finder
    finally:
        finder.close()


def _first_that_works(device: str, landmarks: bool) -> FaceFinder:
    from fomm_cli.faces.detectors import face_alignment as alignment_finder
    from fomm_cli.faces.detectors import mediapipe as mediapipe_finder

    candidates: list[Backend] = []
    if mediapipe_finder.is_installed():
        candidates.append("mediapipe")
    if landmarks or alignment_finder.has_weights():
        candidates.append("face-alignment")
    if not landmarks:
        candidates.append("builtin")
    for place, candidate in enumerate(candidates, start=1):
        try:
            finder = _open(candidate, device)
        except FommError as error:
            if place == len(candidates):
                raise
            logger.warning("%s; trying the next face detector", error)
            continue
        return finder
    raise AssertionError("there is always a candidate")


def _open(backend: Backend, device: str) -> FaceFinder:
    if backend == "mediapipe":
        from fomm_cli.faces.detectors.mediapipe import MediaPipeFinder

        return MediaPipeFinder()
    if backend == "face-alignment":
        from fomm_cli.faces.detectors.face_alignment import AlignmentFinder

        return AlignmentFinder(device)
    from fomm_cli.faces.detectors.cascade import CascadeFinder

    return CascadeFinder()
