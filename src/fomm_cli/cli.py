"""The command line: options to a job, results to lines, errors to exit codes.

Heavy imports happen inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from fomm_cli import __version__
from fomm_cli.errors import FommError, InputError
from fomm_cli.jobs import AnimateJob, ConvertJob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fomm_cli.pipeline.animate import AnimateResult, Progress

logger = logging.getLogger("fomm_cli")

EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

EPILOG = """\
examples:
  fomm animate                                        animate the sample in the package
  fomm animate -s me.jpg -d talking.mp4 --audio       with the small model in the package
  fomm animate --config vox-256 --checkpoint vox-cpk.pth.tar --source_image me.jpg
               --driving_video talking.mp4 --relative --adapt_scale
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    arguments = _with_underscores(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    signal.signal(signal.SIGTERM, _terminate)
    try:
        options = _parser().parse_args(arguments)
        _set_up_messages(quiet=options.quiet, debug=debug)
        options.run(options)
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was written", EXIT_INTERRUPTED, debug=debug)
    except FommError as error:
        return _fail(str(error), error.exit_code, debug=debug)
    except Exception as error:  # noqa: BLE001 - the one boundary
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return _fail(f"unexpected {text}. Please report it with the output of --debug", 1, debug=debug)
    return 0


def _fail(message: str, code: int, *, debug: bool) -> int:
    if debug:
        logger.exception(message)
    else:
        sys.stderr.write(f"fomm: error: {message}\n")
    return code


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Leave through every `finally`, so that no half-written file stays."""
    raise SystemExit(EXIT_TERMINATED)


def _with_underscores(arguments: Sequence[str]) -> list[str]:
    """Options spelled with dashes, as the original spells them: ``--source-image=a-b`` to ``--source_image=a-b``."""
    changed = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name.startswith("--"):
            name = "--" + name[2:].replace("-", "_")
        changed.append(name + equals + value)
    return changed


class _Parser(argparse.ArgumentParser):
    """Reports wrong use in one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message, f"See {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="fomm",
        description="Animate a portrait with the motion of a video (First Order Motion Model).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"fomm {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_animate(commands)
    _add_convert(commands)
    _add_info(commands)
    return parser


def _command(
    commands: argparse._SubParsersAction[Any], name: str, text: str, run: Callable[[argparse.Namespace], None]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    parser.set_defaults(run=run)
    common = parser.add_argument_group("messages")
    common.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    common.add_argument("--json", action="store_true", help="print the result as JSON")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _add_animate(commands: argparse._SubParsersAction[Any]) -> None:
    parser = _command(commands, "animate", "Animate a picture with the motion of a video.", _animate)
    files = parser.add_argument_group("files (without source and driving: a sample in the package)")
    files.add_argument("-s", "--source_image", type=Path, metavar="PICTURE", help="the portrait to animate")
    files.add_argument("-d", "--driving_video", type=Path, metavar="VIDEO", help="a video, folder of frames or picture")
    files.add_argument(
        "-o", "--result_video", type=Path, metavar="FILE",
        help=".mp4, .webm, .mov, .gif, or a folder or name_%%05d.png for lossless frames (default: result.mp4)",
    )  # fmt: skip
    files.add_argument("--checkpoint", type=Path, help="weights, .pth.tar or .safetensors (default: the small model)")
    files.add_argument("--config", help="a bundled config such as vox-256, or a YAML file")

    motion = parser.add_argument_group("motion")
    _add_switch(motion, "relative", "transfer the motion since the initial frame (default), or the pose itself")
    motion.add_argument("--absolute", dest="relative", action="store_false", help="the same as --no-relative")
    _add_switch(motion, "adapt_scale", "scale the motion to the size of the source's face (default), or do not")
    motion.add_argument("--find_best_frame", action="store_true", help="start from the frame most like the source")
    motion.add_argument("--best_frame", type=int, metavar="N", help="start from this driving frame, counted from 0")

    cut = parser.add_argument_group("cut and size")
    cut.add_argument("--start", type=float, default=0.0, metavar="SECONDS", help="begin here in the driving video")
    cut.add_argument("--end", type=float, metavar="SECONDS", help="stop here")
    cut.add_argument("--max_frames", type=int, metavar="N", help="stop after N frames")
    cut.add_argument("--fit", choices=("stretch", "crop", "pad"), default="stretch", help="for pictures not square")
    cut.add_argument("--fps", type=_fraction, help="frames per second of a folder of frames (default: 25)")

    output = parser.add_argument_group("output")
    output.add_argument("--audio", action="store_true", help="carry over the sound of the driving video")
    output.add_argument("--crf", type=int, metavar="N", help="quality of the encoding: 0 is best, 51 worst")
    output.add_argument(
        "--visualize", action="store_true", help="also write source, driving and result with key points"
    )

    engine = parser.add_argument_group("engine")
    engine.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    engine.add_argument("--cpu", dest="device", action="store_const", const="cpu", help="the same as --device cpu")
    engine.add_argument(
        "--align_corners", type=_boolean, default=True, metavar="{true,false}",
        help="true (default) samples as the weights were trained, false as the original does on today's PyTorch",
    )  # fmt: skip


def _add_switch(group: argparse._ArgumentGroup, name: str, text: str) -> None:
    group.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=True, help=text)
    group.add_argument(f"--no_{name}", dest=name, action="store_false", help=argparse.SUPPRESS)


def _fraction(text: str) -> Fraction:
    return Fraction(text)


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _add_convert(commands: argparse._SubParsersAction[Any]) -> None:
    parser = _command(commands, "convert", "Write a small, safe file from a published checkpoint.", _convert)
    parser.add_argument("checkpoint", type=Path, help="the checkpoint to read")
    parser.add_argument("target", type=Path, help="the .safetensors file to write")
    parser.add_argument("--half", action="store_true", help="store half precision, in half the size")
    parser.add_argument("--config", help="the config of the weights, kept inside (default: vox-256)")


def _add_info(commands: argparse._SubParsersAction[Any]) -> None:
    _command(commands, "info", "Print versions, devices and what is missing, for bug reports.", _info)


def _set_up_messages(*, quiet: bool, debug: bool) -> None:
    """Send the package's log to stderr, a line each, and nobody else's."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LineFormatter())
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.ERROR if quiet else logging.INFO)
    if not debug:
        warnings.simplefilter("ignore")


class _LineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"fomm: {level}{' '.join(record.getMessage().split())}{trace}"


def _animate(options: argparse.Namespace) -> None:
    from fomm_cli.models.bundled import sample

    if (options.source_image is None) != (options.driving_video is None):
        missing = "--driving_video" if options.driving_video is None else "--source_image"
        raise InputError(f"{missing} is missing", "Give both, or neither for the sample in the package")
    if options.source_image is None:
        options.source_image, options.driving_video = sample()
        logger.info("animating the sample in the package, since no --source_image and --driving_video were given")
    job = AnimateJob(**{field.name: getattr(options, field.name) for field in fields(AnimateJob)})

    from fomm_cli.pipeline.animate import animate

    with _progress_bar(shown=not options.quiet) as progress:
        result = animate(job, progress)
    _print(options, _as_json(result), _last_line(result))


def _last_line(result: AnimateResult) -> str:
    speed = result.frames / result.seconds
    beside = f", key points in {result.visualization}" if result.visualization else ""
    return (
        f"{result.path}: {result.frames} frames in {result.seconds:.1f} s ({speed:.1f} frames/s) "
        f"on {result.device}{beside}"
    )


def _convert(options: argparse.Namespace) -> None:
    job = ConvertJob(options.checkpoint, options.target, options.config, options.half)

    from fomm_cli.pipeline.convert import convert

    result = convert(job)
    sizes = f"{result.bytes_before / 1e6:.0f} MB -> {result.bytes_after / 1e6:.0f} MB"
    _print(options, _as_json(result), f"{result.path}: {sizes}; use it with --checkpoint {result.path}, no --config")


def _info(options: argparse.Namespace) -> None:
    from fomm_cli.pipeline.info import describe

    facts = describe()
    _print(options, facts, "\n".join(f"{name + ':':<28}{value}" for name, value in facts.items()))


def _print(options: argparse.Namespace, data: dict[str, Any], text: str) -> None:
    if options.json:
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
    elif not options.quiet:
        sys.stdout.write(text + "\n")


def _as_json(result: Any) -> dict[str, Any]:
    """Plain values: paths and exact fractions become text."""
    return {key: str(value) if isinstance(value, (Path, Fraction)) else value for key, value in asdict(result).items()}


@contextmanager
def _progress_bar(*, shown: bool) -> Iterator[Progress]:
    """A bar for each stage on stderr, where that is a terminal."""
    from tqdm import tqdm

    bars: dict[str, tqdm[NoReturn]] = {}

    def progress(stage: str, done: int, total: int | None) -> None:
        if stage not in bars:
            # None: tqdm stays silent unless stderr is a terminal
            bars[stage] = tqdm(desc=stage, total=total, unit="frame", disable=None if shown else True)
        bars[stage].update(done - bars[stage].n)

    try:
        yield progress
    finally:
        for bar in bars.values():
            bar.close()
