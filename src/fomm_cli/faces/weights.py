"""Files that face detectors need: where they lie, and getting them, checked before they are used."""

from __future__ import annotations

import logging
import os
import urllib.error
import urllib.request
from pathlib import Path

from fomm_cli.errors import FommError
from fomm_cli.hashing import sha256_of

logger = logging.getLogger(__name__)

_TIMEOUT = 20  # seconds without an answer, after which a machine counts as offline
_CHUNK = 1 << 20


def ensure_file(path: Path, address: str, sha256: str) -> None:
    """Have a file at `path`, whole and genuine; download it if it is not there.

    Raises:
        FommError: it cannot be had, or is not what it should be.
    """
    if not path.exists():
        logger.info("downloading %s", address)
        _download(path, address)
    if (found := sha256_of(path)) != sha256:
        raise FommError(
            f"{path} is not the file it should be: its SHA-256 is {found}, not {sha256}",
            f"Delete it and put the file from {address} there",
        )


def _download(path: Path, address: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(address, timeout=_TIMEOUT) as answer, part.open("wb") as file:  # noqa: S310 - ours
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
        part.replace(path)
    except (OSError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", None) or error
        raise FommError(
            f"{path.name} cannot be downloaded ({reason})", f"Put the file from {address} into {path.parent}"
        ) from error
    finally:
        part.unlink(missing_ok=True)
