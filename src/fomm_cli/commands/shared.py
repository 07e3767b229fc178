"""Add commands with the usual flags to the parser, and print their results."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from fomm_cli.commands.terminal import MessageHandler, print_text, write_line
from fomm_cli.options import add_options

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # argparse gives it no public name


def add_command(
    commands: Commands,
    name: str,
    text: str,
    run: Callable[[argparse.Namespace], int | None],
    job: type[DataclassInstance] | None = None,
    *,
    json_flag: bool = True,
    leave_out: tuple[str, ...] = (),
) -> argparse.ArgumentParser:
    """Add a command with the options of a job and the flags that all have.

    Args:
        commands: the parser's commands.
        name: of the command.
        text: one sentence for `--help`.
        run: gets the parsed options and may return an exit code.
        job: the dataclass whose annotated fields become flags.
        json_flag: whether `--json` prints the result as JSON.
        leave_out: fields of the job that are no flags.
    """
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    parser.set_defaults(run=run, parser=parser)
    if job is not None:
        add_options(parser, job, leave_out=leave_out)
    common = parser.add_argument_group("messages")
    common.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    if json_flag:
        common.add_argument("--json", action="store_true", help="print the result as JSON")
    common.add_argument("--debug", action="store_true", help="show details and the traceback of an error")
    return parser


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Add the flag --dry_run."""
    parser.add_argument("--dry_run", action="store_true", help="check the files and say what would be done")


def print_result(options: argparse.Namespace, data: dict[str, Any], text: str) -> None:
    """Write to stdout: `data` with --json, else `text`, nothing with --quiet."""
    options.printed = True
    if options.json:
        write_line(sys.stdout, json.dumps({**data, "warnings": _warnings()}, indent=2))
    else:
        print_text(options, text)


def _warnings() -> list[str]:
    handlers = logging.getLogger("fomm_cli").handlers
    return [text for handler in handlers if isinstance(handler, MessageHandler) for text in handler.warnings]


def as_json(result: Any) -> dict[str, Any]:
    """Return the fields of a record as plain values."""
    return plain(asdict(result))


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values as JSON has them: paths become text, exact fractions numbers."""
    return {key: _plain(value) for key, value in values.items()}


def _plain(value: object) -> object:
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    return str(value) if isinstance(value, Path) else value


def plural(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 frame``, ``2 frames``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
