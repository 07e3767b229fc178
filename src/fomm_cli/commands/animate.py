"""`fomm animate`."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from fomm_cli.animation.options import AnimateJob
from fomm_cli.commands.shared import Commands, add_command, add_dry_run, as_json, plain, plural, print_result
from fomm_cli.commands.terminal import progress_bar
from fomm_cli.errors import InputError
from fomm_cli.faces.options import FaceGroup
from fomm_cli.options import from_namespace

if TYPE_CHECKING:
    from fomm_cli.animation.animate import AnimateResult

logger = logging.getLogger(__name__)


def add_to(commands: Commands) -> None:
    """Add the command."""
    text = "Animate an image with the motion of a video."
    parser = add_command(commands, "animate", text, _run, AnimateJob)
    for action in parser._actions:
        action.required = False  # without source and driving, the sample is animated
    parser.set_defaults(size=None)  # the sample is shown at its own size
    add_dry_run(parser)


def _run(options: argparse.Namespace) -> None:
    from fomm_cli.animation.motions import DEFAULT
    from fomm_cli.models.bundled import first_run

    if options.source_image is None and options.driving_video is not None:
        raise InputError("--source_image is missing", "Give an image, or neither for the sample in the package")
    of_sample = options.source_image is None
    options.size = options.size or ("source" if of_sample else "model")
    if of_sample:
        options.source_image, options.driving_video = first_run()
        options.crop = "none" if options.crop == "auto" else options.crop  # it is framed well: no detector needed
    if options.driving_video is None:
        options.driving_video = _first_driver(options.face) or Path(DEFAULT)
    job = from_namespace(AnimateJob, options)
    if of_sample:
        logger.info("animating the sample in the package, since no --source_image and --driving_video were given")
    if options.dry_run:
        _print_plan(options, job)
        return

    from fomm_cli.animation.animate import animate

    with progress_bar(shown=not options.quiet) as progress:
        result = animate(job, progress)
    if job.checkpoint is None:
        _hint_at_published_weights()
    print_result(options, as_json(result), _last_line(result))


def _first_driver(face: int | FaceGroup | None) -> Path | None:
    """Return what sets the time where no driving video does: the first video of a face, or else its first motion."""
    from fomm_cli.animation.motions import MOTIONS

    drivers = face.own_drivers if isinstance(face, FaceGroup) else ()
    return next((path for path in drivers if str(path) not in MOTIONS), drivers[0] if drivers else None)


def _print_plan(options: argparse.Namespace, job: AnimateJob) -> None:
    from fomm_cli.animation.animate import Files

    files = Files.open(job)
    plan = {"source": job.source_image, "driving": job.driving_video, "result": files.target.shown,
            "frames": files.footage.info.frame_count}  # fmt: skip
    print_result(options, plain(plan), "{source} + {driving} -> {result}, {frames} frames".format(**plan))


def _hint_at_published_weights() -> None:
    """Name the published weights, once a day."""
    from fomm_cli.files.cache import once_a_day
    from fomm_cli.models.catalogue import published

    if once_a_day("published-weights-hint"):
        size = (published("vox").size or 0) / 1e6
        logger.info("this was the small model in the package; for better faces: fomm animate --checkpoint vox "
                    "(%.0f MB, see fomm download vox)", size)  # fmt: skip


def _last_line(result: AnimateResult) -> str:
    speed = result.frames / result.seconds
    beside = f", keypoints in {result.visualization}" if result.visualization else ""
    what = f"{result.path}: {plural(result.frames, 'frame')}"
    if result.path.is_dir():
        what = f"wrote {plural(result.frames, 'PNG frame')} to {result.path}/ (add .mp4 for a video)"
    return (
        f"{what} in {result.seconds:.1f} s ({speed:.1f} frames/s) "
        f"on {result.device}, {result.engine} {result.precision}{beside}"
    )
