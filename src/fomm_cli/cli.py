"""Parse the command line, run the command, and turn errors into one line and an exit code.

Heavy imports happen inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import NoReturn

from fomm_cli.commands.terminal import MessageHandler, coloured, write_line
from fomm_cli.errors import FommError, InputError, OutOfMemoryError, did_you_mean, is_out_of_memory, one_line
from fomm_cli.version import __version__

logger = logging.getLogger("fomm_cli")

COMMANDS = {
    name: import_module(f"fomm_cli.commands.{name}")
    for name in (
        *("animate", "batch", "bench", "check", "completion", "config", "convert", "crop", "download", "evaluate"),
        *("export", "info", "live", "motion", "reconstruct", "score", "study", "train", "verify", "web"),
    )
}
"""The module of each command."""

EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

EPILOG = """\
examples:
  fomm animate                                        animate the sample in the package
  fomm animate -s me.jpg -d talking.mp4 --audio       with the small model in the package
  fomm animate --checkpoint vox -s me.jpg -d talking.mp4
                                                      with published weights, downloaded on first use
"""

_MEANT = {
    "--source": "--source_image",
    "--image": "--source_image",
    "--driving": "--driving_video",
    "--video": "--driving_video",
    "--result": "--result_video",
    "--out": "--output",
    "--gpu": "--device",
    "--model": "--checkpoint",
    "--weights": "--checkpoint",
}
"""Flags of similar tools, and what they are called here."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    arguments = _with_underscores(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    # NumPy's own threads keep a processor busy for 20 ms after each product, which the networks could use
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    signal.signal(signal.SIGTERM, _terminate)
    interrupts = _note_interrupts()
    options = argparse.Namespace()
    try:
        options = _parse(arguments)
        if not hasattr(options, "run"):
            write_line(sys.stdout, options.parser.format_help().rstrip())
            return 0
        _set_up_messages(quiet=options.quiet, debug=debug)
        return options.run(options) or 0
    except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001 - the one boundary
        if debug:
            traceback.print_exc()
        # a library that Ctrl-C found in its imports may have made something else of it
        swallowed = interrupts and getattr(error, "exit_code", None) != EXIT_INTERRUPTED
        message, code = _described(KeyboardInterrupt() if swallowed else error)
    write_line(sys.stderr, f"fomm: {coloured('error: ')}{message}")
    if "--json" in arguments and not hasattr(options, "printed"):
        write_line(sys.stdout, json.dumps({"error": message, "exit_code": code}, indent=2))
    return code


def _note_interrupts() -> list[int]:
    """Return a list that Ctrl-C is noted in; a process that is to ignore Ctrl-C still does."""
    noted: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> NoReturn:
        noted.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    return noted


def _described(error: BaseException) -> tuple[str, int]:
    """Return one line about an error, and the exit code."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; nothing was written", EXIT_INTERRUPTED
    ran_out = is_out_of_memory(error.__cause__ if isinstance(error, FommError) else error)
    if isinstance(error, FommError) and (not ran_out or isinstance(error, OutOfMemoryError)):
        return str(error), error.exit_code
    if ran_out:
        return "there is not enough memory. Close other programs, or give less at a time", 1
    return one_line(f"unexpected {type(error).__name__}: {error}. Please report it with the output of --debug"), 1


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Leave through every `finally`, so that no half-written file stays."""
    raise SystemExit(EXIT_TERMINATED)


def _with_underscores(arguments: Sequence[str]) -> list[str]:
    """Replace dashes in option names, as the original has them: ``--source-image=a-b`` to ``--source_image=a-b``."""
    changed = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name.startswith("--"):
            name = "--" + name[2:].replace("-", "_")
        changed.append(name + equals + value)
    return changed


class _Parser(argparse.ArgumentParser):
    """Report wrong use in one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message, f"See {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(
        prog="fomm",
        description="Animate a portrait with the motion of a video (First Order Motion Model).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(parser=parser, root=parser)
    parser.add_argument("--version", action="version", version=f"fomm {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS.values():
        command.add_to(commands)
    return parser


def _parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line; without a command or action the namespace has no `run`.

    Raises:
        InputError: an unknown command or flag; the message names the one that may be meant.
    """
    parser = build_parser()
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:2], "--help"] if arguments[1:] else []
    if arguments and not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        raise InputError(
            f"there is no command {arguments[0]}", f"{did_you_mean(arguments[0], COMMANDS)}See fomm --help"
        )
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        raise _unknown_argument(unknown[0], options.parser)
    return options


def _unknown_argument(argument: str, parser: argparse.ArgumentParser) -> InputError:
    name = argument.partition("=")[0]
    if not name.startswith("-"):
        return InputError(
            f"unexpected argument {argument}", f"Files need a flag, such as -s IMAGE -d VIDEO. See {parser.prog} --help"
        )
    flags = [flag for flag in parser._option_string_actions if flag.startswith("--")]
    meant = _MEANT.get(name)
    hint = f"Did you mean {meant}? " if meant in flags else did_you_mean(name, flags)
    return InputError(f"there is no flag {name}", f"{hint}See {parser.prog} --help")


def _set_up_messages(*, quiet: bool, debug: bool) -> None:
    """Send the package's log to stderr, a line for each message; other packages stay silent."""
    logger.handlers[:] = [MessageHandler()]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if debug else logging.ERROR if quiet else logging.INFO)
    if not debug:
        warnings.simplefilter("ignore")
