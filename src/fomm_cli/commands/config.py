"""`fomm config`."""

from __future__ import annotations

import argparse
import sys

from fomm_cli.commands.shared import Commands, add_command
from fomm_cli.commands.terminal import write_line


def add_to(commands: Commands) -> None:
    """Add the command."""
    text = "Print a bundled config, to edit a copy: fomm config vox-256 > my.yaml"
    parser = add_command(commands, "config", text, _run, json_flag=False)
    parser.add_argument("name", nargs="?", help="such as vox-256 (default: list the names)")


def _run(options: argparse.Namespace) -> None:
    from fomm_cli.config.reading import config_names, config_text

    text = "\n".join(config_names()) if options.name is None else config_text(options.name)
    write_line(sys.stdout, text.rstrip("\n"))
