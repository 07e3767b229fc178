"""`fomm batch`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fomm_cli.commands.animate import add_job_options
from fomm_cli.commands.shared import Commands, add_command, as_json, fetched_checkpoint, print_result, progress_bar
from fomm_cli.errors import FommError, InputError
from fomm_cli.jobs import AnimateJob, BatchJob

if TYPE_CHECKING:
    from fomm_cli.batch.run import BatchResult, PlannedPair


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "batch", "Animate many pictures with many videos.", _run)
    files = parser.add_argument_group("files")
    files.add_argument(
        "-s", "--source_image", nargs="+", action="extend", default=[], metavar="PICTURE",
        help="portraits: files, quoted patterns such as 'dataSet/*.png', or folders",
    )  # fmt: skip
    files.add_argument(
        "-d", "--driving_video", nargs="+", action="extend", default=[], metavar="VIDEO",
        help="driving videos, each for every portrait: files, patterns or folders of frames",
    )  # fmt: skip
    files.add_argument(
        "--pairs", type=Path, metavar="CSV", help="a table with the columns source,driving and any option of animate"
    )
    files.add_argument("--jobs", type=Path, metavar="YAML", help="a job file with pairs and options")
    files.add_argument("-o", "--result_dir", type=Path, default=Path("results"), help="folder (default: results)")
    files.add_argument("--overwrite", action="store_true", help="replace files in the way that are not of this batch")

    workers = parser.add_argument_group("workers")
    workers.add_argument("--workers", type=int, metavar="N", help="work with N processes (default: one)")
    workers.add_argument("--devices", metavar="LIST", help="one process on each, such as cuda:0,cuda:1")
    workers.add_argument("--engine_cluster", choices=("ray",), help="work on a cluster instead (pip install ray)")
    workers.add_argument(
        "--address", default="auto", help="of the Ray cluster (default: auto, the one of this machine)"
    )
    add_job_options(parser)


def _run(options: argparse.Namespace) -> None:
    if options.checkpoint is not None:
        options.checkpoint, options.config = fetched_checkpoint(options)
    job = _job(options)

    from fomm_cli.batch.run import dry_run, run_batch

    if options.dry_run:
        _print_plan(options, dry_run(job))
        return
    with progress_bar(shown=not options.quiet) as progress, _log_above_bar():
        result = run_batch(job, progress)
    data = {**as_json(result), "failed": result.failed}
    print_result(options, data, _last_line(result))
    if result.failed:
        raise FommError(
            f"{len(result.failed)} of {len(result.failed) + result.done + result.skipped} results are missing",
            f"The reasons are in {result.report}; the same command tries them again",
        )


def _job(options: argparse.Namespace) -> BatchJob:
    if options.devices and options.workers:
        raise InputError("--devices and --workers exclude each other", "--devices starts a process for each")
    if options.workers is not None and options.workers < 1:
        raise InputError(f"--workers {options.workers} is impossible", "Allowed: 1 or more")
    if options.engine_cluster and options.devices:
        raise InputError("--devices is for this machine alone", "On a cluster, leave it out: each worker gets a GPU")
    devices = options.devices.split(",") if options.devices else [options.device] * (options.workers or 1)
    return BatchJob(
        pairs=tuple(_pairs(options)),
        result_dir=options.result_dir,
        overwrite=options.overwrite,
        devices=tuple(device.strip() for device in devices),
        threads=options.threads,
        cluster=options.address if options.engine_cluster else None,
        workers=options.workers,
    )


def _pairs(options: argparse.Namespace) -> list[AnimateJob]:
    from fomm_cli.batch.manifest import cross, read_csv, read_yaml

    own = ("source_image", "driving_video", "result_video", "device", "threads")
    common: dict[str, Any] = {
        field.name: getattr(options, field.name) for field in fields(AnimateJob) if field.name not in own
    }
    if bool(options.source_image) != bool(options.driving_video):
        missing = "--source_image" if options.driving_video else "--driving_video"
        raise InputError(f"{missing} is missing", "Give both, or --pairs, or --jobs")
    pairs = cross(options.source_image, options.driving_video, common)
    if options.pairs:
        pairs += read_csv(options.pairs, common)
    if options.jobs:
        pairs += read_yaml(options.jobs, common)
    if not pairs:
        raise InputError("there is nothing to animate", "Give --source_image and --driving_video, --pairs or --jobs")
    return pairs


def _print_plan(options: argparse.Namespace, plan: list[PlannedPair]) -> None:
    lines = [
        f"{pair.action}: {pair.source} + {pair.driving} -> {options.result_dir / pair.name}"
        + (f" ({pair.reason})" if pair.reason else f", {pair.frames} frames")
        for pair in plan
    ]
    print_result(options, {"pairs": [as_json(pair) for pair in plan]}, "\n".join(lines))


def _last_line(result: BatchResult) -> str:
    speed = result.frames / result.seconds if result.seconds else 0
    kept = f", {result.skipped} were there" if result.skipped else ""
    return (
        f"{result.report}: {result.done} results made{kept}, {len(result.failed)} failed; "
        f"{result.frames} frames in {result.seconds:.1f} s ({speed:.1f} frames/s)"
    )


@contextmanager
def _log_above_bar() -> Iterator[None]:
    """Keep log lines and the progress bar out of each other's way."""
    from tqdm.contrib.logging import logging_redirect_tqdm

    if not sys.stderr.isatty():
        yield
        return
    with logging_redirect_tqdm([logging.getLogger("fomm_cli")]):
        yield
