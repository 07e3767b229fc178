"""Models that took time to make, kept in the cache folder."""

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

from filelock import FileLock

from fomm_cli.errors import FommError
from fomm_cli.files.cache import cache_folder
from fomm_cli.files.hashing import sha256_of
from fomm_cli.models.loading import LoadedModel
from fomm_cli.version import __version__

logger = logging.getLogger(__name__)

_SUMS = "sums.json"  # of the other files, by name


def kept(model: LoadedModel, kind: str, packages: tuple[str, ...]) -> Path:
    """The folder for what is made of a model.

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


def make_once(folder: Path, make: Callable[[Path], None]) -> None:
    """Fill a folder unless it is there and whole; another process that does so is waited for.

    Args:
        folder: appears when it is whole; a damaged one is made anew.
        make: writes its files into the folder that it is given.

    Raises:
        FommError: the cache folder cannot be written to.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if is_whole(folder):
                return
            with TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
                made = Path(part) / folder.name
                made.mkdir()
                make(made)
                (made / _SUMS).write_text(json.dumps(_sums_of(made)), encoding="utf-8")
                if os.path.lexists(folder):
                    logger.info("the model in %s was damaged and has been made again", folder)
                    _remove(folder)
                made.rename(folder)
    except OSError as error:
        raise FommError(
            f"the cache folder {folder.parent} cannot be written to: {error.strerror}",
            "Make room, or name another with the environment variable FOMM_HOME",
        ) from error


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
