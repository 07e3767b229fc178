"""Read and write motion templates: the keypoints of a driving video, which animate any source without it."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np
import torch

from fomm_cli.animation.animator import Animator
from fomm_cli.animation.head import KEYPOINTS, keypoints_of
from fomm_cli.animation.motions import DEFAULT, MOTIONS, poses
from fomm_cli.animation.options import AnimateJob
from fomm_cli.errors import InputError, foreign_errors
from fomm_cli.files.inputs import check_file
from fomm_cli.files.limits import TEMPLATE_BYTES, TEMPLATE_FRAMES
from fomm_cli.geometry import Region
from fomm_cli.keypoints import KeyPoints
from fomm_cli.media.validate import check_content
from fomm_cli.media.video.frame import Moment
from fomm_cli.media.video.reader import Clip, ClipInfo, Range, nothing_kept, open_clip

SUFFIX = ".npz"
NAMED_KEYPOINTS = "named keypoints"
"""In place of a checkpoint's SHA-256: for every model whose keypoints are those of `head.KEYPOINTS`."""
FORMAT = 1
_MOTION_RATE = Fraction(25)  # frames per second
EXTRACT = "fomm motion extract --driving_video VIDEO --output MOTION.npz"

_LONGEST = 10**9  # seconds; bounds that no video comes near, and within which all arithmetic holds
_LARGEST = 10**5  # pixels
_SLOWEST, _FASTEST = Fraction(1, 1000), 1000  # frames per second


@dataclass(frozen=True)
class MotionTemplate:
    """What animating needs of a driving video: keypoints, times and size.

    Attributes:
        keypoints: of all N frames, float32 on the CPU.
        timeline: when each frame is shown; the first at 0.
        checkpoint_sha256: of the weights that detected the keypoints, which mean nothing to others.
        rate: frames per second of the video.
        size: (height, width) of its frames in pixels.
        still: whether it was one single image.
        offset: of the first frame in seconds on the video's own clock.
        crop: the part of the frames that the keypoints were detected in; None for all.
        name: its path or another name, for messages.
    """

    keypoints: KeyPoints
    timeline: tuple[Moment, ...]
    checkpoint_sha256: str
    rate: Fraction
    size: tuple[int, int]
    still: bool
    offset: Fraction
    crop: Region | None = None
    name: str = "the motion template"

    @property
    def has_named_keypoints(self) -> bool:
        """Return whether this is a packaged motion, for models whose keypoints have names."""
        return self.checkpoint_sha256 == NAMED_KEYPOINTS

    @property
    def info(self) -> ClipInfo:
        """Return the facts about the driving video."""
        height, width = self.size
        return ClipInfo(width, height, self.rate, len(self.timeline), has_audio=False, still=self.still)

    def moments(self) -> Iterator[Moment]:
        """Yield when each frame is shown."""
        yield from self.timeline

    def save(self, path: Path) -> None:
        """Write it as compressed NumPy arrays; fractions as two whole numbers, a missing duration as 0 / 1."""
        times = [(*moment.time.as_integer_ratio(), *(moment.duration or Fraction(0)).as_integer_ratio())
                 for moment in self.timeline]  # fmt: skip
        arrays = {
            "format": np.array(FORMAT),
            "checkpoint_sha256": np.array(self.checkpoint_sha256),
            "value": self.keypoints.value.cpu().numpy(),
            "times": np.array(times, np.int64),  # (N, 4)
            "rate": np.array(self.rate.as_integer_ratio(), np.int64),
            "size": np.array(self.size, np.int64),
            "still": np.array(self.still),
            "offset": np.array(self.offset.as_integer_ratio(), np.int64),
        }
        if self.keypoints.jacobian is not None:
            arrays["jacobian"] = self.keypoints.jacobian.cpu().numpy()
        if self.crop is not None:
            arrays["crop"] = np.array(astuple(self.crop), np.int64)
        with path.open("wb") as file:  # np.savez would add a suffix to a name without one
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> MotionTemplate:
        """Read what `save` wrote.

        Raises:
            InputError: it cannot be read, is something else, damaged, or of a newer version.
        """
        check_file(path, "motion template")
        check_content(path, "motion template")
        with foreign_errors(f"{path} is no motion template, or a damaged one", f"Make one with {EXTRACT}"):
            arrays = _read_arrays(path)
            version = int(arrays["format"])
            if version == FORMAT:
                return replace(cls._of(arrays), name=str(path))
        raise InputError(f"{path} has version {version} of the format, which this fomm does not know", "Update fomm")

    @classmethod
    def _of(cls, arrays: dict[str, np.ndarray]) -> MotionTemplate:
        """Build the template from arrays; raises an exception of any type where they do not fit."""
        times = arrays["times"]
        count, points = len(times), arrays["value"].shape[1]
        if not 0 < count <= TEMPLATE_FRAMES or not points or times.dtype != np.int64 or times.shape != (count, 4):
            raise ValueError(f"{count} frames with {points} keypoints")
        jacobian = arrays.get("jacobian")
        value = _checked(arrays["value"], (count, points, 2))
        moments = tuple(Moment(Fraction(a, b), Fraction(c, d) or None) for a, b, c, d in times.tolist())
        if moments[0].time != 0 or any(one.time >= after.time for one, after in pairwise(moments)):
            raise ValueError("the times do not ascend")
        if any(not 0 <= (moment.duration or 0) <= _LONGEST for moment in moments) or moments[-1].time > _LONGEST:
            raise ValueError("a duration is negative, or a time beyond all bounds")
        height, width = (int(side) for side in arrays["size"])
        rate = Fraction(*arrays["rate"].tolist())
        if not (0 < height <= _LARGEST and 0 < width <= _LARGEST and _SLOWEST <= rate <= _FASTEST):
            raise ValueError("size or rate are beyond all bounds")
        offset = Fraction(*arrays["offset"].tolist())
        if abs(offset) > _LONGEST:
            raise ValueError("the offset is beyond all bounds")
        return cls(
            KeyPoints(value, None if jacobian is None else _checked(jacobian, (count, points, 2, 2))),
            moments,
            str(arrays["checkpoint_sha256"]),
            rate,
            (height, width),
            bool(arrays["still"]),
            offset,
            Region(*arrays["crop"].tolist()) if "crop" in arrays else None,
        )

    def trimmed(self, kept: Range) -> MotionTemplate:
        """Return the part of it that lies in a range, which may hold no frame."""
        places = [place for place, moment in enumerate(self.timeline)
                  if moment.time >= kept.start and (kept.end is None or moment.time < kept.end)]  # fmt: skip
        places = places[: kept.max_frames]
        if not places:
            return replace(self, keypoints=self.keypoints[:0], timeline=())
        some, begin = slice(places[0], places[-1] + 1), self.timeline[places[0]].time
        timeline = tuple(replace(moment, time=moment.time - begin) for moment in self.timeline[some])
        return replace(self, keypoints=self.keypoints[some], timeline=timeline, offset=self.offset + begin)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file; raises an exception of any type where one claims more than is stored."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > TEMPLATE_BYTES:
            raise ValueError("too large")
        for entry in entries:
            with archive.open(entry) as file:
                arrays[entry.filename.removesuffix(".npy")] = _read_array(file, entry.file_size)
    return arrays


