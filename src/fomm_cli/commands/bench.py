"""`fomm bench`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fomm_cli.commands.shared import Commands, add_command, fetched_checkpoint, print_text, progress_bar
from fomm_cli.errors import InputError
from fomm_cli.jobs import BenchJob

if TYPE_CHECKING:
    from fomm_cli.evaluation.bench import Row


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "bench", "Time every engine that is installed.", _run, json_flag=False)
    parser.add_argument("-s", "--source_image", type=Path, metavar="PICTURE", help="default: a sample in the package")
    parser.add_argument("-d", "--driving_video", type=Path, metavar="VIDEO", help="default: a sample in the package")
    parser.add_argument(
        "--checkpoint", type=Path, help="a file of weights, or a name such as vox (default: the small model)"
    )
    parser.add_argument("--config", help="a bundled config such as vox-256, or a YAML file")
    parser.add_argument("--device", default="auto", help="for PyTorch: auto, cpu, cuda, cuda:N or mps (default: auto)")
    parser.add_argument("--cpu", dest="device", action="store_const", const="cpu", help="the same as --device cpu")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads to compute with (default: all)")
    parser.add_argument("--max_frames", type=int, default=20, metavar="N", help="of the driving video (default: 20)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="turns of each engine (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, too")


def _run(options: argparse.Namespace) -> None:
    from fomm_cli.models.bundled import sample

    if options.json is not None and not options.json.parent.is_dir():
        raise InputError(f"there is no folder {options.json.parent} for {options.json.name}", "Create it")
    source, driving = sample()
    if options.checkpoint is not None:
        options.checkpoint, options.config = fetched_checkpoint(options)
    job = BenchJob(
        source_image=options.source_image or source,
        driving_video=options.driving_video or driving,
        checkpoint=options.checkpoint,
        config=options.config,
        device=options.device,
        max_frames=options.max_frames,
        rounds=options.rounds,
        threads=options.threads,
    )

    from fomm_cli.evaluation.bench import as_rows, bench
    from fomm_cli.files.atomic import replacing

    with progress_bar(shown=not options.quiet, unit="round") as progress:
        rows = bench(job, progress)
    if options.json is not None:
        with replacing(options.json) as part:
            part.write_text(json.dumps(as_rows(rows), indent=2) + "\n")
    print_text(options, "\n".join(_table(rows)))


def _table(rows: Sequence[Row]) -> list[str]:
    """The rows as a Markdown table."""
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
