"""The command line: options to a job, results to lines, errors to exit codes.

Heavy imports happen inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from fomm_cli.commands import (
    animate,
    batch,
    bench,
    check,
    convert,
    crop,
    download,
    evaluate,
    export,
    info,
    motion,
    reconstruct,
    score,
    study,
    train,
)
from fomm_cli.errors import FommError, InputError
from fomm_cli.version import __version__

logger = logging.getLogger("fomm_cli")

COMMANDS = (
    animate,
    batch,
    bench,
    check,
    convert,
    crop,
    download,
    evaluate,
    export,
    info,
    motion,
    reconstruct,
    score,
    study,
    train,
)

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
        code: int | None = options.run(options)
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was written", EXIT_INTERRUPTED, debug=debug)
    except FommError as error:
        return _fail(str(error), error.exit_code, debug=debug)
    except Exception as error:  # noqa: BLE001 - the one boundary
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return _fail(f"unexpected {text}. Please report it with the output of --debug", 1, debug=debug)
    return code or 0


def _fail(message: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
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
    for command in COMMANDS:
        command.add_to(commands)
    return parser


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
