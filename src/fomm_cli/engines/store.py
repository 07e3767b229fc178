"""Keep models that took time to make in the cache folder."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from filelock import FileLock

from fomm_cli.errors import FommError, foreign_errors, is_out_of_memory
from fomm_cli.files.atomic import noticing_a_full_disk, sync
from fomm_cli.files.cache import cache_folder
from fomm_cli.files.hashing import sha256_of
from fomm_cli.models.loading import LoadedModel
from fomm_cli.version import __version__

logger = logging.getLogger(__name__)

T = TypeVar("T")

_REPORT = "Delete the folder and try again; if that does not help, report it with the output of `fomm info`"
_SUMS = "sums.json"  # of the other files, by name


def kept(model: LoadedModel, kind: str, packages: tuple[str, ...]) -> Path:
    """Return the folder of what was made of a model; make it at first use.

    Its name says which weights, config and sampling it is for, and which versions of `packages` make it.
    """
    parts = {
        "checkpoint": model.sha256,
        "config": model.config.model_dump_json(),
        "align_corners": model.networks.generator.align_corners,
        "fomm": __version__,
        **{package: version(package) for package in packages},
    }
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    return cache_folder() / "engines" / f"{kind}-{key}"


def make_once(folder: Path, make: Callable[[Path], None], read: Callable[[Path], T]) -> T:
    """Read what a folder keeps; fill it first unless it is there and whole. Another process that does so is waited for.

    Args:
        folder: appears when it is whole; a damaged one is made again.
        make: writes its files into the folder that it is given.
        read: opens the files of the folder; an exception says that they are damaged.

    Raises:
        FommError: the cache folder cannot be written to, or what has just been made cannot be read.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if (found := read_kept(folder, read)) is not None:
                return found
            _make(folder, make)
    except OSError as error:
        raise FommError(
            f"the cache folder {folder.parent} cannot be written to: {error.strerror}",
            "Make room, or name another with the environment variable FOMM_HOME",
        ) from error
    with foreign_errors(f"the model in {folder} cannot be read, though it has just been made", _REPORT, FommError):
        return read(folder)


def read_kept(folder: Path, read: Callable[[Path], T]) -> T | None:
    """Read what `make_once` has kept in a folder; return None where it is missing or damaged."""
    if not is_whole(folder):
        return None
    try:
        return read(folder)
    except Exception as error:  # whatever a library makes of a damaged file
        if is_out_of_memory(error):
            raise
        return None


def _make(folder: Path, make: Callable[[Path], None]) -> None:
    """Fill a folder; it takes its place whole, and whatever is there goes."""
    with TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
        made = Path(part) / folder.name
        made.mkdir()
        with noticing_a_full_disk(folder, made):
            make(made)
            for path in made.iterdir():
                sync(path)
            (made / _SUMS).write_text(json.dumps(_sums_of(made)), encoding="utf-8")
        if os.path.lexists(folder):
            logger.info("the model in %s was damaged and has been made again", folder)
            _remove(folder)
        made.rename(folder)


def is_whole(folder: Path) -> bool:
    """Return whether `make_once` has filled a folder, and its files are still what they were."""
    sums = folder / _SUMS
    try:
        return sums.is_file() and json.loads(sums.read_text(encoding="utf-8")) == _sums_of(folder)
    except (OSError, ValueError, RecursionError):
        return False


def _sums_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a folder by its name, "" for what is no regular file."""
    paths = (path for path in folder.iterdir() if path.name != _SUMS)
    return {path.name: sha256_of(path) if path.is_file() else "" for path in paths}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
