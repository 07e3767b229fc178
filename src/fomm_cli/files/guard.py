"""Protect inputs: compare what a command reads with what it will write before any work."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from fomm_cli.errors import InputError
from fomm_cli.files.atomic import is_frame_of, is_frame_pattern

FileId = tuple[int, int]
"""Device and inode, which are the same by whatever name a file is reached."""


def protect_inputs(inputs: Iterable[str | Path | None], outputs: Iterable[Path | None]) -> None:
    """Refuse to work where a result would overwrite something that the command reads.

    Files are compared by identity, so that links and names in another case are seen through.

    Args:
        inputs: every file or folder that is read: sources, driving videos, templates, configs, checkpoints, tables.
            A folder stands for the files in it. None, and names of something that is no file, are left out.
        outputs: every file that will be written, those beside the result too. A frame pattern such as
            ``folder/%05d.png`` stands for its frames in that folder. None is left out.

    Raises:
        InputError: an output is an input, is in a folder that is an input, or is not a regular file.
    """
    files: dict[FileId, Path] = {}
    folders: dict[FileId, Path] = {}
    for path in (Path(given) for given in inputs if given is not None):
        if (found := _state(path)) is not None:
            (folders if path.is_dir() else files)[found.st_dev, found.st_ino] = path
    for output in (output for output in outputs if output is not None):
        if is_frame_pattern(output) and (folder := _id(output.parent)) in folders:
            raise _overwritten(folders[folder], output.parent)
        for target in _existing(output):
            if _id(target) in files:
                raise _overwritten(files[_id(target)], output)
            if (folder := _id(target.resolve().parent)) in folders:
                raise _overwritten(folders[folder] / target.name, output)


def _existing(output: Path) -> Iterator[Path]:
    """Yield the files that an output would replace."""
    if not is_frame_pattern(output):
        if _state(output) is not None:
            yield output
    elif output.parent.is_dir():
        with os.scandir(output.parent) as entries:
            yield from (output.parent / entry.name for entry in entries if is_frame_of(output, entry.name))


def _overwritten(given: Path, output: Path) -> InputError:
    return InputError(f"the result {output} would overwrite the input {given}", "Choose another name for the result")


def _id(path: Path) -> FileId:
    """Return the identity of a file, one that no file has where there is none."""
    found = _state(path)
    return (-1, -1) if found is None else (found.st_dev, found.st_ino)


def _state(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError):  # not there, or no name that a file can have
        return None
