"""`fomm study`."""

from __future__ import annotations

from fomm_cli.commands.shared import Commands


def add_to(commands: Commands) -> None:
    """Add the command."""
