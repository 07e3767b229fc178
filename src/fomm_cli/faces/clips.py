"""`fomm crop`: cut every face of a long video out as a square clip, framed as training data."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from fomm_cli.errors import FommError, InputError
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.face import FaceDetector
from fomm_cli.faces.framing import grown_square, head_box, head_square
from fomm_cli.faces.options import CropJob
from fomm_cli.faces.tracking import Track, Tracker
from fomm_cli.files.atomic import make_folder, replacing
from fomm_cli.files.guard import protect_inputs
from fomm_cli.geometry import Box, Region
from fomm_cli.media.crop import region_of
from fomm_cli.media.first_frame import read_first_frame
from fomm_cli.media.image import write_image
from fomm_cli.media.resize import fit_frame
from fomm_cli.media.video.reader import Clip, open_clip
from fomm_cli.media.video.trim import run_trim, trim_command
from fomm_cli.progress import Progress, silent


@dataclass(frozen=True)
class FaceClip:
    """One face, cut out.

    Attributes:
        path: the clip or image.
        region: of the video that it shows, in pixels.
        start: in seconds since the video's first frame.
        duration: in seconds.
        frames: from its first to its last.
        command: the ffmpeg command that cuts it; empty for an image.
    """

    path: Path
    region: Region
    start: Fraction
    duration: Fraction
    frames: int
    command: list[str]


def crop(job: CropJob, progress: Progress = silent) -> list[FaceClip]:
    """Find the faces and cut them out; with `dry_run` only find them.

    Raises:
        InputError: nothing that can be read, or no face in it.
        FommError: a clip cannot be written.
    """
    if job.inp.is_dir():
        raise InputError(f"{job.inp} is a folder", "Name one video or image")
    protect_inputs((job.inp,), job.result_dir.glob(f"{glob.escape(job.inp.stem)}_*"))
    clip = open_clip(job.inp)
    with open_detector(job.face_backend) as detector:
        clips = _from_image(job, detector) if clip.info.still else _from_video(job, clip, detector, progress)
        if not clips:
            lasting = "" if clip.info.still else f" for more than {job.min_frames} frames (--min_frames)"
            raise InputError(f"no face found in {job.inp}{lasting} (by {detector.name})", "Try another --face_backend")
    if not job.dry_run:
        make_folder(job.result_dir)
        if clip.info.still:
            _write_images(job, clips)
        else:
            _write_clips(clips, progress)
    return clips


def _from_image(job: CropJob, detector: FaceDetector) -> list[FaceClip]:
    instant = Fraction(0)
    return [
        FaceClip(_numbered(job, place, ".png"), _growing(head_square(face.box), job), instant, instant, 1, [])
        for place, face in enumerate(detector.detect(read_first_frame(job.inp)))
    ]


def _growing(square: Box, job: CropJob) -> Region:
    """Return the square around a head with another increase than the default one that it already has."""
    return Region.square_around(square.about_centre((1 + 2 * job.increase) / 1.2))


def _from_video(job: CropJob, clip: Clip, detector: FaceDetector, progress: Progress) -> list[FaceClip]:
    tracker = Tracker(job.iou_with_initial)
    tracks: list[Track] = []
    for index, (time, boxes) in enumerate(_heads(clip, detector, progress)):
        tracks += _long_enough(tracker.add(index, time, boxes), job)
    tracks += _long_enough(tracker.finish(), job)
    frame = Box(0, 0, clip.info.width, clip.info.height)
    tracks.sort(key=lambda track: track.start)
    return [_clip_of(job, clip, place, track, frame) for place, track in enumerate(tracks)]


def _long_enough(tracks: list[Track], job: CropJob) -> list[Track]:
    return [track for track in tracks if track.last - track.first > job.min_frames]


def _heads(clip: Clip, detector: FaceDetector, progress: Progress) -> Iterator[tuple[Fraction, list[Box]]]:
    for done, frame in enumerate(clip.frames(), start=1):
        yield frame.time, [head_box(face.box) for face in detector.detect(frame.image)]
        progress("looking for faces", done, clip.info.frame_count)


def _clip_of(job: CropJob, clip: Clip, place: int, track: Track, frame: Box) -> FaceClip:
    region = Region.square_around(grown_square(track.tube, job.increase, frame)).moved_into(frame)
    interval = 1 / clip.info.rate
    path = _numbered(job, place, ".mp4")
    # half a frame earlier, so that rounding cannot lose the first one
    begin = max(Fraction(0), clip.offset + track.start - interval / 2)
    duration = track.end - track.start + interval
    command = trim_command(job.inp, path, region, job.image_shape, begin, duration)
    return FaceClip(path, region, track.start, duration, track.last - track.first + 1, command)


def _numbered(job: CropJob, place: int, suffix: str) -> Path:
    return job.result_dir / f"{job.inp.stem}_{place:03d}{suffix}"


def _write_images(job: CropJob, clips: list[FaceClip]) -> None:
    image = read_first_frame(job.inp)
    width, height = job.image_shape
    for clip in clips:
        shown: np.ndarray = fit_frame(np.ascontiguousarray(region_of(image, clip.region)), (height, width), "stretch")
        with replacing(clip.path) as part:
            write_image(part, shown, {})


def _write_clips(clips: list[FaceClip], progress: Progress) -> None:
    """Write the clips, several at a time: each ffmpeg is a process of its own."""
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as workers:
        running = [workers.submit(run_trim, clip.command, clip.path) for clip in clips]
        try:
            for done, cutting in enumerate(running, start=1):
                cutting.result()
                progress("cutting clips", done, len(clips))
        except FommError:
            workers.shutdown(cancel_futures=True)
            raise
