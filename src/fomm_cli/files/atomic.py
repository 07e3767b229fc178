"""Write results whole or not at all, even if the power fails.

A file system may commit a rename before the data of the file. So a result is flushed to the disk, then renamed to its
place, then its folder is flushed; only what comes after, such as a journal, may rely on it.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fomm_cli.errors import FommError, InputError

_FRAME_NUMBER = re.compile(r"%(?:0(\d{1,2}))?d")
_STEM_CHARACTERS = 40  # keeps the temporary name inside every file system's limit
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_ROOM = 1 << 16  # bytes; with less left, whatever failed while writing failed for lack of room


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a hidden temporary path beside ``path``, same suffix; it takes its place if the block succeeds.

    A symbolic link stays: the file it points to is replaced. On any exception the temporary file is removed.

    Raises:
        InputError: the folder is missing or cannot be written to, or ``path`` is a folder.
        FommError: nothing was written, or the finished file cannot be moved into place.
    """
    check_replaceable(path)
    target = path.resolve() if path.is_symlink() else path
    part = _temporary_beside(target)
    with _creating(part, path):
        part.touch(exist_ok=False)
    try:
        with _speaking_of(path, part), noticing_a_full_disk(path, part.parent):
            yield part
            if part.stat().st_size == 0:
                raise FommError(f"Nothing was written to {path}", "Report this, please.")
            sync(part)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    try:
        move_into_place(part, target)
    except OSError as error:
        # The work of hours is in there: rather an odd name than nothing.
        raise FommError(
            f"{path} cannot be replaced: {error.strerror}",
            f"Close the program that has it open; the finished result is {part}",
        ) from error


@contextmanager
def replacing_frames(pattern: Path) -> Iterator[Path]:
    """Yield a pattern in a temporary folder; its frames replace those of ``pattern`` if the block succeeds.

    Frames of an earlier run that match ``pattern`` go, other files stay. On any exception all is as it was.

    Args:
        pattern: such as ``folder/%05d.png``; the folder is created, its parent must exist.

    Raises:
        InputError: the parent of the folder is missing or the place cannot be written to.
        FommError: the finished frames cannot be moved into place.
    """
    folder = pattern.parent
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, not a folder", "Name a folder for the frames.")
    part = _temporary_beside(folder / "frames" if folder.is_dir() else folder)
    with _creating(part, folder):
        part.mkdir()
    try:
        with _speaking_of(folder, part), noticing_a_full_disk(folder, part.parent):
            yield part / pattern.name
            for frame in part.iterdir():
                sync(frame)
        _publish_frames(part, pattern)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Create a folder, and those above it, unless it is there.

    Raises:
        InputError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be created: {error.strerror}", "Choose another one.") from error


def move_into_place(finished: Path, place: Path) -> None:
    """Rename a file whose data is on the disk, or a folder of such files, so that the new name is there to stay.

    Raises:
        OSError: it cannot be renamed.
    """
    finished.replace(place)
    sync(place.parent)


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk, where the system can do that.

    Raises:
        OSError: the disk is full or broken: only now does the system write what it had kept.
    """
    try:
        handle = os.open(path, os.O_RDONLY if path.is_dir() or os.name != "nt" else os.O_RDWR)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES):  # it cannot be done here
            raise
    finally:
        os.close(handle)


def check_replaceable(path: Path) -> None:
    """Make sure that a file can be written at ``path``, or replace the one there.

    Raises:
        InputError: it is a folder, a pipe or device, or no name that a file can have.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be written: {reason}", "Choose another name.") from error
    if stat.S_ISDIR(found.st_mode):
        raise InputError(f"{path} is a folder", "Name a file to write.")
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path} is a pipe or a device, not a file", "Name a file to write.")


def disk_is_full(error: BaseException, folder: Path) -> bool:
    """Return whether ``error`` came about since the disk of ``folder`` is full; not every library says so."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    try:
        return shutil.disk_usage(folder).free < _NO_ROOM
    except OSError:
        return False


def is_frame_pattern(path: Path) -> bool:
    """Return whether a name holds one frame number, as ``%05d.png`` or ``frame_%d.jpg`` do."""
    return len(_FRAME_NUMBER.findall(path.name)) == 1


def frame_path(pattern: Path, index: int) -> Path:
    """Return the path of frame ``index``: ``%05d.png`` and 7 give ``00007.png``."""
    return pattern.with_name(_FRAME_NUMBER.sub(lambda field: f"{index:0{field[1] or 0}d}", pattern.name))


def _temporary_beside(target: Path) -> Path:
    name = f".{target.stem[:_STEM_CHARACTERS]}.{secrets.token_hex(4)}.part{target.suffix}"
    return target.with_name(name)


def missing_folder(wanted: Path, folder: Path) -> InputError:
    """Build the error for a result whose folder is not there."""
    return InputError(f"There is no folder {folder} to write {wanted.name} to", f"Create it: mkdir -p {folder}")


@contextmanager
def _creating(part: Path, wanted: Path) -> Iterator[None]:
    """Say why the temporary ``part`` of ``wanted`` cannot be created."""
    folder = part.parent
    try:
        yield
    except OSError as error:
        if not folder.is_dir():
            raise missing_folder(wanted, folder) from error
        if disk_is_full(error, folder):
            raise _no_room(wanted) from error
        raise InputError(f"{folder} cannot be written to: {error.strerror}", "Choose another folder.") from error


@contextmanager
def noticing_a_full_disk(path: Path, folder: Path) -> Iterator[None]:
    """Say that there is no room for ``path``, whatever a library made of it; our own errors pass."""
    try:
        yield
    except FommError:
        raise
    except Exception as error:
        if disk_is_full(error, folder):
            raise _no_room(path) from error
        raise


def _no_room(path: Path) -> FommError:
    return FommError(f"{path} cannot be written: the disk is full", "Make room, and start again.")


@contextmanager
def _speaking_of(path: Path, part: Path) -> Iterator[None]:
    """Let errors name ``path``, which people gave, and not the temporary ``part``."""
    try:
        yield
    except FommError as error:
        error.problem = error.problem.replace(str(part), str(path))
        raise


def _publish_frames(part: Path, pattern: Path) -> None:
    """Move the frames in ``part`` to the folder of ``pattern`` and the frames of an earlier run out of it."""
    folder = pattern.parent
    try:
        if not folder.is_dir():
            move_into_place(part, folder)
            return
        old = [path for path in folder.iterdir() if is_frame_of(pattern, path.name)]
        new = sorted(part.iterdir())
        attic = part / "old"
        attic.mkdir()
        _move_all([(path, attic / path.name) for path in old] + [(path, folder / path.name) for path in new])
        sync(folder)
    except OSError as error:
        raise FommError(f"The frames cannot be moved to {folder}: {error.strerror}", "Check the folder.") from error


def is_frame_of(pattern: Path, name: str) -> bool:
    """Return whether a file called ``name`` is one of the frames of ``pattern``."""
    field = _FRAME_NUMBER.search(pattern.name)
    if field is None:
        return False
    number = rf"\d{{{field[1] or 1},}}"
    expression = re.escape(pattern.name[: field.start()]) + number + re.escape(pattern.name[field.end() :])
    return re.fullmatch(expression, name) is not None


def _move_all(moves: list[tuple[Path, Path]]) -> None:
    """Make every move, or none if one fails."""
    done: list[tuple[Path, Path]] = []
    try:
        for origin, target in moves:
            origin.replace(target)
            done.append((origin, target))
    except BaseException:
        for origin, target in reversed(done):
            target.replace(origin)
        raise
