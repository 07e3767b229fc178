"""Download the model files of face detectors, and check them before they are used."""

from __future__ import annotations

import os
from pathlib import Path

from fomm_cli.errors import FommError
from fomm_cli.files.download import fetch
from fomm_cli.files.hashing import sha256_of


def ensure_file(path: Path, address: str, sha256: str) -> None:
    """Make sure that the genuine file is at `path`; download it if it is not there.

    Raises:
        FommError: it cannot be had, or is not what it should be.
    """
    if path.exists():
        _check(path, sha256, f"Delete it and put the file from {address} there")
    else:
        _download(path, address, sha256)


def _check(path: Path, sha256: str, next_step: str = "") -> None:
    if (found := sha256_of(path)) != sha256:
        raise FommError(f"{path} is not the file it should be: its SHA-256 is {found}, not {sha256}", next_step)


def _download(path: Path, address: str, sha256: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")  # several processes may need it at once
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # one attempt: other detectors wait, and most machines that do not answer are offline
        fetch([address], part, lambda whole: _check(whole, sha256), attempts=1)
        part.replace(path)
    except (FommError, OSError) as error:
        raise FommError(
            f"{path.name} cannot be downloaded ({error})", f"Put the file from {address} into {path.parent}"
        ) from error
    finally:
        part.unlink(missing_ok=True)
