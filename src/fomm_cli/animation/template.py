"""Motion templates: the key points of a driving video in a small file, which drives any source without the video."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Generator, Iterator
from dataclasses import astuple, dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from fomm_cli.animation.animator import Animator
from fomm_cli.animation.options import AnimateJob
from fomm_cli.errors import InputError
from fomm_cli.geometry import Region
from fomm_cli.keypoints import KeyPoints
from fomm_cli.media.validate import check_content, check_file
from fomm_cli.media.video.decoder import Damage
from fomm_cli.media.video.reader import Clip, ClipInfo, Range, Shot, nothing_kept, open_clip

SUFFIX = ".npz"
FORMAT = 1
EXTRACT = "fomm motion extract --driving_video VIDEO --output MOTION.npz"

_MOST_BYTES = 1 << 30  # unpacked: the key points of a day and more of video


_DAMAGE = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError, EOFError, MemoryError, RuntimeError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What reading arrays out of anything may raise."""


@dataclass(frozen=True)
class Moment:
    """When a frame is shown: seconds since the first kept frame, and how long, if the file says so."""

    time: Fraction
    duration: Fraction | None


@dataclass(frozen=True)
class MotionTemplate:
    """All that animating needs of a driving video.

    Attributes:
        key_points: of all N frames, float32 on the CPU.
        moments: when each is shown; the first at 0.
        checkpoint_sha256: of the weights that found the key points, which mean nothing to others.
        rate: frames per second of the video.
        size: (height, width) of its frames in pixels.
        still: whether it was one single picture.
        offset: of the first frame in seconds on the video's own clock.
        crop: the part of the frames that the key points were found in; None for all.
    """

    key_points: KeyPoints
    moments: tuple[Moment, ...]
    checkpoint_sha256: str
    rate: Fraction
    size: tuple[int, int]
    still: bool
    offset: Fraction
    crop: Region | None = None

    def save(self, path: Path) -> None:
        """Write it as compressed NumPy arrays; fractions as two whole numbers, a missing duration as 0 / 1."""
        times = [(*moment.time.as_integer_ratio(), *(moment.duration or Fraction(0)).as_integer_ratio())
                 for moment in self.moments]  # fmt: skip
        arrays = {
            "format": np.array(FORMAT),
            "checkpoint_sha256": np.array(self.checkpoint_sha256),
            "value": self.key_points.value.cpu().numpy(),
            "times": np.array(times, np.int64),  # (N, 4)
            "rate": np.array(self.rate.as_integer_ratio(), np.int64),
            "size": np.array(self.size, np.int64),
            "still": np.array(self.still),
            "offset": np.array(self.offset.as_integer_ratio(), np.int64),
        }
        if self.key_points.jacobian is not None:
            arrays["jacobian"] = self.key_points.jacobian.cpu().numpy()
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
        try:
            with zipfile.ZipFile(path) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:
                    raise ValueError("too large")
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file.items())
            version = int(arrays["format"])
            if version == FORMAT:
                return cls._of(arrays)
        except _DAMAGE as error:
            raise InputError(f"{path} is no motion template, or a damaged one", f"Make one with {EXTRACT}") from error
        raise InputError(f"{path} has version {version} of the format, which this fomm does not know", "Update fomm")

    @classmethod
    def _of(cls, arrays: dict[str, np.ndarray]) -> MotionTemplate:
        """The template in the arrays; raises some of `_DAMAGE` where they make none."""
        times = arrays["times"]
        count, points = len(times), arrays["value"].shape[1]
        jacobian = arrays.get("jacobian")
        value = _checked(arrays["value"], (count, points, 2))
        moments = tuple(Moment(Fraction(a, b), Fraction(c, d) or None) for a, b, c, d in times.tolist())
        if not count or moments[0].time != 0 or any(one.time >= after.time for one, after in pairwise(moments)):
            raise ValueError("the times do not ascend")
        if any(moment.duration is not None and moment.duration < 0 for moment in moments):
            raise ValueError("a duration is negative")
        height, width = (int(side) for side in arrays["size"])
        rate = Fraction(*arrays["rate"].tolist())
        if height <= 0 or width <= 0 or rate <= 0:
            raise ValueError("size or rate are not positive")
        return cls(
            KeyPoints(value, None if jacobian is None else _checked(jacobian, (count, points, 2, 2))),
            moments,
            str(arrays["checkpoint_sha256"]),
            rate,
            (height, width),
            bool(arrays["still"]),
            Fraction(*arrays["offset"].tolist()),
            Region(*arrays["crop"].tolist()) if "crop" in arrays else None,
        )

    def cut(self, kept: Range) -> MotionTemplate:
        """The frames to keep; none if it has none there."""
        places = [place for place, moment in enumerate(self.moments)
                  if moment.time >= kept.start and (kept.end is None or moment.time < kept.end)]  # fmt: skip
        places = places[: kept.max_frames]
        if not places:
            return replace(self, key_points=self.key_points[:0], moments=())
        some, begin = slice(places[0], places[-1] + 1), self.moments[places[0]].time
        moments = tuple(replace(moment, time=moment.time - begin) for moment in self.moments[some])
        return replace(self, key_points=self.key_points[some], moments=moments, offset=self.offset + begin)


