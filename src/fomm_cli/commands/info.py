"""`fomm info`."""

from __future__ import annotations

import argparse

from fomm_cli.commands.shared import Commands, add_command, print_result


def add_to(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "info", "Print versions, devices and what is missing, for bug reports.", _run)


def _run(options: argparse.Namespace) -> None:
    from fomm_cli.commands.facts import describe

    facts = describe()
    print_result(options, facts, "\n".join(f"{name + ':':<28}{value}" for name, value in facts.items()))
