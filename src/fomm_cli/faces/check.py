"""`fomm check`: judge how well an image will animate, before it is animated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.face import Face, FaceDetector
from fomm_cli.faces.framing import framing_in, head_square
from fomm_cli.faces.options import CheckJob
from fomm_cli.faces.quality import Finding, Verdict, judge_position, judge_size, judge_source, judge_start, worst
from fomm_cli.faces.select import choose_face
from fomm_cli.geometry import Box, Region
from fomm_cli.media.first_frame import read_first_frame
from fomm_cli.media.paste import fitted_region
from fomm_cli.media.video.reader import open_clip

_SIZE = (256, 256)  # of every published model


@dataclass(frozen=True)
class CheckResult:
    """The result of `fomm check`.

    Attributes:
        verdict: the worst of the source's and the driving video's findings.
        face_backend: what found the faces.
        source: findings about the source.
        driving: findings about the first frame of the driving video, if one was given.
    """

    verdict: Verdict
    face_backend: str
    source: list[Finding]
    driving: list[Finding]


def check(job: CheckJob) -> CheckResult:
    """Judge a source image and, if given, the first frame of a driving video.

    Raises:
        FommError: what went wrong, and what to do.
    """
    with open_detector(job.face_backend) as detector:
        face, source = _check_source(job, detector)
        driving = _check_driving(job, face, detector)
        return CheckResult(worst(source + driving), detector.name, source, driving)


def _check_source(job: CheckJob, detector: FaceDetector) -> tuple[Face | None, list[Finding]]:
    image = read_first_frame(job.source_image)
    faces = detector.detect_all(image)
    face = choose_face(faces, job.face, job.face_at)
    if face is None:
        return None, [missing_face("the image", image, detector)]
    shown, crop = _shown(face, image, job, "source")
    return face, [*judge_source(image, shown, faces, face), *crop]


def _shown(
    face: Face, image: np.ndarray, job: CheckJob, side: Literal["source", "driving"]
) -> tuple[Box, list[Finding]]:
    """Return the part of an image that `fomm animate` would show the model, and what is said about the crop."""
    whole = fitted_region(image.shape, _SIZE, job.fit).box
    framing = framing_in(face.box, whole)
    if job.crop not in ("both", side) and not (job.crop == "auto" and framing.is_off):
        return whole, []
    region = Region.square_around(head_square(face.box))
    why = f", since {framing.why}" if framing.is_off else ""
    return region.box, [Finding("crop", "good", f"--crop {job.crop} cuts it to {region}{why}")]


def _check_driving(job: CheckJob, source: Face | None, detector: FaceDetector) -> list[Finding]:
    if job.driving_video is None:
        return []
    first = next(iter(open_clip(job.driving_video, max_frames=1).frames())).image
    faces = detector.detect(first)
    if not faces:
        return [missing_face("the first frame of the driving video", first, detector)]
    shown, crop = _shown(faces[0], first, job, "driving")
    findings = [judge_size(faces[0].box, shown), judge_position(faces[0], shown), *crop]
    findings = [
        Finding(f.topic, f.verdict, f.text, f.flag.replace("--crop source", "--crop driving")) for f in findings
    ]
    if source is not None and source.pose is not None and faces[0].pose is not None:
        findings.append(judge_start(source.pose, faces[0].pose))
    return findings


def missing_face(where: str, image: np.ndarray, detector: FaceDetector) -> Finding:
    """Say that no face is found in an image, uint8 (H, W, 3), and whether one is when it is turned."""
    for turns, way in ((1, "left"), (2, "around"), (3, "right")):
        if detector.detect(np.ascontiguousarray(np.rot90(image, -turns))):
            degrees = min(turns, 4 - turns) * 90
            text = f"no upright face found in {where}: it is turned by {degrees} degrees ({way})"
            return Finding("faces", "poor", text, "rotate it")
    others = "" if detector.name == "mediapipe" else "--face_backend mediapipe may find one"
    return Finding("faces", "poor", f"no face found in {where} (by {detector.name})", others)
