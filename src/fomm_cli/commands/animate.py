"""`fomm animate`."""

from __future__ import annotations

import argparse
import logging
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from fomm_cli.commands.shared import (
    Commands,
    add_align_corners,
    add_command,
    add_device_options,
    add_face_options,
    add_switch,
    as_json,
    fetched_checkpoint,
    plain,
    print_result,
    progress_bar,
)
from fomm_cli.errors import InputError
from fomm_cli.jobs import AnimateJob

if TYPE_CHECKING:
    from fomm_cli.animation.animate import AnimateResult

logger = logging.getLogger(__name__)


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "animate", "Animate a picture with the motion of a video.", _run)
    files = parser.add_argument_group("files (without source and driving: a sample in the package)")
    files.add_argument("-s", "--source_image", type=Path, metavar="PICTURE", help="the portrait to animate")
    files.add_argument(
        "-d",
        "--driving_video",
        type=Path,
        metavar="VIDEO",
        help="a video, folder of frames, picture or motion template",
    )
    files.add_argument(
        "-o", "--result_video", type=Path, metavar="FILE",
        help=".mp4, .webm, .mov, .gif, or a folder or name_%%05d.png for lossless frames (default: result.mp4)",
    )  # fmt: skip
    add_job_options(parser)


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how to animate, whatever the files are."""
    add_model_options(parser)

    motion = parser.add_argument_group("motion")
    add_switch(motion, "relative", "transfer the motion since the initial frame (default), or the pose itself")
    motion.add_argument("--absolute", dest="relative", action="store_false", help="the same as --no-relative")
    add_switch(motion, "adapt_scale", "scale the motion to the size of the source's face (default), or do not")
    motion.add_argument("--find_best_frame", action="store_true", help="start from the frame most like the source")
    motion.add_argument("--best_frame", type=int, metavar="N", help="start from this driving frame, counted from 0")

    motion.add_argument("--motion_scale", type=float, default=1.0, metavar="X", help="multiply relative motion (1)")
    motion.add_argument("--smooth", action="store_true", help="smooth the motion over time, against jitter")

    add_cut_options(parser)

    faces = add_face_options(parser)
    faces.add_argument(
        "--crop", choices=("auto", "none", "source", "driving", "both"), default="auto",
        help="what is cropped to its face (default: what is framed unlike the training data, for face models)",
    )  # fmt: skip
    faces.add_argument("--paste_back", action="store_true", help="put the animated face back into the whole picture")

    output = parser.add_argument_group("output")
    output.add_argument("--audio", action="store_true", help="carry over the sound of the driving video")
    output.add_argument("--crf", type=int, metavar="N", help="quality of the encoding: 0 is best, 51 worst")
    output.add_argument(
        "--visualize", action="store_true", help="also write source, driving and result with key points"
    )

    engine = parser.add_argument_group("engine")
    add_device_options(engine)
    engine.add_argument(
        "--engine", choices=("torch", "onnxruntime", "openvino"), default="torch",
        help="what computes the frames (default: torch); the others need packages of their own and run on the CPU",
    )  # fmt: skip
    engine.add_argument(
        "--precision", choices=("auto", "fp32", "bf16", "fp16", "int8"), default="auto",
        help="of the layers: fp32 gives the original's numbers, auto (default) takes bf16 where it is computed in "
        "hardware, int8 is OpenVINO's and calibrates itself first",
    )  # fmt: skip
    engine.add_argument("--threads", type=int, metavar="N", help="processor threads to compute with (default: all)")
    engine.add_argument("--dry_run", action="store_true", help="check the files and say what would be done")
    add_align_corners(engine)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """The flags that name the model."""
    model = parser.add_argument_group("model")
    model.add_argument(
        "--checkpoint", type=Path, help="a file of weights, or a name such as vox (default: the small model)"
    )
    model.add_argument("--config", help="a bundled config such as vox-256, or a YAML file")


def add_cut_options(parser: argparse.ArgumentParser) -> None:
    """The flags that say which part of the driving video is meant, in space and time."""
    cut = parser.add_argument_group("cut and size")
    cut.add_argument("--start", type=float, default=0.0, metavar="SECONDS", help="begin here in the driving video")
    cut.add_argument("--end", type=float, metavar="SECONDS", help="stop here")
    cut.add_argument("--max_frames", type=int, metavar="N", help="stop after N frames")
    cut.add_argument("--fit", choices=("stretch", "crop", "pad"), default="stretch", help="for pictures not square")
    cut.add_argument("--fps", type=_fraction, help="frames per second of a folder of frames (default: 25)")


def _fraction(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number such as 25, 29.97 or 30000/1001") from error


def _run(options: argparse.Namespace) -> None:
    from fomm_cli.models.bundled import sample

    if (options.source_image is None) != (options.driving_video is None):
        missing = "--driving_video" if options.driving_video is None else "--source_image"
        raise InputError(f"{missing} is missing", "Give both, or neither for the sample in the package")
    if options.source_image is None:
        options.source_image, options.driving_video = sample()
        logger.info("animating the sample in the package, since no --source_image and --driving_video were given")
    job = AnimateJob(**{field.name: getattr(options, field.name) for field in fields(AnimateJob)})

    from fomm_cli.animation.animate import Files, animate

    if options.dry_run:
        files = Files.open(job)
        plan = {"source": job.source_image, "driving": job.driving_video, "result": files.target.shown,
                "frames": files.clip.info.frame_count}  # fmt: skip
        print_result(options, plain(plan), "{source} + {driving} -> {result}, {frames} frames".format(**plan))
        return
    if job.checkpoint is not None:
        checkpoint, config = fetched_checkpoint(options)
        job = replace(job, checkpoint=checkpoint, config=config)
    with progress_bar(shown=not options.quiet) as progress:
        result = animate(job, progress)
    if job.checkpoint is None:
        logger.info("this was the small model in the package; for better faces: fomm animate --checkpoint vox "
                    "(695 MB, see fomm download vox)")  # fmt: skip
    print_result(options, as_json(result), _last_line(result))


def _last_line(result: AnimateResult) -> str:
    speed = result.frames / result.seconds
    beside = f", key points in {result.visualization}" if result.visualization else ""
    return (
        f"{result.path}: {result.frames} frames in {result.seconds:.1f} s ({speed:.1f} frames/s) "
        f"on {result.device}, {result.engine} {result.precision}{beside}"
    )
