"""`fomm train`."""

from __future__ import annotations

import argparse

from fomm_cli.commands.shared import Commands, add_command, as_json, print_result
from fomm_cli.options import from_namespace
from fomm_cli.training.options import TrainJob


def add_to(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "train", "Train a model on a folder of videos.", _run, TrainJob)


def _run(options: argparse.Namespace) -> None:
    job = from_namespace(TrainJob, options)

    from fomm_cli.training.loop import train

    result = train(job)
    state = "finished" if result.finished else "stopped"
    print_result(
        options, as_json(result), f"{result.path}: {state} after step {result.steps}; use it with --checkpoint"
    )
