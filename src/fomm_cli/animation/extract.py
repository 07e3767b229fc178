"""`fomm motion extract`: write the motion of a driving video as a motion template."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fomm_cli.animation.animator import Animator
from fomm_cli.animation.driving import open_driving
from fomm_cli.animation.options import ExtractJob
from fomm_cli.animation.template import is_template
from fomm_cli.errors import InputError
from fomm_cli.files.atomic import missing_folder, replacing
from fomm_cli.files.guard import protect_inputs
from fomm_cli.media.video.reader import open_clip
from fomm_cli.progress import Progress, silent
from fomm_cli.runtime.device import prepare_process


@dataclass(frozen=True)
class ExtractResult:
    """The result of `fomm motion extract`.

    Attributes:
        path: of the template.
        frames: how many it has.
        size: in bytes.
        checkpoint_sha256: of the weights that it belongs to.
        driving_crop: the part of the frames that it describes, such as ``400x400 at (12, -3)``; None for all of them.
    """

    path: Path
    frames: int
    size: int
    checkpoint_sha256: str
    driving_crop: str | None


def extract(job: ExtractJob, progress: Progress = silent) -> ExtractResult:
    """Detect the keypoints of a driving video and write them as a motion template.

    Raises:
        FommError: what went wrong, and what to do.
    """
    if not is_template(job.output):
        raise InputError(
            f"{job.output} is no name for a motion template", "Use one that ends in .npz, such as talking.npz"
        )
    if is_template(job.driving_video):
        raise InputError(f"{job.driving_video} is a motion template already", "Give a video")
    if not job.output.parent.is_dir():
        raise missing_folder(job.output, job.output.parent)
    protect_inputs((job.driving_video, job.checkpoint, job.config), (job.output,))
    prepare_process(job.threads)
    clip = open_clip(job.driving_video, job.start, job.end, job.max_frames, job.fps)
    animator = Animator.load(job.checkpoint, job.config, device=job.device, progress=progress)
    template = open_driving(job, animator, clip, progress).record(progress)
    with replacing(job.output) as part:
        template.save(part)
    return ExtractResult(
        job.output,
        len(template.timeline),
        job.output.stat().st_size,
        template.checkpoint_sha256,
        None if template.crop is None else str(template.crop),
    )
