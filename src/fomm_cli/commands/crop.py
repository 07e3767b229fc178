"""`fomm crop`."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING, Any

from fomm_cli.commands.shared import Commands, add_command, plural, print_result
from fomm_cli.commands.terminal import progress_bar
from fomm_cli.faces.options import CropJob
from fomm_cli.options import from_namespace

if TYPE_CHECKING:
    from fomm_cli.faces.clips import FaceClip


def add_to(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "crop", "Cut every face out of a video or image, framed as training data.", _run, CropJob)


def _run(options: argparse.Namespace) -> None:
    job = from_namespace(CropJob, options)

    from fomm_cli.faces.clips import crop

    with progress_bar(shown=not options.quiet) as progress:
        clips = crop(job, progress)
    print_result(options, {"clips": [_plain(clip) for clip in clips]}, "\n".join(_line(clip, job) for clip in clips))


def _line(clip: FaceClip, job: CropJob) -> str:
    if job.dry_run and clip.command:
        return shlex.join(clip.command)
    return f"{clip.path}: {clip.region}, {plural(clip.frames, 'frame')} from {float(clip.start):.2f} s"


def _plain(clip: FaceClip) -> dict[str, Any]:
    return {
        "path": str(clip.path),
        "region": [clip.region.left, clip.region.top, clip.region.width, clip.region.height],
        "start": float(clip.start),
        "duration": float(clip.duration),
        "frames": clip.frames,
        "command": clip.command or None,
    }
