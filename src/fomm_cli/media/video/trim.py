"""Trim and crop a square clip from a video with the ffmpeg program."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

from fomm_cli.errors import FommError
from fomm_cli.files.atomic import replacing
from fomm_cli.geometry import Region
from fomm_cli.media.validate import CONTAINER_OPTIONS


def trim_command(
    video: Path, target: Path, region: Region, size: tuple[int, int], start: Fraction, duration: Fraction
) -> list[str]:
    """Build the command line.

    Args:
        video: to cut from.
        target: the file to write.
        region: of the upright image, inside it.
        size: (width, height) of the clip.
        start: seconds on the video's own clock.
        duration: in seconds.
    """
    crop = f"crop={region.width}:{region.height}:{region.left}:{region.top}:exact=1,scale={size[0]}:{size[1]}"
    return [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-loglevel", "error", "-y"),
        *("-seek_timestamp", "1", "-ss", f"{float(start):.6f}", "-t", f"{float(duration):.6f}", "-i", f"file:{video}"),
        *("-map", "0:v:0", "-filter:v", crop, "-c:v", "libx264", "-crf", "16", "-pix_fmt", "yuv420p", f"file:{target}"),
    ]


def run_trim(command: list[str], target: Path) -> None:
    """Run such a command; `target` appears whole or not at all.

    Raises:
        FommError: ffmpeg failed.
    """
    place = command.index("-i")
    safely = [word for name, value in CONTAINER_OPTIONS.items() for word in (f"-{name}", value)]
    with replacing(target) as part:
        done = subprocess.run(  # noqa: S603 - a list of our own making, no shell
            [*command[:place], *safely, *command[place:-1], f"file:{part}"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
            raise FommError(f"{target} cannot be cut: {reason}", "Check the free space, or convert the video to MP4")
