"""`fomm motion`."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from fomm_cli.commands.animate import add_cut_options, add_model_options
from fomm_cli.commands.shared import (
    Commands,
    add_backend_option,
    add_command,
    add_device_options,
    as_json,
    fetched_checkpoint,
    print_result,
    progress_bar,
)
from fomm_cli.jobs import ExtractJob


def add_to(commands: Commands) -> None:
    """Add the command."""
    text = "Save the motion of a video, to drive pictures without it."
    parser = commands.add_parser("motion", help=text, description=text, allow_abbrev=False)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    extract = add_command(actions, "extract", "Save the motion of a video as a small .npz, a motion template.", _run)
    files = extract.add_argument_group("files")
    files.add_argument(
        "-d", "--driving_video", type=Path, required=True, metavar="VIDEO", help="a video, folder of frames or picture"
    )
    files.add_argument(
        "-o", "--output", type=Path, default=Path("motion.npz"), metavar="FILE", help="(default: motion.npz)"
    )
    add_model_options(extract)
    add_cut_options(extract)
    faces = extract.add_argument_group("faces")
    faces.add_argument(
        "--crop", choices=("auto", "none", "driving"), default="auto",
        help="crop to the face (default: if framed unlike the training data, for face models)",
    )  # fmt: skip
    add_backend_option(faces)
    engine = extract.add_argument_group("engine")
    add_device_options(engine)
    engine.add_argument("--threads", type=int, metavar="N", help="processor threads to compute with (default: all)")


def _run(options: argparse.Namespace) -> None:
    if options.checkpoint is not None:
        options.checkpoint, options.config = fetched_checkpoint(options)
    job = ExtractJob(**{field.name: getattr(options, field.name) for field in fields(ExtractJob)})

    from fomm_cli.animation.extract import extract

    with progress_bar(shown=not options.quiet) as progress:
        result = extract(job, progress)
    text = (
        f"{result.path}: the motion of {result.frames} frames in {result.size / 1000:.0f} kB; use it as --driving_video"
    )
    print_result(options, as_json(result), text)
