"""`fomm score`."""

from __future__ import annotations

import argparse
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fomm_cli.commands.shared import Commands, add_command, fetched_checkpoint, print_result, progress_bar
from fomm_cli.jobs import ScoreJob

if TYPE_CHECKING:
    from fomm_cli.scoring.rubric import Scores


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "score", "Score how well a result moves like its driving video, 0 to 10.", _run)
    parser.add_argument("result", type=Path, metavar="RESULT", help="the animated video")
    parser.add_argument(
        "-d", "--driving_video", type=Path, required=True, metavar="VIDEO", help="what it was animated with"
    )
    parser.add_argument(
        "-s", "--source_image", type=Path, metavar="PICTURE", help="what it was made from (default: its first frame)"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the curves and scores of every frame")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves over time: .png, .svg or .pdf")
    model = parser.add_argument_group("model (asked where no face is found)")
    model.add_argument("--checkpoint", type=Path, help="a file of weights, or a name such as vox")
    model.add_argument("--config", help="a bundled config such as vox-256, or a YAML file")
    model.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")


def _run(options: argparse.Namespace) -> None:
    job = ScoreJob(**{field.name: getattr(options, field.name) for field in fields(ScoreJob)})

    from fomm_cli.scoring.export import draw_curves, summary, write_csv
    from fomm_cli.scoring.figure import require_matplotlib
    from fomm_cli.scoring.scorer import score

    if job.plot is not None:
        require_matplotlib()
    if job.checkpoint is not None:
        checkpoint, config = fetched_checkpoint(options)
        job = replace(job, checkpoint=checkpoint, config=config)
    with progress_bar(shown=not options.quiet) as progress:
        scored = score(job, progress)
    if job.csv is not None:
        write_csv(job.csv, scored)
    if job.plot is not None:
        draw_curves(job.plot, scored)
    lines = [summary(scored), *(f"  {note}" for note in scored.scores.notes)]
    print_result(options, _plain(scored.scores), "\n".join(lines))


def _plain(scores: Scores) -> dict[str, Any]:
    values = asdict(scores)
    del values["per_frame"]
    return values
