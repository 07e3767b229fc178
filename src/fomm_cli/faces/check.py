"""`fomm check`: judge how well an image will animate, before it is animated."""

from __future__ import annotations

from dataclasses import dataclass

from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.face import Face, FaceDetector
from fomm_cli.faces.options import CheckJob
from fomm_cli.faces.quality import Finding, Verdict, judge_position, judge_size, judge_source, judge_start, worst
from fomm_cli.faces.select import choose_face
from fomm_cli.media.first_frame import read_first_frame
from fomm_cli.media.paste import fitted_region
from fomm_cli.media.video.reader import open_clip

_SIZE = (256, 256)  # of every published model


@dataclass(frozen=True)
class CheckResult:
    """What was found.

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
    faces = detector.detect(image)
    face = choose_face(faces, job.face, job.face_at)
    if face is None:
        return None, [_no_face("the image", detector)]
    return face, judge_source(image, fitted_region(image.shape, _SIZE, job.fit).box, faces, face)


def _check_driving(job: CheckJob, source: Face | None, detector: FaceDetector) -> list[Finding]:
    if job.driving_video is None:
        return []
    first = next(iter(open_clip(job.driving_video, max_frames=1).frames())).image
    faces = detector.detect(first)
    if not faces:
        return [_no_face("the first frame of the driving video", detector)]
    frame = fitted_region(first.shape, _SIZE, job.fit).box
    findings = [judge_size(faces[0].box, frame), judge_position(faces[0], frame)]
    findings = [
        Finding(f.topic, f.verdict, f.text, f.flag.replace("--crop source", "--crop driving")) for f in findings
    ]
    if source is not None and source.pose is not None and faces[0].pose is not None:
        findings.append(judge_start(source.pose, faces[0].pose))
    return findings


def _no_face(where: str, detector: FaceDetector) -> Finding:
    others = "" if detector.name == "mediapipe" else "--face_backend mediapipe may find one"
    return Finding("faces", "poor", f"no face found in {where} (by {detector.name})", others)
