"""`fomm evaluate`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from fomm_cli.commands.shared import Commands, add_command, as_json, print_result
from fomm_cli.commands.terminal import progress_bar
from fomm_cli.evaluation.options import EvaluateJob
from fomm_cli.options import from_namespace

if TYPE_CHECKING:
    from fomm_cli.evaluation.metrics import Metrics


def add_to(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "evaluate", "Measure how well a model rebuilds test videos.", _run, EvaluateJob)


def _run(options: argparse.Namespace) -> None:
    job = from_namespace(EvaluateJob, options)

    from fomm_cli.evaluation.reconstruct import evaluate

    with progress_bar(shown=not options.quiet, unit="video") as progress:
        result = evaluate(job, progress)
    print_result(options, as_json(result), _table(result.scores))


def _table(scores: dict[str, Metrics]) -> str:
    """Format a table with a line for each model and a column for each metric."""
    rows = {model: asdict(own) for model, own in scores.items()}
    columns = [name for name in next(iter(rows.values())) if any(row[name] is not None for row in rows.values())]
    lines = [" " * 20 + "".join(f"{name:>10}" for name in columns)]
    lines += [f"{model:<20}" + "".join(_cell(row[name]) for name in columns) for model, row in rows.items()]
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return f"{'-':>10}" if value is None else f"{value:>10.4f}"
