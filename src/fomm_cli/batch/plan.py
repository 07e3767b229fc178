"""Plan a batch: name every pair, and compute keys from the content of its inputs."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from fomm_cli.animation.options import AnimateJob
from fomm_cli.animation.template import check_options, is_motion, open_footage
from fomm_cli.batch.names import check_inside, result_names
from fomm_cli.batch.options import BatchJob
from fomm_cli.config.reading import load_config
from fomm_cli.errors import FommError, InputError
from fomm_cli.faces.options import FaceGroup
from fomm_cli.files.hashing import sha256_of
from fomm_cli.files.inputs import check_exists
from fomm_cli.media.video.reader import ClipInfo
from fomm_cli.models.bundled import bundled_checkpoint
from fomm_cli.models.download import with_checkpoint_file
from fomm_cli.progress import Progress, silent

logger = logging.getLogger(__name__)

T = TypeVar("T")

_NOT_IN_KEY = ("source_image", "driving_video", "result_video", "checkpoint", "config", "device", "threads")
_OF_DRIVING = ("fit", "start", "end", "max_frames", "fps", "duration", "align_corners", "crop", "face_backend")


@dataclass(frozen=True)
class Pair:
    """One result to make.

    Attributes:
        name: of the result, relative to the result folder, with ``/``.
        job: its options.
        key: hash of the content of its inputs, of its options and its name; "" where an input cannot be read.
        driving_key: hash of everything that its driving keypoints depend on.
        frames: number of frames of the result, if known.
        problem: why it cannot be done; "" if no reason is known.
    """

    name: str
    job: AnimateJob
    key: str = ""
    driving_key: str = ""
    frames: int | None = None
    problem: str = ""


def plan(job: BatchJob, progress: Progress = silent) -> list[Pair]:
    """Name and fingerprint every pair; an error of one pair is noted in it.

    Raises:
        InputError: no pair can be done, since names clash or the model is missing.
    """
    jobs = list(dict.fromkeys(with_checkpoint_file(pair, progress) for pair in job.pairs))
    if len(jobs) < len(job.pairs):
        logger.info("%d pair(s) are listed twice and made once", len(job.pairs) - len(jobs))
    inputs = _Inputs()
    suffixes = [".png" if _or_none(lambda one=one: inputs.clip(one).still) else ".mp4" for one in jobs]  # type: ignore[misc]
    names = result_names(jobs, suffixes)
    pairs = [_pair(one, name, job.result_dir, inputs) for one, name in zip(jobs, names, strict=True)]
    if all(pair.problem for pair in pairs):
        raise InputError(f"none of the {len(pairs)} pair(s) can be done: {pairs[0].problem}")
    return pairs


def _pair(job: AnimateJob, name: str, folder: Path, inputs: _Inputs) -> Pair:
    try:
        check_inside(folder, name)
        check_options(job)
        info = inputs.clip(job)
        driving = {"driving": inputs.driving(job.driving_video, job), **inputs.model(job)}
        of_driving = {**driving, **{option: str(getattr(job, option)) for option in _OF_DRIVING}}
        options = {option: str(value) for option, value in asdict(job).items() if option not in _NOT_IN_KEY}
        of_faces = job.face.own_drivers if isinstance(job.face, FaceGroup) else ()
        drivers = {str(path): inputs.driving(path, job) for path in of_faces}
        content = {**driving, **options, "source": inputs.sha256(job.source_image), "result": name, "drivers": drivers}
        if job.background_image is not None:
            content["background"] = inputs.sha256(job.background_image)
    except FommError as error:
        return Pair(name, job, problem=str(error))
    return Pair(name, job, _hash(content), _hash(of_driving), info.frame_count)


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _or_none(action: Callable[[], T]) -> T | None:
    try:
        return action()
    except FommError:
        return None


class _Inputs:
    """Read each input once for all pairs that share it; its error is raised for each of them."""

    def __init__(self) -> None:
        self.sha256: Callable[[Path], str] = _remembering(_sha256)
        self._clip: Callable[[tuple[object, ...]], ClipInfo] = _remembering(
            lambda arguments: open_footage(*arguments).info  # type: ignore[arg-type]
        )
        self._config: Callable[[str], str] = _remembering(lambda name: load_config(name).model_dump_json())

    def clip(self, job: AnimateJob) -> ClipInfo:
        kept = job.start, job.end, job.max_frames
        return self._clip((job.driving_video, *kept, job.fps, job.duration, job.motion_scale))

    def driving(self, path: Path, job: AnimateJob) -> str:
        """Return the hash of a driving video, or the name of a packaged motion and its scale in a job."""
        return f"motion {path} {job.motion_scale}" if is_motion(path) else self.sha256(path)

    def model(self, job: AnimateJob) -> dict[str, str | None]:
        return {
            "checkpoint": self.sha256(job.checkpoint or bundled_checkpoint()),
            "config": None if job.config is None else self._config(job.config),
        }


K = TypeVar("K")


def _remembering(function: Callable[[K], T]) -> Callable[[K], T]:
    """Cache results like functools.cache, and failures too: a broken video is read once, not for each source."""

    @cache
    def outcome(argument: K) -> T | FommError:
        try:
            return function(argument)
        except FommError as error:
            return error

    def remembered(argument: K) -> T:
        result = outcome(argument)
        if isinstance(result, FommError):
            raise result
        return result

    return remembered


def _sha256(path: Path) -> str:
    """Hash of a file, or of the names and contents of the files in a folder."""
    check_exists(path)
    try:
        if not path.is_dir():
            return sha256_of(path)
        return _hash({child.name: sha256_of(child) for child in sorted(path.iterdir()) if child.is_file()})
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "Check its permissions") from error
