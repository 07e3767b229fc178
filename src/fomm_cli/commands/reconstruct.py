"""`fomm reconstruct`."""

from __future__ import annotations

import argparse

from fomm_cli.commands.shared import Commands, add_command, as_json, plural, print_result
from fomm_cli.commands.terminal import progress_bar
from fomm_cli.evaluation.options import ReconstructJob
from fomm_cli.options import from_namespace


def add_to(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "reconstruct", "Rebuild test videos from their first frames.", _run, ReconstructJob)


def _run(options: argparse.Namespace) -> None:
    job = from_namespace(ReconstructJob, options)

    from fomm_cli.evaluation.reconstruct import reconstruct

    with progress_bar(shown=not options.quiet, unit="video") as progress:
        result = reconstruct(job, progress)
    counts = f"{plural(result.videos, 'video')}, {plural(result.frames, 'frame')}"
    print_result(options, as_json(result), f"{result.path}: {counts}, L1 {result.l1:.4f}")
