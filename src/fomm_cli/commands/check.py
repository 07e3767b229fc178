"""`fomm check`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fomm_cli.commands.shared import Commands, add_command, add_face_options, as_json, print_result
from fomm_cli.jobs import CheckJob

if TYPE_CHECKING:
    from fomm_cli.faces.check import CheckResult
    from fomm_cli.faces.quality import Finding

EXIT_POOR = 3


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "check", "Tell how well a picture will animate, and what to change.", _run)
    parser.add_argument("-s", "--source_image", type=Path, required=True, metavar="PICTURE", help="the portrait")
    parser.add_argument("-d", "--driving_video", type=Path, metavar="VIDEO", help="the video to animate it with")
    parser.add_argument("--fit", choices=("stretch", "crop", "pad"), default="stretch", help="for pictures not square")
    add_face_options(parser)


def _run(options: argparse.Namespace) -> int:
    job = CheckJob(
        options.source_image, options.driving_video, options.fit, options.face, options.face_at, options.face_backend
    )

    from fomm_cli.faces.check import check

    result = check(job)
    print_result(options, as_json(result), _report(result))
    return EXIT_POOR if result.verdict == "poor" else 0


def _report(result: CheckResult) -> str:
    lines = ["source picture:", *map(_line, result.source)]
    if result.driving:
        lines += ["driving video:", *map(_line, result.driving)]
    return "\n".join([*lines, f"in all: {result.verdict}"])


def _line(finding: Finding) -> str:
    advice = f" -> {finding.flag}" if finding.flag else ""
    return f"  {finding.verdict:<5} {finding.topic + ':':<12} {finding.text}{advice}"
