"""Write the images of a study: portraits in many framings, and others, all in one format."""

from __future__ import annotations

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
from fomm_cli.files.tables import read_csv
from fomm_cli.geometry import Box
from fomm_cli.media.first_frame import read_first_frame
from fomm_cli.media.folder import images_at
from fomm_cli.media.image import write_image
from fomm_cli.media.resize import fit_frame
from fomm_cli.study.options import StudyJob
from fomm_cli.study.series import SIDE, SIZES, framed, place_series, size_series


@dataclass(frozen=True)
class Features:
    """The properties of an image that the study says matter, where a face with landmarks is found.

    Attributes:
        face_height: as a fraction of the frame.
        x: of the middle of the face, as a fraction of the frame.
        y: of its middle, as a fraction of the frame.
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
class StudyImage:
    """An image to animate.

    Attributes:
        path: of the file in the study's folder.
        group: size, place or kind.
        label: in the group.
        portrait: name of the image it was made from.
        size: height that the face was given, in driving faces; None where no face was found.
        features: of it; None where no face is found.
    """

    path: Path
    group: str
    label: str
    portrait: str
    size: float | None
    features: Features | None


def make_images(job: StudyJob, folder: Path, driving: Framing, detector: FaceDetector) -> list[StudyImage]:
    """Write every image of a study, framed like a driving face, into a folder.

    Args:
        job: names the images.
        folder: to write.
        driving: how the driving face sits in its first frame.
        detector: one that knows landmarks.

    Raises:
        InputError: an image cannot be read, a portrait has no face, or a framing is impossible.
    """
    make_folder(folder)
    entries = []
    names: set[str] = set()
    for path in job.source_images:
        for group, label, size, image in _series(job, path, driving, detector):
            entries.append(_written(folder, names, image, (group, label, path.stem), size, detector))
    for label, path in labelled_images(job.kinds):
        known, image = _normal(read_first_frame(path), driving, detector)
        entries.append(_written(folder, names, image, ("kind", label, path.stem), known, detector))
    return entries


def _series(
    job: StudyJob, path: Path, driving: Framing, detector: FaceDetector
) -> Iterator[tuple[str, str, float, np.ndarray]]:
    image = read_first_frame(path)
    faces = detector.detect(image)
    if not faces:
        raise InputError(f"no face is found in {path}", "Give it as --kind label=image: it is animated as it is")
    places = None if job.places is None else dict(job.places)
    series = {
        "size": size_series(driving, SIZES if job.sizes is None else dict(job.sizes)),
        "place": place_series(driving, places),
    }
    for group, framings in series.items():
        for label, framing in framings.items():
            yield group, label, framing.height / driving.height, framed(image, faces[0].box, framing)


def _normal(image: np.ndarray, driving: Framing, detector: FaceDetector) -> tuple[float | None, np.ndarray]:
    """Frame an image like the driving video, to make size and place equal; without a face, its middle square."""
    faces = detector.detect(image)
    if not faces:
        return None, fit_frame(image, (SIDE, SIDE), "crop")
    return 1.0, framed(image, faces[0].box, driving)


def _written(
    folder: Path,
    names: set[str],
    image: np.ndarray,
    words: tuple[str, str, str],
    size: float | None,
    detector: FaceDetector,
) -> StudyImage:
    group, label, portrait = words
    stem = re.sub(r"[^\w-]+", "_", "-".join(words))[:80]
    name, number = stem, 1
    while name in names:
        number += 1
        name = f"{stem}-{number}"
    names.add(name)
    path = folder / f"{name}.png"
    with replacing(path) as part:
        write_image(part, image, {})
    return StudyImage(path, group, label, portrait, size, _features(image, detector))


def _features(image: np.ndarray, detector: FaceDetector) -> Features | None:
    faces = detector.detect(image)
    if not faces or faces[0].landmarks is None:
        return None
    face = faces[0]
    framing = framing_in(face.box, Box(0, 0, SIDE, SIDE))
    contrast = feature_contrast(image, face.box.intersection(Box(0, 0, SIDE, SIDE)))
    whites, mouth = eye_whites(image, face), mouth_of(image, face)
    return Features(framing.height, framing.x, framing.y, contrast, whites, mouth)


def labelled_images(given: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Return label and path of each of the further images.

    Raises:
        InputError: nothing is there, or the table has no such columns.
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
    columns, rows = read_csv(path)
    column = "picture" if "picture" in columns else "image"  # fomm 0.1.0 called it picture
    if not rows or not {"kind", column} <= set(columns):
        raise InputError(f"{path} needs the columns kind and image", "Add them in its first line")
    return [(row["kind"], path.parent / row[column]) for _, row in rows]
