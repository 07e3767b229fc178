"""`fomm reconstruct`."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

from fomm_cli.commands.shared import (
    Commands,
    add_command,
    add_device_options,
    as_json,
    fetched_checkpoint,
    print_result,
    progress_bar,
)
from fomm_cli.jobs import ReconstructJob

J = TypeVar("J", bound=ReconstructJob)


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "reconstruct", "Rebuild test videos from their first frames.", _run)
    add_options(parser, "reconstruction")


def add_options(parser: argparse.ArgumentParser, output: str) -> None:
    """The options that reconstructing and evaluating share."""
    parser.add_argument("root_dir", type=Path, help="folder with videos, or with test/ that holds them")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(output), metavar="FOLDER", help=f"(default: {output})"
    )
    parser.add_argument("--checkpoint", type=Path, help="weights, or a name such as vox (default: the small model)")
    parser.add_argument("--config", help="a bundled config such as vox-256, or a YAML file")
    parser.add_argument("--max_frames", type=int, metavar="N", help="stop each video after N frames")
    add_device_options(parser)


def job_of(kind: type[J], options: argparse.Namespace) -> J:
    """The job that the options ask for, its checkpoint downloaded if it is a name."""
    if options.checkpoint is not None:
        options.checkpoint, options.config = fetched_checkpoint(options)
    return kind(**{field.name: getattr(options, field.name) for field in fields(kind)})


def _run(options: argparse.Namespace) -> None:
    job = job_of(ReconstructJob, options)

    from fomm_cli.evaluation.reconstruct import reconstruct

    with progress_bar(shown=not options.quiet, unit="video") as progress:
        result = reconstruct(job, progress)
    text = f"{result.path}: {result.videos} videos, {result.frames} frames, L1 {result.l1:.4f}"
    print_result(options, as_json(result), text)
