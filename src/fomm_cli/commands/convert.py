"""`fomm convert`."""

from __future__ import annotations

import argparse
from pathlib import Path

from fomm_cli.commands.shared import Commands, add_command, as_json, print_result
from fomm_cli.jobs import ConvertJob


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "convert", "Write a small, safe file from a published checkpoint.", _run)
    parser.add_argument("checkpoint", type=Path, help="the checkpoint to read")
    parser.add_argument("target", type=Path, help="the .safetensors file to write")
    parser.add_argument("--half", action="store_true", help="store half precision, in half the size")
    parser.add_argument("--training", action="store_true", help="keep the discriminator, to go on training from it")
    parser.add_argument("--config", help="the config of the weights, kept inside (default: vox-256)")


def _run(options: argparse.Namespace) -> None:
    job = ConvertJob(options.checkpoint, options.target, options.config, options.half, options.training)

    from fomm_cli.models.convert import convert

    result = convert(job)
    sizes = f"{result.bytes_before / 1e6:.0f} MB -> {result.bytes_after / 1e6:.0f} MB"
    print_result(
        options, as_json(result), f"{result.path}: {sizes}; use it with --checkpoint {result.path}, no --config"
    )
