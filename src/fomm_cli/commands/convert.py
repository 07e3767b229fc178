"""`fomm convert`."""

from __future__ import annotations

import argparse

from fomm_cli.commands.shared import Commands, add_command, as_json, print_result
from fomm_cli.models.options import ConvertJob
from fomm_cli.options import from_namespace


def add_to(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "convert", "Write a small, safe file from a published checkpoint.", _run, ConvertJob)


def _run(options: argparse.Namespace) -> None:
    job = from_namespace(ConvertJob, options)

    from fomm_cli.models.convert import convert

    result = convert(job)
    sizes = f"{result.bytes_before / 1e6:.0f} MB -> {result.bytes_after / 1e6:.0f} MB"
    print_result(
        options, as_json(result), f"{result.path}: {sizes}; use it with --checkpoint {result.path}, no --config"
    )
