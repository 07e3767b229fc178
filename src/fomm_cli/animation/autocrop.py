"""Choose where the source and the driving video are cropped to their faces (`--crop`)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Protocol

import numpy as np

from fomm_cli.config.schema import Config
from fomm_cli.faces.check import missing_face
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.face import Face, FaceDetector
from fomm_cli.faces.framing import Framing, framing_in, head_square
from fomm_cli.faces.options import CropChoice, DetectorName, FaceGroup
from fomm_cli.faces.quality import judge_source
from fomm_cli.faces.select import choose_face, choose_group
from fomm_cli.faces.tracking import FollowedFace, follow_face
from fomm_cli.geometry import Box, Region
from fomm_cli.media.options import Fit
from fomm_cli.media.paste import fitted_region
from fomm_cli.media.video.frame import Frame
from fomm_cli.media.video.reader import Clip
from fomm_cli.progress import Progress, silent
from fomm_cli.runtime.threads import prefetch

logger = logging.getLogger(__name__)

_NOT_FACES = ("taichi", "fashion", "bair", "mgif", "moving-gif")
_GLANCES = 1  # a second, to see whether a driving video is framed well
_AHEAD = 4  # frames that are decoded while one is looked at
_LOOKS = 10  # a second, to follow the face that it is cropped to


def choose_source_crop(job: SourceOptions, config: Config, device: str, image: np.ndarray) -> Region | None:
    """Choose the square around the face that replaces the source image; None to leave it whole.

    Args:
        job: what is asked for.
        config: of the model; those that are not about faces are cropped only when asked.
        device: for the face detector.
        image: the source, uint8 (H, W, 3).

    Raises:
        InputError: there is no such face, or no such face detector.
    """
    if "source" not in _wanted(job, config):
        return None
    with _search(job, config, device) as search:
        return search.in_source(image, None if isinstance(job.face, FaceGroup) else job.face, job.face_at)


@dataclass(frozen=True)
class GroupFace:
    """One face of a group image, and how it is cropped.

    Attributes:
        number: 1 for the largest.
        box: around the face.
        crop: the square that is animated; None where the face is not.
    """

    number: int
    box: Box
    crop: Region | None


def find_group(job: SourceOptions, group: FaceGroup, config: Config, device: str, image: np.ndarray) -> list[GroupFace]:
    """Find all faces of an image and choose the squares around those that are to be animated.

    Args:
        job: what is asked for.
        group: the faces to animate.
        config: of the model.
        device: for the face detector.
        image: the source, uint8 (H, W, 3).

    Returns:
        All faces, the largest first.

    Raises:
        InputError: there is no such face, or no such face detector.
    """
    with _search(job, config, device) as search:
        return search.group(image, group)


class FramingOptions(Protocol):
    """The options of a job that crops; the fields are those of `AnimateJob`."""

    @property
    def crop(self) -> CropChoice:
        """Return what is cropped to its face."""

    @property
    def fit(self) -> Fit:
        """Return how images that are not square are brought to the model's size."""

    @property
    def face_backend(self) -> DetectorName:
        """Return the name of the face detector."""


class SourceOptions(FramingOptions, Protocol):
    """The options of a job that crops the source; the fields are those of `AnimateJob`."""

    @property
    def face(self) -> int | FaceGroup | None:
        """Return which face of the source is meant: 1 is the largest; None for the largest."""

    @property
    def face_at(self) -> tuple[float, float] | None:
        """Return the place of that face, (x, y) in pixels."""


def choose_driving_crop(
    job: FramingOptions, config: Config, device: str, clip: Clip, progress: Progress
) -> Region | None:
    """Choose the square that replaces the driving frames, around all places of the face; None to leave them whole.

    Args:
        job: what is asked for.
        config: of the model; those that are not about faces are cropped only when asked.
        device: for the face detector.
        clip: the driving video; read once or twice.
        progress: told of the frames that were looked at.

    Raises:
        InputError: there is no such face detector.
    """
    if "driving" not in _wanted(job, config):
        return None
    with _search(job, config, device, progress) as search:
        return search.in_driving(clip)


def _wanted(job: FramingOptions, config: Config) -> set[str]:
    if job.crop == "none" or (job.crop == "auto" and not is_about_faces(config)):
        return set()
    return {"source", "driving"} if job.crop in ("auto", "both") else {job.crop}


