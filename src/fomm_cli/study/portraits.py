"""The pictures of a study: portraits in many framings, and others, all brought to one format."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fomm_cli.errors import InputError
from fomm_cli.faces.face import FaceDetector
from fomm_cli.faces.framing import Framing, framing_in
from fomm_cli.faces.quality import eye_whites, feature_contrast, mouth_of
from fomm_cli.files.atomic import make_folder, replacing
from fomm_cli.files.inputs import read_text
from fomm_cli.geometry import Box
from fomm_cli.media.first_frame import read_first_frame
from fomm_cli.media.folder import images_at
from fomm_cli.media.image import write_image
from fomm_cli.media.resize import fit_frame
from fomm_cli.study.options import StudyJob
from fomm_cli.study.series import SIDE, SIZES, framed, place_series, size_series


@dataclass(frozen=True)
class Features:
    """What the study says makes a picture good or bad, where a face with landmarks is found in it.

    Attributes:
        face_height: as a fraction of the frame.
        x: of the middle of the face, as a fraction of the frame.
        y: likewise.
        contrast: of the features against the skin, in grey levels.
        whites: of the eyes, in thousandths of the face.
        mouth: how it is held.
    """

    face_height: float
    x: float
    y: float
    contrast: float
    whites: float
    mouth: str


@dataclass(frozen=True)
class Specimen:
    """A picture to animate.

    Attributes:
        path: of the file in the study's folder.
        group: size, place or kind.
        label: in the group.
        portrait: name of the picture it was made from.
        size: height that the face was given, in driving faces; None where no face was found.
        features: of it; None where no face is found.
    """

    path: Path
    group: str
    label: str
    portrait: str
    size: float | None
    features: Features | None


def make_specimens(job: StudyJob, driving: Framing, detector: FaceDetector) -> list[Specimen]:
    """Write every picture of a study into its folder.

    Args:
        job: says which.
        driving: how the driving face sits in its first frame.
        detector: one that knows landmarks.

    Raises:
        InputError: a picture that cannot be read, a portrait without a face, or framings that cannot be.
    """
    folder = job.out / "pictures"
    make_folder(folder)
    specimens = []
    names: set[str] = set()
    for path in job.source_images:
        for group, label, size, picture in _series(job, path, driving, detector):
            specimens.append(_written(folder, names, picture, (group, label, path.stem), size, detector))
    for label, path in _kinds(job.kinds):
        known, picture = _normal(read_first_frame(path), driving, detector)
        specimens.append(_written(folder, names, picture, ("kind", label, path.stem), known, detector))
    return specimens


def _series(
    job: StudyJob, path: Path, driving: Framing, detector: FaceDetector
) -> Iterator[tuple[str, str, float, np.ndarray]]:
    picture = read_first_frame(path)
    faces = detector.detect(picture)
    if not faces:
        raise InputError(f"no face is found in {path}", "Give it as --kind label=picture: it is animated as it is")
    places = None if job.places is None else dict(job.places)
    series = {
        "size": size_series(driving, SIZES if job.sizes is None else dict(job.sizes)),
        "place": place_series(driving, places),
    }
    for group, framings in series.items():
        for label, framing in framings.items():
            yield group, label, framing.height / driving.height, framed(picture, faces[0].box, framing)


def _normal(picture: np.ndarray, driving: Framing, detector: FaceDetector) -> tuple[float | None, np.ndarray]:
    """Framed as the driving video, so that size and place make no difference; without a face, the middle square."""
    faces = detector.detect(picture)
    if not faces:
        return None, fit_frame(picture, (SIDE, SIDE), "crop")
    return 1.0, framed(picture, faces[0].box, driving)


def _written(
    folder: Path,
    names: set[str],
    picture: np.ndarray,
    words: tuple[str, str, str],
    size: float | None,
    detector: FaceDetector,
) -> Specimen:
    group, label, portrait = words
    stem = re.sub(r"[^\w-]+", "_", "-".join(words))[:80]
    name, number = stem, 1
    while name in names:
        number += 1
        name = f"{stem}-{number}"
    names.add(name)
    path = folder / f"{name}.png"
    with replacing(path) as part:
        write_image(part, picture, {})
    return Specimen(path, group, label, portrait, size, _features(picture, detector))


def _features(picture: np.ndarray, detector: FaceDetector) -> Features | None:
    faces = detector.detect(picture)
    if not faces or faces[0].landmarks is None:
        return None
    face = faces[0]
    framing = framing_in(face.box, Box(0, 0, SIDE, SIDE))
    contrast = feature_contrast(picture, face.box.intersection(Box(0, 0, SIDE, SIDE)))
    whites, mouth = eye_whites(picture, face), mouth_of(picture, face)
    return Features(framing.height, framing.x, framing.y, contrast, whites, mouth)


def _kinds(given: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Label and picture for each of the further pictures.

    Raises:
        InputError: nothing there, or a table that makes no sense.
    """
    found: list[tuple[str, Path]] = []
    for text in given:
        label, equals, name = text.partition("=")
        if equals:
            found += [(label, path) for path in images_at(Path(name))]
        elif Path(text).is_dir():
            folders = sorted(path for path in Path(text).iterdir() if path.is_dir())
            found += [(folder.name, path) for folder in folders for path in images_at(folder)]
            if not folders:
                raise InputError(
                    f"--kind {text} has no folders in it", "Write --kind label=folder, or one folder a label"
                )
        else:
            found += _table(Path(text))
    return found


def _table(path: Path) -> list[tuple[str, Path]]:
    try:
        with io.StringIO(read_text(path, "table"), newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"--kind {path} cannot be read: {error}", "Write --kind label=picture, or name a CSV or a folder"
        ) from error
    if not rows or not {"kind", "picture"} <= set(rows[0]):
        raise InputError(f"{path} needs the columns kind and picture", "Add them in its first line")
    return [(row["kind"], path.parent / row["picture"]) for row in rows]
