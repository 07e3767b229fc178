"""`fomm bench`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from fomm_cli.commands.shared import Commands, add_command
from fomm_cli.commands.terminal import print_text, progress_bar
from fomm_cli.errors import InputError
from fomm_cli.evaluation.options import BenchJob
from fomm_cli.options import from_namespace

if TYPE_CHECKING:
    from fomm_cli.evaluation.bench import Timing


def add_to(commands: Commands) -> None:
    """Add the command."""
    text = "Time every engine that is installed."
    parser = add_command(commands, "bench", text, _run, BenchJob, json_flag=False)
    for action in parser._actions:
        action.required = False  # without source and driving, the sample is animated
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, too")


def _run(options: argparse.Namespace) -> None:
    from fomm_cli.models.bundled import sample

    if options.json is not None and not options.json.parent.is_dir():
        raise InputError(f"there is no folder {options.json.parent} for {options.json.name}", "Create it")
    source, driving = sample()
    options.source_image = options.source_image or source
    options.driving_video = options.driving_video or driving
    job = from_namespace(BenchJob, options)

    from fomm_cli.evaluation.bench import bench
    from fomm_cli.files.atomic import replacing
    from fomm_cli.files.guard import protect_inputs

    protect_inputs((job.source_image, job.driving_video, job.checkpoint, job.config), (options.json,))
    with progress_bar(shown=not options.quiet, unit="turn", units={"loading engines": "engine"}) as progress:
        rows = bench(job, progress)
    if options.json is not None:
        with replacing(options.json) as part:
            part.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    print_text(options, "\n".join(_table(rows)))


def _table(rows: Sequence[Timing]) -> list[str]:
    """Format the rows as a Markdown table."""
    lines = [
        "| | engine | precision | frames/s | (min to max) | ratio | peak MB | PSNR dB | max diff |",
        "|-|-|-|-|-|-|-|-|-|",
    ]
    for row in rows:
        what = "end to end" if row.end_to_end else "networks"
        peak = "?" if row.peak_mb is None else f"{row.peak_mb:.0f}"
        lines.append(
            f"| {what} | {row.engine} | {row.precision} | {row.fps_median:.2f} | {row.fps_min:.2f} to {row.fps_max:.2f}"
            f" | {row.ratio:.2f} | {peak} | {row.psnr_db:.1f} | {row.max_abs:.1g} |"
        )
    return lines