def _read_array(file: IO[bytes], stored: int) -> np.ndarray:
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("another version of the .npy format")
    shape, by_columns, kind = np.lib.format.read_array_header_1_0(file)
    size = math.prod(shape) * kind.itemsize
    if kind.hasobject or not 0 < size <= stored:
        raise ValueError(f"an array of the shape {shape} and type {kind}")
    return np.frombuffer(bytearray(file.read(size)), kind).reshape(shape, order="F" if by_columns else "C")


def _checked(array: np.ndarray, shape: tuple[int, ...]) -> torch.Tensor:
    if array.shape != shape or array.dtype != np.float32 or not np.isfinite(array).all():
        raise ValueError(f"these are no {shape} finite numbers")
    return torch.from_numpy(array)


def is_template(path: Path) -> bool:
    """Tell by its name whether a driving video is a motion template."""
    return path.suffix.lower() == SUFFIX and not path.is_dir()


def open_footage(
    path: Path,
    start: float = 0.0,
    end: float | None = None,
    max_frames: int | None = None,
    rate: Fraction | None = None,
    duration: float | None = None,
    motion_scale: float = 1.0,
) -> Clip | MotionTemplate:
    """Open a driving video, or in its place a motion template or a motion of the package.

    Args:
        path: a file or folder, or the name of a motion. Where there is both, the file.
        start: as in `open_clip`.
        end: as in `open_clip`.
        max_frames: as in `open_clip`.
        rate: as in `open_clip`; of a motion of the package, too.
        duration: of a motion of the package, in seconds; None for its natural one.
        motion_scale: multiplies a motion of the package, and nothing else.

    Raises:
        InputError: nothing there that can drive a source, or nothing in that range.
    """
    if is_motion(path):
        template = motion_template(str(path), duration, rate or _MOTION_RATE, motion_scale)
    elif is_template(path):
        template = MotionTemplate.load(path)
    else:
        _check_name(path)
        return open_clip(path, start, end, max_frames, rate)
    kept = Range.between(start, end, max_frames)
    some = template.trimmed(kept)
    if not some.timeline:
        last = template.timeline[-1]
        raise nothing_kept(template.name, kept, last.time + (last.duration or 1 / template.rate))
    return some


