"""What the commands share: a parser with the usual flags, switches, results, progress."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

if TYPE_CHECKING:
    from fomm_cli.animation.animate import Progress

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # argparse gives it no public name


def add_command(
    commands: Commands,
    name: str,
    text: str,
    run: Callable[[argparse.Namespace], int | None],
    *,
    json_flag: bool = True,
) -> argparse.ArgumentParser:
    """A command with the flags that all have; `run` gets its options and may return an exit code."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    parser.set_defaults(run=run)
    common = parser.add_argument_group("messages")
    common.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    if json_flag:
        common.add_argument("--json", action="store_true", help="print the result as JSON")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def add_switch(group: argparse._ArgumentGroup, name: str, text: str) -> None:
    """A flag that is on, with its `--no-` twin."""
    group.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=True, help=text)
    group.add_argument(f"--no_{name}", dest=name, action="store_false", help=argparse.SUPPRESS)


def add_face_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """The flags that say which face, and what finds it."""
    group = parser.add_argument_group("faces")
    group.add_argument("--face", type=int, metavar="N", help="which face of the source: 1 is the largest (default)")
    group.add_argument("--face_at", type=_point, metavar="X,Y", help="the face of the source at this pixel")
    add_backend_option(group)
    return group


def add_backend_option(group: argparse._ActionsContainer) -> None:
    """The flag that says what finds faces."""
    group.add_argument(
        "--face_backend", choices=("auto", "mediapipe", "face-alignment", "builtin"), default="auto",
        help="what finds faces (default: the first of them that works)",
    )  # fmt: skip


def add_device_options(group: argparse._ActionsContainer) -> None:
    """The flags that say what to compute on."""
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    group.add_argument("--cpu", dest="device", action="store_const", const="cpu", help="the same as --device cpu")


def add_align_corners(group: argparse._ActionsContainer) -> None:
    """The flag that says how pictures are sampled."""
    group.add_argument(
        "--align_corners", type=_boolean, default=True, metavar="{true,false}",
        help="true (default) samples as the weights were trained, false as the original does on today's PyTorch",
    )  # fmt: skip


def _boolean(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def _point(text: str) -> tuple[float, float]:
    x, y = text.split(",")
    return float(x), float(y)


def print_result(options: argparse.Namespace, data: dict[str, Any], text: str) -> None:
    """To stdout: `data` with --json, else `text`, nothing with --quiet."""
    if options.json:
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
    else:
        print_text(options, text)


def print_text(options: argparse.Namespace, text: str) -> None:
    """To stdout, or nowhere with --quiet."""
    if not options.quiet:
        sys.stdout.write(text + "\n")


def as_json(result: Any) -> dict[str, Any]:
    """The fields of a record as plain values: paths and exact fractions become text."""
    return plain(asdict(result))


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """The values as JSON has them."""
    return {key: str(value) if isinstance(value, (Path, Fraction)) else value for key, value in values.items()}


@contextmanager
def progress_bar(*, shown: bool, unit: str = "frame") -> Iterator[Progress]:
    """A bar for each stage on stderr, where that is a terminal."""
    from tqdm import tqdm

    bars: dict[str, tqdm[NoReturn]] = {}

    def progress(stage: str, done: int, total: int | None) -> None:
        if stage not in bars:
            # None: tqdm stays silent unless stderr is a terminal
            bars[stage] = tqdm(
                desc=stage, total=total, unit=unit, unit_scale=unit == "B", disable=None if shown else True
            )
        bars[stage].total = total  # a batch learns it on the way
        bars[stage].update(done - bars[stage].n)

    try:
        yield progress
    finally:
        for bar in bars.values():
            bar.close()


def fetched_checkpoint(options: argparse.Namespace) -> tuple[Path, str | None]:
    """The file of `--checkpoint`, downloaded under a progress bar if it is a name, and the config to use."""
    from fomm_cli.models.download import resolve_checkpoint

    with progress_bar(shown=not options.quiet, unit="B") as progress:
        path, config = resolve_checkpoint(options.checkpoint, progress)
    return path, options.config or config
