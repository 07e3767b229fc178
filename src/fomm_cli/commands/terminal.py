"""Write to the terminal: one progress bar at a time, messages above it, results on stdout."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from fomm_cli.errors import one_line, printable

if TYPE_CHECKING:
    from tqdm import tqdm

    from fomm_cli.progress import Progress

_RED, _YELLOW, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[0m"
_BYTES = "B"


class Bars:
    """Show one progress bar for each stage on stderr; a stage closes the bar of the one before.

    Args:
        shown: whether bars are drawn at all; without a terminal they never are.
        unit: what a stage counts, such as frame.
        units: other units for some stages, by name.
    """

    def __init__(self, *, shown: bool, unit: str, units: Mapping[str, str]) -> None:
        self._shown, self._unit, self._units = shown, unit, units
        self._stage = ""
        self._bar: tqdm[NoReturn] | None = None

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` steps of a stage are done."""
        if self._bar is None or stage != self._stage:
            self.close()
            self._bar, self._stage = self._open(stage, total), stage
        self._bar.total = total  # a batch learns it on the way
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Leave the last state of the bar in the terminal."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _open(self, stage: str, total: int | None) -> tqdm[NoReturn]:
        from tqdm import tqdm

        unit = _BYTES if stage.startswith("downloading") else self._units.get(stage, self._unit)
        # disable=None: tqdm stays silent unless stderr is a terminal
        disable = None if self._shown else True
        return tqdm(desc=stage, total=total, unit=unit, unit_scale=unit == _BYTES, disable=disable)


@contextmanager
def progress_bar(*, shown: bool, unit: str = "frame", units: Mapping[str, str] | None = None) -> Iterator[Progress]:
    """Yield a function that shows progress as bars; see `Bars`."""
    bars = Bars(shown=shown, unit=unit, units=units or {})
    try:
        yield bars
    finally:
        bars.close()


class MessageHandler(logging.Handler):
    """Write log records to stderr, a line each, above a progress bar; each text once per process."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()
        self.warnings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        text = one_line(record.getMessage())
        if record.levelno == logging.WARNING:
            if text in self._said:
                return
            self.warnings.append(text)
        self._said.add(text)
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        trace = ""
        if record.exc_info:
            trace = "\n" + logging.Formatter().formatException(record.exc_info)
        write_message(f"fomm: {coloured(level)}{text}{trace}")


def coloured(level: str) -> str:
    """Return the name of a level in its colour, where stderr is a terminal and NO_COLOR is not set."""
    if not level or "NO_COLOR" in os.environ or sys.stderr is None or not sys.stderr.isatty():
        return level
    return f"{_YELLOW if level.startswith('warning') else _RED}{level}{_PLAIN}"


def write_message(line: str) -> None:
    """Write a line to stderr, above the progress bar if there is one."""
    if "tqdm" not in sys.modules or sys.stderr is None:
        write_line(sys.stderr, line)
        return
    from tqdm import tqdm

    with suppress(OSError):
        tqdm.write(line, file=sys.stderr)


def write_line(stream: TextIO | None, line: str) -> None:
    """Write a line to a stream that may be closed or full: the work counts, not who listens.

    A broken stream is replaced, so that Python does not fail on it once more at the end.
    """
    if stream is None:
        return
    try:
        stream.write(line + "\n")
        stream.flush()
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        write_line(stream, line.encode(encoding, "backslashreplace").decode(encoding))
    except (OSError, ValueError):
        with suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device, not a file
            os.dup2(nowhere.fileno(), stream.fileno())


def print_text(options: Any, text: str) -> None:
    """Write to stdout, or nowhere with --quiet."""
    if not options.quiet:
        write_line(sys.stdout, printable(text))
