"""`fomm crop`."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fomm_cli.commands.shared import Commands, add_backend_option, add_command, print_result, progress_bar
from fomm_cli.jobs import CropJob

if TYPE_CHECKING:
    from fomm_cli.faces.clips import FaceClip


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "crop", "Cut every face of a video or picture out, framed as training data.", _run)
    parser.add_argument("--inp", type=Path, required=True, metavar="FILE", help="the video or picture")
    parser.add_argument(
        "-o", "--result_dir", type=Path, default=Path("crops"), metavar="FOLDER", help="for the clips (default: crops)"
    )
    parser.add_argument(
        "--image_shape", type=_pair, default=(256, 256), metavar="WIDTH,HEIGHT", help="size of the clips (256,256)"
    )
    parser.add_argument("--increase", type=float, default=0.1, help="add this to the box at each side (0.1)")
    parser.add_argument(
        "--iou_with_initial", type=float, default=0.25, help="least overlap with the first box of a track (0.25)"
    )
    parser.add_argument("--min_frames", type=int, default=150, metavar="N", help="tracks have more frames (150)")
    parser.add_argument("--dry_run", action="store_true", help="print the ffmpeg commands instead of running them")
    add_backend_option(parser)


def _pair(text: str) -> tuple[int, int]:
    width, height = text.split(",")
    return int(width), int(height)


def _run(options: argparse.Namespace) -> None:
    job = CropJob(**{field.name: getattr(options, field.name) for field in fields(CropJob)})

    from fomm_cli.faces.clips import crop

    with progress_bar(shown=not options.quiet) as progress:
        clips = crop(job, progress)
    print_result(options, {"clips": [_plain(clip) for clip in clips]}, "\n".join(_line(clip, job) for clip in clips))


def _line(clip: FaceClip, job: CropJob) -> str:
    if job.dry_run and clip.command:
        return shlex.join(clip.command)
    return f"{clip.path}: {clip.region}, {clip.frames} frames from {float(clip.start):.2f} s"


def _plain(clip: FaceClip) -> dict[str, Any]:
    return {
        "path": str(clip.path),
        "region": [clip.region.left, clip.region.top, clip.region.width, clip.region.height],
        "start": float(clip.start),
        "duration": float(clip.duration),
        "frames": clip.frames,
        "command": clip.command,
    }
