"""`fomm check`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fomm_cli.commands.shared import Commands, add_command, as_json, print_result
from fomm_cli.faces.options import CheckJob
from fomm_cli.options import from_namespace

if TYPE_CHECKING:
    from fomm_cli.faces.check import CheckResult
    from fomm_cli.faces.quality import Finding

EXIT_POOR = 3


def add_to(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "check", "Tell how well an image will animate, and what to change.", _run, CheckJob)


def _run(options: argparse.Namespace) -> int:
    job = from_namespace(CheckJob, options)

    from fomm_cli.faces.check import check

    result = check(job)
    print_result(options, as_json(result), _report(result))
    return EXIT_POOR if result.verdict == "poor" else 0


def _report(result: CheckResult) -> str:
    lines = ["source image:", *map(_line, result.source)]
    if result.driving:
        lines += ["driving video:", *map(_line, result.driving)]
    return "\n".join([*lines, f"in all: {result.verdict}"])


def _line(finding: Finding) -> str:
    advice = f" -> {finding.flag}" if finding.flag else ""
    return f"  {finding.verdict:<5} {finding.topic + ':':<12} {finding.text}{advice}"
