"""Models that took time to make, kept in the cache folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock

from fomm_cli.errors import FommError
from fomm_cli.files.cache import cache_folder
from fomm_cli.models.loading import LoadedModel
from fomm_cli.version import __version__


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
    """Fill a folder unless it is there; another process that does so is waited for.

    Args:
        folder: appears when it is whole.
        make: writes its files into the folder that it is given.

    Raises:
        FommError: the cache folder cannot be written to.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if folder.is_dir():
                return
            with TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
                made = Path(part) / folder.name
                made.mkdir()
                make(made)
                made.rename(folder)
    except OSError as error:
        raise FommError(
            f"the cache folder {folder.parent} cannot be written to: {error.strerror}",
            "Make room, or name another with the environment variable FOMM_HOME",
        ) from error
