"""`fomm study`."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fomm_cli.commands.shared import Commands, add_command, as_json, fetched_checkpoint, print_result, progress_bar
from fomm_cli.errors import FommError
from fomm_cli.jobs import StudyJob

if TYPE_CHECKING:
    from fomm_cli.study.run import StudyResult


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "study", "Measure which pictures animate well: series of framings, scored.", _run)
    pictures = parser.add_argument_group("pictures")
    pictures.add_argument(
        "-s", "--source_image", dest="source_images", nargs="+", action="extend", type=Path, default=[],
        metavar="PICTURE", help="portraits to make the series of sizes and places from",
    )  # fmt: skip
    pictures.add_argument("-d", "--driving_video", type=Path, metavar="VIDEO", help="what moves them")
    pictures.add_argument("-o", "--out", type=Path, default=Path("study"), metavar="FOLDER", help="default: study")
    pictures.add_argument(
        "--kind", dest="kinds", action="append", default=[], metavar="LABEL=PATH",
        help="further pictures: a picture or folder with its label, a folder of such folders, or a CSV (kind,picture)",
    )  # fmt: skip
    pictures.add_argument(
        "--sizes", nargs="+", action="extend", type=_size, metavar="NAME=X", help="of the face, in driving faces"
    )
    pictures.add_argument(
        "--places", nargs="+", action="extend", type=_place, metavar="NAME=X,Y",
        help="of the middle of the face, as fractions of the frame",
    )  # fmt: skip
    models = parser.add_argument_group("models")
    models.add_argument(
        "--checkpoint", dest="checkpoints", action="append", default=[], type=Path, metavar="FILE",
        help="a file of weights, or a name such as vox; repeat it to compare models (default: the small model)",
    )  # fmt: skip
    models.add_argument(
        "--config", dest="configs", action="append", default=[], metavar="NAME", help="of each checkpoint, or of all"
    )
    models.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    models.add_argument("--workers", type=int, default=1, metavar="N", help="processes that animate (default: one)")
    models.add_argument("--threads", type=int, metavar="N", help="processor threads for all of them (default: all)")
    parser.add_argument("--max_frames", type=int, metavar="N", help="stop after N frames of the driving video")
    parser.add_argument(
        "--ratings",
        type=Path,
        metavar="CSV",
        help="points that people gave in study.html; alone: of the study in --out",
    )


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.rpartition("=")
    return (name if equals else value), value


def _size(text: str) -> tuple[str, float]:
    name, value = _named(text)
    return name, float(value)


def _place(text: str) -> tuple[str, tuple[float, float]]:
    name, value = _named(text)
    x, y = value.split(",")
    return name, (float(x), float(y))


def _run(options: argparse.Namespace) -> None:
    values: dict[str, Any] = {field.name: _frozen(getattr(options, field.name)) for field in fields(StudyJob)}
    job = StudyJob(**values)

    from fomm_cli.study.run import study

    if job.checkpoints:
        job = _fetched(job, options)

    with progress_bar(shown=not options.quiet) as progress:
        result = study(job, progress)
    print_result(options, as_json(result), _report(result))
    if result.failed and job.driving_video is not None:
        name, why = next(iter(result.failed.items()))
        raise FommError(
            f"{len(result.failed)} results are missing, such as {name}: {why}", "The same command tries them again"
        )


def _fetched(job: StudyJob, options: argparse.Namespace) -> StudyJob:
    """The job with the files and configs of its checkpoints, downloaded where they are names."""
    configs = job.configs * len(job.checkpoints) if len(job.configs) == 1 else job.configs
    files = []
    for checkpoint, config in zip_longest(job.checkpoints, configs):
        asked = argparse.Namespace(checkpoint=checkpoint, config=config, quiet=options.quiet)
        files.append(fetched_checkpoint(asked))
    paths, found = zip(*files, strict=True)
    return replace(job, checkpoints=paths, configs=found)


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _report(result: StudyResult) -> str:
    return "\n".join([*result.findings, f"{result.page}: {result.results} results"])
