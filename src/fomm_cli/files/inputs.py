"""Check that input files exist, are regular, not empty, and small enough for what they should hold."""

from __future__ import annotations

import difflib
import os
import re
import stat
from pathlib import Path

from fomm_cli.errors import InputError, foreign_errors, with_article
from fomm_cli.files.limits import TEXT_BYTES

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")
_NO_REGULAR_FILE = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def check_file(path: Path, wanted: str, most_bytes: int | None = None) -> None:
    """Make sure that ``path`` is a readable regular file with something in it.

    Args:
        path: the file.
        wanted: what it should hold, for the message: "image", "video".
        most_bytes: the largest size that makes sense for it.

    Raises:
        InputError: missing, a folder, a pipe or device, empty, too large or not readable.
    """
    found = check_exists(path)
    if stat.S_ISDIR(found.st_mode):
        raise InputError(f"{path} is a folder, not {with_article(wanted)}", f"Name one {wanted} file in it.")
    if found.st_size == 0:
        raise InputError(f"{path} is empty (0 bytes)", "Download or copy it again.")
    if most_bytes is not None and found.st_size > most_bytes:
        raise InputError(
            f"{path} has {found.st_size / 1e6:.0f} MB, the limit for {with_article(wanted)} is "
            f"{most_bytes / 1e6:.0f} MB",
            "Give another file.",
        )
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "Check its permissions.") from error


def check_exists(path: Path) -> os.stat_result:
    """Make sure that a regular file or a folder is at ``path``, else suggest what is near it.

    Reading a pipe would wait for ever, and a device may have no end.

    Raises:
        InputError: nothing there, a pipe, device or socket, or a folder on the way may not be entered.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _missing(path) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read: {reason}", "Check the name and the permissions.") from error
    if kind := _NO_REGULAR_FILE.get(stat.S_IFMT(found.st_mode)):
        raise InputError(f"{path} is {kind}, not a file", "Write what it gives to a file first, and name that.")
    return found


def is_there(path: Path) -> bool:
    """Return whether something is at ``path``; False for a name that no file can have, too."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def read_text(path: Path, wanted: str, most_bytes: int = TEXT_BYTES) -> str:
    """Read a whole text file in UTF-8, with or without a byte order mark.

    Args:
        path: the file.
        wanted: what it should hold, for the message: "table", "config".
        most_bytes: the largest size that makes sense for it.

    Raises:
        InputError: as :func:`check_file`, or it is not UTF-8.
    """
    check_file(path, wanted, most_bytes)
    with foreign_errors(f"{path} is not UTF-8 text", "Save it as UTF-8."):
        return path.read_text(encoding="utf-8-sig")


def _missing(path: Path) -> InputError:
    if str(path) == "-":
        return InputError("the standard input (-) is not read", "Write it to a file first, and name that.")
    if address := _ADDRESS.match(str(path)):
        whole = f"{address[1]}://{str(path)[address.end() :]}"  # Path has taken one slash of two away
        return InputError(f"{whole} is an address, and addresses are not read", "Download it first.")
    return InputError(f"{path} does not exist", _suggestion(path))


def _suggestion(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"There is no folder {folder}: check the path."
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        names = []
    close = difflib.get_close_matches(path.name, names, n=3)
    return f"Did you mean {' or '.join(str(folder / name) for name in close)}?" if close else "Check the path."