def open_footage_of(job: AnimateJob) -> Clip | MotionTemplate:
    """Open what drives a job; see `open_footage`."""
    kept = job.start, job.end, job.max_frames
    return open_footage(job.driving_video, *kept, job.fps, job.duration, job.motion_scale)


def is_motion(path: Path) -> bool:
    """Tell whether a driving video is the name of a motion of the package, and no file."""
    return str(path) in MOTIONS and not path.exists()


def _check_name(path: Path) -> None:
    """Name the motions of the package where a bare word is no file."""
    if not path.suffix and len(path.parts) == 1 and not path.exists():
        raise InputError(
            f"{path} does not exist, and is no motion of the package", f"Give a video, or one of: {', '.join(MOTIONS)}"
        )


def motion_template(name: str, duration: float | None, rate: Fraction, scale: float) -> MotionTemplate:
    """Make the template of a motion of the package.

    Args:
        name: one of `MOTIONS`.
        duration: of the loop in seconds; None for its natural one.
        rate: frames per second.
        scale: multiplies the movement.
    """
    count = max(2, round((duration or MOTIONS[name].seconds) * rate))
    values, jacobians = keypoints_of(poses(name, count, float(rate), scale))
    keypoints = KeyPoints(torch.from_numpy(values).float(), torch.from_numpy(jacobians).float())
    timeline = tuple(Moment(index / rate, 1 / rate) for index in range(count))
    return MotionTemplate(
        keypoints,
        timeline,
        NAMED_KEYPOINTS,
        rate,
        (256, 256),
        still=False,
        offset=Fraction(0),
        name=f"the motion {name}",
    )


def check_options(job: AnimateJob) -> None:
    """Make sure that the options ask nothing of a motion template that only a video has.

    Raises:
        InputError: audio or frames are asked for, and the driving video is a motion template or a motion of the
            package; or the length of anything but a motion of the package.
    """
    if is_motion(job.driving_video):
        _check_motion(job)
        return
    if job.duration is not None:
        raise InputError(
            f"--duration is for the motions of the package, and {job.driving_video} is a file",
            "Use --end, or --driving_video " + " or ".join((DEFAULT, "nod")),
        )
    if not is_template(job.driving_video):
        return
    refused = {
        "--audio": job.audio,
        "--visualize": job.visualize,
        f"--crop {job.crop}": job.crop in ("driving", "both"),
    }
    for flag in (flag for flag, is_asked in refused.items() if is_asked):
        raise InputError(
            f"{flag} needs the audio or the frames of a video, and {job.driving_video} is a motion template",
            "Crop while extracting it: fomm motion extract --crop driving" if "crop" in flag else
            f"Leave out {flag}, or give the video itself",
        )  # fmt: skip


def _check_motion(job: AnimateJob) -> None:
    """Refuse options that a motion of the package gives no meaning to."""
    refused = {
        "--audio": job.audio,
        "--visualize": job.visualize,
        f"--crop {job.crop}": job.crop in ("driving", "both"),
        "--find_best_frame": job.find_best_frame,
        "--best_frame": job.best_frame is not None,
        "--absolute": not job.relative,
    }
    for flag in (flag for flag, is_asked in refused.items() if is_asked):
        raise InputError(
            f"{flag} means nothing for {job.driving_video}, a motion of the package that starts from the source's pose",
            f"Leave out {flag}, or give a video",
        )


def has_named_keypoints(animator: Animator) -> bool:
    """Return whether this is a packaged motion, for models whose keypoints have names."""
    common, generator = animator.config.model_params.common_params, animator.networks.generator
    return common.num_kp == len(KEYPOINTS) and common.estimate_jacobian and generator.skips


def check_fits(template: MotionTemplate, animator: Animator) -> None:
    """Make sure that a motion template belongs to a model.

    Raises:
        InputError: its keypoints were detected by another one.
    """
    common = animator.config.model_params.common_params
    keypoints, sha256 = template.keypoints, template.checkpoint_sha256
    if template.has_named_keypoints:
        if not has_named_keypoints(animator):
            raise InputError(
                f"{template.name} moves eyes, brows and mouth by name; the keypoints of this checkpoint have no names",
                "Leave out --checkpoint for the small model, or give a video as --driving_video",
            )
        return
    if sha256 != animator.checkpoint_sha256:
        raise InputError(
            f"{template.name} was extracted with another checkpoint (SHA-256 {sha256[:12]}..., "
            f"not {animator.checkpoint_sha256[:12]}...), whose keypoints mean something else",
            f"Give that --checkpoint, or extract it again with this one: {EXTRACT}",
        )
    if keypoints.value.shape[1] != common.num_kp or (keypoints.jacobian is not None) != common.estimate_jacobian:
        raise InputError(f"{template.name} does not fit the config", "Give the --config that it was extracted with")
