"""`fomm export`."""

from __future__ import annotations

import argparse

from fomm_cli.commands.shared import Commands, add_command, as_json, print_result
from fomm_cli.commands.terminal import progress_bar
from fomm_cli.engines.options import ExportJob
from fomm_cli.options import from_namespace


def add_to(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "export", "Write ONNX files, to run a model in other programs.", _run, ExportJob)


def _run(options: argparse.Namespace) -> None:
    job = from_namespace(ExportJob, options)

    from fomm_cli.engines.export import export

    with progress_bar(shown=not options.quiet) as progress:
        result = export(job, progress)
    text = ", ".join(result.paths.values()) + f": at most {result.max_difference:.1g} from PyTorch"
    print_result(options, as_json(result), text)
