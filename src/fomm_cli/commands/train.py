"""`fomm train`."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from fomm_cli.commands.shared import Commands, add_command, as_json, print_result
from fomm_cli.jobs import TrainJob


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "train", "Train a model on a folder of videos.", _run)
    parser.add_argument("--config", help="a bundled config such as vox-256, or a YAML file; it says all about training")
    parser.add_argument("--log_dir", type=Path, required=True, metavar="FOLDER", help="for checkpoints and logs")
    parser.add_argument("--checkpoint", type=Path, help="weights to start from (default: random ones)")
    parser.add_argument("--resume", action="store_true", help="go on with the training in --log_dir")
    parser.add_argument("--max_minutes", type=float, metavar="M", help="stop after M minutes, ready to be resumed")
    parser.add_argument(
        "--log_every", type=int, default=100, metavar="N", help="steps from line to line (default: 100)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    parser.add_argument("--cpu", dest="device", action="store_const", const="cpu", help="the same as --device cpu")


def _run(options: argparse.Namespace) -> None:
    job = TrainJob(**{field.name: getattr(options, field.name) for field in fields(TrainJob)})

    from fomm_cli.training.loop import train

    result = train(job)
    state = "finished" if result.finished else "stopped"
    print_result(
        options, as_json(result), f"{result.path}: {state} after step {result.steps}; use it with --checkpoint"
    )
