"""`fomm study`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fomm_cli.commands.shared import Commands, add_command, as_json, plural, print_result
from fomm_cli.commands.terminal import progress_bar
from fomm_cli.errors import FommError
from fomm_cli.options import from_namespace
from fomm_cli.study.options import StudyJob

if TYPE_CHECKING:
    from fomm_cli.study.run import StudyResult


def add_to(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "study", "Measure which images animate well: series of framings, scored.", _run, StudyJob)


def _run(options: argparse.Namespace) -> None:
    job = from_namespace(StudyJob, options)

    from fomm_cli.study.run import study

    with progress_bar(shown=not options.quiet, units={"scoring": "result"}) as progress:
        result = study(job, progress)
    print_result(options, as_json(result), _report(result))
    if result.failed and job.driving_videos:
        name, why = next(iter(result.failed.items()))
        raise FommError(
            f"{len(result.failed)} results are missing, such as {name}: {why}", "The same command tries them again"
        )


def _report(result: StudyResult) -> str:
    return "\n".join([*result.findings, f"{result.page}: {plural(result.results, 'result')}"])