def _checked(array: np.ndarray, shape: tuple[int, ...]) -> torch.Tensor:
    if array.shape != shape or array.dtype != np.float32 or not np.isfinite(array).all():
        raise ValueError(f"these are no {shape} finite numbers")
    return torch.from_numpy(array)


class TemplateClip(Clip):
    """A motion template in the place of a video; it has no pictures."""

    def __init__(self, path: Path, template: MotionTemplate) -> None:
        """Take the template at this path, or what is kept of it."""
        super().__init__(path, _Pictureless(path, template), Range())
        self.template = template


class _Pictureless:
    def __init__(self, path: Path, template: MotionTemplate) -> None:
        height, width = template.size
        count = len(template.moments)
        self.info = ClipInfo(width, height, template.rate, count, has_audio=False, still=template.still)
        self.origin = template.offset
        self._path = path

    def shots(self, start: Fraction, damage: Damage) -> Generator[Shot, None, None]:  # noqa: ARG002 - of a `Source`
        raise InputError(f"{self._path} is a motion template, which has no pictures", "Give the video itself")
        yield


def is_template(path: Path) -> bool:
    """Whether a driving video is a motion template, by its name."""
    return path.suffix.lower() == SUFFIX and not path.is_dir()


def open_footage(
    path: Path,
    start: float = 0.0,
    end: float | None = None,
    max_frames: int | None = None,
    rate: Fraction | None = None,
) -> Clip:
    """Open a driving video of any kind; the arguments are those of `open_clip`.

    Raises:
        InputError: nothing there that can drive a picture, or nothing in that range.
    """
    if not is_template(path):
        return open_clip(path, start, end, max_frames, rate)
    template, kept = MotionTemplate.load(path), Range.between(start, end, max_frames)
    some = template.cut(kept)
    if not some.moments:
        last = template.moments[-1]
        raise nothing_kept(str(path), kept, last.time + (last.duration or 1 / template.rate))
    return TemplateClip(path, some)


def check_options(job: AnimateJob) -> None:
    """Refuse what a motion template cannot give, if the job has one in the place of a video.

    Raises:
        InputError: sound or pictures are asked for.
    """
    if not is_template(job.driving_video):
        return
    refused = {
        "--audio": job.audio,
        "--visualize": job.visualize,
        f"--crop {job.crop}": job.crop in ("driving", "both"),
    }
    for flag in (flag for flag, is_asked in refused.items() if is_asked):
        raise InputError(
            f"{flag} needs the sound or the pictures of a video, and {job.driving_video} is a motion template",
            "Crop while extracting it: fomm motion extract --crop driving" if "crop" in flag else
            f"Leave out {flag}, or give the video itself",
        )  # fmt: skip


def check_fits(clip: TemplateClip, animator: Animator) -> None:
    """Refuse a motion template of another model.

    Raises:
        InputError: its key points mean something else to this one.
    """
    common = animator.config.model_params.common_params
    points = clip.template.key_points
    if clip.template.checkpoint_sha256 != animator.checkpoint_sha256:
        raise InputError(
            f"{clip.name} was extracted with another checkpoint (SHA-256 {clip.template.checkpoint_sha256[:12]}..., "
            f"not {animator.checkpoint_sha256[:12]}...), to whose key points this one gives another meaning",
            f"Give that --checkpoint, or extract it again with this one: {EXTRACT}",
        )
    if points.value.shape[1] != common.num_kp or (points.jacobian is not None) != common.estimate_jacobian:
        raise InputError(f"{clip.name} does not fit the config", "Give the --config that it was extracted with")


def moments_of(clip: Clip) -> Iterator[Moment]:
    """When each frame is shown."""
    if isinstance(clip, TemplateClip):
        yield from clip.template.moments
        return
    for frame in clip.frames():
        yield Moment(frame.time, frame.duration)