def is_about_faces(config: Config) -> bool:
    """Return whether a model was trained on faces, as far as the folder of its training data tells."""
    folder = PurePosixPath((config.dataset_params.root_dir or "").replace("\\", "/")).name
    return not folder.startswith(_NOT_FACES)


@contextmanager
def _search(job: FramingOptions, config: Config, device: str, progress: Progress = silent) -> Iterator[_Search]:
    with open_detector(job.face_backend, device) as detector:
        yield _Search(job, config.dataset_params.frame_shape[:2], detector, progress)


class _Search:
    """Find the faces of one job, and log in a line what was found and done."""

    def __init__(self, job: FramingOptions, size: tuple[int, int], detector: FaceDetector, progress: Progress) -> None:
        self._job = job
        self._size = size
        self._detector = detector
        self._progress = progress

    def in_source(self, image: np.ndarray, number: int | None, place: tuple[float, float] | None) -> Region | None:
        is_largest = number in (None, 1) and place is None
        faces = self._detector.detect(image) if is_largest else self._detector.detect_all(image)
        face = choose_face(faces, number, place)
        if face is None:
            logger.warning("%s; the image will hardly move", missing_face("the source", image, self._detector).text)
            return None
        whole = fitted_region(image.shape, self._size, self._job.fit)
        framing = framing_in(face.box, whole.box)
        crop = None
        if self._job.crop != "auto" or framing.is_off:
            crop = self._announced("source", Region.square_around(head_square(face.box)), framing)
        for finding in judge_source(image, (crop or whole).box, faces, face):
            if finding.verdict == "poor":
                logger.warning("the source will animate poorly: %s -> %s", finding.text, finding.flag)
        return crop

    def group(self, image: np.ndarray, group: FaceGroup) -> list[GroupFace]:
        faces = self._detector.detect_all(image)
        animated = choose_group(faces, group)
        logger.info(
            "animating %s of %d in the source (by %s)",
            "face " + ", ".join(map(str, animated)), len(faces), self._detector.name,
        )  # fmt: skip
        return [
            GroupFace(number, face.box, self._group_crop(image, face, len(faces)) if number in animated else None)
            for number, face in enumerate(faces, start=1)
        ]

    def _group_crop(self, image: np.ndarray, face: Face, count: int) -> Region:
        """Return the square around a face; all of a portrait that is framed well."""
        whole = fitted_region(image.shape, self._size, self._job.fit)
        if count == 1 and self._job.crop == "auto" and not framing_in(face.box, whole.box).is_off:
            return whole
        return Region.square_around(head_square(face.box))

    def in_driving(self, clip: Clip) -> Region | None:
        is_asked = self._job.crop != "auto"
        followed = self._follow(clip, _LOOKS if is_asked else _GLANCES)
        if followed is None:
            logger.info("no face found in the driving video (by %s): going on uncropped", self._detector.name)
            return None
        framing = framing_in(followed.typical, _frame(clip, self._size, self._job.fit).box)
        if not is_asked:
            if not framing.is_off:
                return None
            followed = self._follow(clip, _LOOKS) or followed
        return self._announced("driving video", Region.square_around(followed.heads), framing)

    def _follow(self, clip: Clip, looks_per_second: int) -> FollowedFace | None:
        looks = clip.looks(Fraction(1, looks_per_second))
        return follow_face(self._timed_images(looks, clip.info.frame_count), self._detector, looks_per_second)

    def _timed_images(
        self, looks: Iterator[tuple[int, Frame]], total: int | None
    ) -> Iterator[tuple[Fraction, np.ndarray]]:
        with closing(prefetch(looks, depth=_AHEAD)) as frames:
            for number, frame in frames:
                yield frame.time, frame.image
                self._progress("looking for the face", number + 1, total)

    def _announced(self, what: str, region: Region, framing: Framing) -> Region:
        why = framing.why if framing.is_off else "as asked"
        logger.info(
            "cropping the %s to %s (%s; by %s); --crop none keeps all of it", what, region, why, self._detector.name
        )
        return region


def _frame(clip: Clip, size: tuple[int, int], fit: Fit) -> Region:
    return fitted_region((clip.info.height, clip.info.width), size, fit)
