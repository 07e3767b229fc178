"""`fomm score`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fomm_cli.commands.shared import Commands, add_command, print_result
from fomm_cli.commands.terminal import progress_bar
from fomm_cli.options import from_namespace
from fomm_cli.scoring.options import ScoreJob

if TYPE_CHECKING:
    from fomm_cli.scoring.rubric import Scores


def add_to(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "score", "Score how well a result moves like its driving video, 0 to 10.", _run, ScoreJob)


def _run(options: argparse.Namespace) -> None:
    job = from_namespace(ScoreJob, options)

    from fomm_cli.extras import require
    from fomm_cli.scoring.export import draw_curves, summary, write_curves
    from fomm_cli.scoring.scorer import score

    if job.plot is not None:
        require("charts")
    with progress_bar(shown=not options.quiet) as progress:
        report = score(job, progress)
    if job.csv is not None:
        write_curves(job.csv, report)
    if job.plot is not None:
        draw_curves(job.plot, report)
    lines = [summary(report), *(f"  {note}" for note in report.scores.notes)]
    print_result(options, _plain(report.scores), "\n".join(lines))


def _plain(scores: Scores) -> dict[str, Any]:
    values = asdict(scores)
    del values["per_frame"]
    return values
