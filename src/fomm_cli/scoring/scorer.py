"""`fomm score`: score how well a result takes over the motion of its driving video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image

from fomm_cli.animation.animator import Animator
from fomm_cli.errors import InputError
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.face import FaceDetector
from fomm_cli.faces.landmarks import OVAL
from fomm_cli.files.guard import protect_inputs
from fomm_cli.media.first_frame import read_first_frame
from fomm_cli.media.resize import fit_frame
from fomm_cli.media.video.reader import Clip, open_clip
from fomm_cli.progress import Progress, silent
from fomm_cli.runtime.threads import prefetch
from fomm_cli.scoring.curves import curves
from fomm_cli.scoring.keypoint_motion import FLOW_SIDE, PointTrack, score_points
from fomm_cli.scoring.measurements import FaceTrack, still_face, track_face
from fomm_cli.scoring.options import ScoreJob
from fomm_cli.scoring.rubric import Scores, matched, score_faces

_AHEAD = 4  # frames that are decoded while one is looked at
_FEW = 0.5  # ratio of the driving frames with a face, below which landmarks are of no use


@dataclass(frozen=True)
class Report:
    """The scores of a result, and the curves they were computed from.

    Attributes:
        scores: of it.
        times: of the frames that were compared, in seconds, (N,).
        driving: curves of the driving face by name, (N,) each; empty where no face was found.
        result: curves of the result in the same form.
        distortion: mean change of the face's width by height since the first frame that the driving face does not
            have, as a fraction; None where no face was found.
    """

    scores: Scores
    times: np.ndarray
    driving: dict[str, np.ndarray]
    result: dict[str, np.ndarray]
    distortion: float | None


def score(job: ScoreJob, progress: Progress = silent) -> Report:
    """Do the job.

    Raises:
        FommError: a file that cannot be worked with, or no MediaPipe.
    """
    read = (job.result, job.driving_video, job.source_image, job.checkpoint, job.config)
    protect_inputs(read, (job.csv, job.plot))
    driving, result = open_clip(job.driving_video), open_clip(job.result)
    source = None if job.source_image is None else read_first_frame(job.source_image)

    def load() -> Animator:
        return Animator.load(job.checkpoint, job.config, device=job.device, progress=progress)

    with open_detector("mediapipe") as detector:
        return Scorer(driving, detector, load, progress).score(result, source)


class Scorer:
    """Score results of one driving video, which is measured once."""

    def __init__(
        self,
        driving: Clip,
        detector: FaceDetector,
        load: Callable[[], Animator],
        progress: Progress = silent,
        driving_face: FaceTrack | None = None,
    ) -> None:
        """Prepare to score.

        Args:
            driving: the driving video.
            detector: one that knows landmarks, expressions and poses.
            load: returns the model, whose keypoints are used where no face is found.
            progress: told of the measured frames.
            driving_face: face of the driving video, if it is known already.
        """
        self._face = driving_face
        self._driving = driving
        self._detector = detector
        self._load = load
        self._progress = progress

    @property
    def driving_face(self) -> FaceTrack:
        """Return the face of the driving video."""
        if self._face is None:
            self._face = self._track(self._driving, "driving video")
        return self._face

    @cached_property
    def _animator(self) -> Animator:
        return self._load()

    @cached_property
    def _driving_points(self) -> PointTrack:
        return self._points(self._driving, "driving video, keypoints")

    def score(self, result: Clip, source: np.ndarray | None) -> Report:
        """Score a result.

        Args:
            result: of any size, frame rate and length; compared at equal times, as long as both last.
            source: the image it was made from, uint8 (H, W, 3); None for the first frame of the result.
        """
        driving = self.driving_face
        if driving.seen.mean() < _FEW:
            return self._by_points(result, f"the driving video shows a face in {driving.seen.mean():.0%} of its frames")
        notes = () if source is not None else ("identity and sharpness are measured against the result's first frame",)
        whose = "result's first frame" if source is None else "source"
        image = _first_frame(result) if source is None else source
        face = still_face(image, self._detector, image.shape[0])
        if not face.seen.any():
            return self._by_points(result, f"no face is found in the {whose}")
        return self._by_landmarks(driving, self._track(result, "result"), image, notes)

    def _by_landmarks(
        self, driving: FaceTrack, result: FaceTrack, source: np.ndarray, notes: tuple[str, ...]
    ) -> Report:
        of_driving, of_result = _common_frames(driving.times, result.times)
        driving, result = driving[of_driving], result[of_result]
        heights = np.ptp(result.landmarks[result.seen, :, 1], axis=1)
        size = float(np.median(heights)) if len(heights) else float(source.shape[0])
        scores = score_faces(driving, result, still_face(source, self._detector, size))
        shown = driving.seen
        driving, result = driving[shown], result[shown]
        scores = replace(scores, notes=scores.notes + notes)
        return Report(scores, driving.times, curves(driving), curves(result), _distortion(driving, result))

    def _by_points(self, result: Clip, reason: str) -> Report:
        driving, found = self._driving_points, self._points(result, "result, keypoints")
        of_driving, of_result = _common_frames(driving.times, found.times)
        scores = score_points(driving[of_driving], found[of_result], reason)
        return Report(scores, driving.times[of_driving], {}, {}, None)

    def _track(self, clip: Clip, what: str) -> FaceTrack:
        return track_face(((float(time), image) for time, image in self._frames(clip, what)), self._detector)

    def _points(self, clip: Clip, what: str) -> PointTrack:
        times, points, images = [], [], []
        for time, image in self._frames(clip, what):
            fitted = fit_frame(image, self._animator.size, "stretch")
            grey = Image.fromarray(fitted).convert("L").resize((FLOW_SIDE, FLOW_SIDE), Image.Resampling.BOX)
            times.append(time)
            points.append(self._animator.detect(fitted[None]).value[0].cpu().numpy())
            images.append(np.asarray(grey, np.float32) / 255)
        return PointTrack(np.array(times), np.stack(points), np.stack(images))

    def _frames(self, clip: Clip, what: str) -> Iterator[tuple[float, np.ndarray]]:
        with closing(prefetch(clip.frames(), depth=_AHEAD)) as frames:
            for done, frame in enumerate(frames, start=1):
                yield float(frame.time), frame.image
                self._progress(f"looking at the {what}", done, clip.info.frame_count)


def _common_frames(driving: np.ndarray, result: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Match the frames of a driving video and a result by their times (N,) and (M,); see `matched`.

    Raises:
        InputError: they share a single frame, which shows no movement.
    """
    of_driving, of_result = matched(driving, result)
    if len(of_driving) < 2 or len(np.unique(of_result)) < 2:
        raise InputError(
            "there is nothing to compare: driving video and result share a single frame",
            "Give the video that drove the result as --driving_video, and the animated video as RESULT",
        )
    return of_driving, of_result


def _first_frame(clip: Clip) -> np.ndarray:
    with closing(clip.frames()) as frames:  # type: ignore[type-var]
        return next(frames).image


def _distortion(driving: FaceTrack, result: FaceTrack) -> float | None:
    seen = result.seen
    if not seen.any():
        return None
    shapes = []
    for track in (driving[seen], result[seen]):
        width, height = np.ptp(track.landmarks[:, OVAL], axis=1).T
        shapes.append(np.log(width / height) - np.log(width[0] / height[0]))
    return float(np.abs(shapes[1] - shapes[0]).mean())
