"""`fomm download`."""

from __future__ import annotations

import argparse
from typing import Any

from fomm_cli.commands.shared import Commands, add_command, as_json, print_result
from fomm_cli.commands.terminal import progress_bar
from fomm_cli.errors import InputError


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "download", "Get a published checkpoint, checked by its SHA-256.", _run)
    parser.add_argument("name", nargs="?", help="such as vox; see --list")
    parser.add_argument("--list", action="store_true", help="print what there is, and what is here already")


def _run(options: argparse.Namespace) -> None:
    if options.list:
        entries = _entries()
        print_result(options, {"checkpoints": entries}, "\n".join(_line(entry) for entry in entries))
        return
    if options.name is None:
        raise InputError("no checkpoint is named", "For example: fomm download vox; --list shows all")

    from fomm_cli.models.download import download

    with progress_bar(shown=not options.quiet) as progress:
        result = download(options.name, progress)
    state = "downloaded" if result.fetched else "already here"
    print_result(options, as_json(result), f"{result.path}: {state}; use it with --checkpoint {result.name}")


def _entries() -> list[dict[str, Any]]:
    from fomm_cli.models.catalogue import CATALOGUE

    return [
        {
            "name": entry.name,
            "config": entry.config,
            "size": entry.size,
            "sha256": entry.sha256,
            "path": None if (path := entry.local()) is None else str(path),
            "addresses": list(entry.addresses),
        }
        for entry in CATALOGUE.values()
    ]


def _line(entry: dict[str, Any]) -> str:
    size = f"{entry['size'] / 1e6:.0f} MB" if entry["size"] else "about 740 MB"
    known = "SHA-256 known" if entry["sha256"] else "SHA-256 unknown"
    return f"{entry['name']:<11} {entry['config']:<15} {size:<13} {known:<16} {entry['path'] or 'not here'}"
