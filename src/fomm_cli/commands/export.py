"""`fomm export`."""

from __future__ import annotations

import argparse

from fomm_cli.commands.shared import Commands, add_command, as_json, job_of, print_result
from fomm_cli.engines.options import ExportJob


def add_to(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "export", "Write ONNX files, to run a model in other programs.", _run, ExportJob)


def _run(options: argparse.Namespace) -> None:
    job = job_of(ExportJob, options)

    from fomm_cli.engines.export import export

    result = export(job)
    text = ", ".join(result.paths.values()) + f": at most {result.max_difference:.1g} from PyTorch"
    print_result(options, as_json(result), text)
