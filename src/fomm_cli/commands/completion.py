"""`fomm completion`."""

from __future__ import annotations

import argparse
import sys

from fomm_cli.commands.shared import Commands, add_command
from fomm_cli.commands.terminal import write_line


def add_to(commands: Commands) -> None:
    """Add the command."""
    text = 'Print a completion script for a shell, such as: eval "$(fomm completion bash)"'
    parser = add_command(commands, "completion", text, _run, json_flag=False)
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell to complete in")


def _run(options: argparse.Namespace) -> None:
    import shtab

    write_line(sys.stdout, shtab.complete(options.root, options.shell))
