"""`fomm export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from fomm_cli.commands.shared import Commands, add_align_corners, add_command, as_json, fetched_checkpoint, print_result
from fomm_cli.jobs import ExportJob


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "export", "Write ONNX files, to run a model in other programs.", _run)
    parser.add_argument(
        "-o", "--result_dir", type=Path, default=Path("onnx"), help="folder to write to (default: onnx)"
    )
    parser.add_argument(
        "--checkpoint", type=Path, help="a file of weights, or a name such as vox (default: the small model)"
    )
    parser.add_argument("--config", help="a bundled config such as vox-256, or a YAML file")
    add_align_corners(parser)


def _run(options: argparse.Namespace) -> None:
    if options.checkpoint is not None:
        options.checkpoint, options.config = fetched_checkpoint(options)
    job = ExportJob(options.result_dir, options.checkpoint, options.config, options.align_corners)

    from fomm_cli.engines.export import export

    result = export(job)
    text = ", ".join(result.paths.values()) + f": at most {result.max_difference:.1g} from PyTorch"
    print_result(options, as_json(result), text)
