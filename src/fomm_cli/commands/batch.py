"""`fomm batch`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fomm_cli.animation.options import AnimateJob
from fomm_cli.batch.options import BatchJob, BatchRequest
from fomm_cli.commands.shared import Commands, add_command, add_dry_run, as_json, plural, print_result
from fomm_cli.commands.terminal import progress_bar
from fomm_cli.errors import FommError, InputError
from fomm_cli.options import add_options, from_namespace, values_of

if TYPE_CHECKING:
    from fomm_cli.batch.run import BatchResult, PlannedPair

_FILES = ("source_image", "driving_video", "result_video")


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "batch", "Animate many images with many videos.", _run, BatchRequest)
    add_options(parser, AnimateJob, leave_out=_FILES)
    add_dry_run(parser)


def _run(options: argparse.Namespace) -> int:
    request = from_namespace(BatchRequest, options)
    job = _job(request, options)

    from fomm_cli.batch.run import dry_run, run_batch

    with progress_bar(shown=not options.quiet) as progress:
        if options.dry_run:
            return _print_plan(options, dry_run(job, progress))
        result = run_batch(job, progress)
    print_result(options, {**as_json(result), "failed": result.failed}, _last_line(result))
    if result.failed:
        raise FommError(
            f"{len(result.failed)} of {len(result.failed) + result.done + result.skipped} results are missing",
            f"The reasons are in {result.report}; the same command tries them again",
        )
    return 0


def _job(request: BatchRequest, options: argparse.Namespace) -> BatchJob:
    devices = request.devices.split(",") if request.devices else [options.device] * (request.workers or 1)
    return BatchJob(
        pairs=tuple(_pairs(request, options)),
        result_dir=request.result_dir,
        overwrite=request.overwrite,
        devices=tuple(device.strip() for device in devices),
        threads=options.threads,
        cluster=request.address if request.engine_cluster else None,
        workers=request.workers,
    )


def _pairs(request: BatchRequest, options: argparse.Namespace) -> list[AnimateJob]:
    from fomm_cli.batch.manifest import cross, csv_pairs, yaml_pairs

    common = values_of(AnimateJob, options, leave_out=(*_FILES, "device", "threads"))
    pairs = cross(request.source_image, request.driving_video, common)
    if request.pairs:
        pairs += csv_pairs(request.pairs, common)
    if request.jobs:
        pairs += yaml_pairs(request.jobs, common)
    if not pairs:
        raise InputError("there is nothing to animate", "Give --source_image and --driving_video, --pairs or --jobs")
    return pairs


def _print_plan(options: argparse.Namespace, plan: list[PlannedPair]) -> int:
    lines = [
        f"{pair.action}: {pair.source} + {pair.driving} -> {options.result_dir / pair.name}"
        + (f" ({pair.reason})" if pair.reason else f", {pair.frames} frames")
        for pair in plan
    ]
    print_result(options, {"pairs": [as_json(pair) for pair in plan]}, "\n".join(lines))
    return 1 if any(pair.action == "fail" for pair in plan) else 0


def _last_line(result: BatchResult) -> str:
    if not result.done and not result.failed:
        return f"{result.report}: all {plural(result.skipped, 'result')} were there"
    speed = result.frames / result.seconds if result.seconds else 0
    kept = f", {result.skipped} were there" if result.skipped else ""
    return (
        f"{result.report}: {plural(result.done, 'result')} made{kept}, {len(result.failed)} failed; "
        f"{plural(result.frames, 'frame')} in {result.seconds:.1f} s ({speed:.1f} frames/s)"
    )
