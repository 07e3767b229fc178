"""`fomm download`: download published checkpoints, and find those that are given by name."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from fomm_cli.errors import FommError
from fomm_cli.files.atomic import move_into_place, sync
from fomm_cli.files.cache import cache_folder
from fomm_cli.files.download import fetch
from fomm_cli.files.hashing import sha256_of
from fomm_cli.files.limits import DOWNLOAD_BYTES
from fomm_cli.models.catalogue import CATALOGUE, Published, published
from fomm_cli.models.checkpoint import read_checkpoint
from fomm_cli.progress import Progress, silent


class UsesModel(Protocol):
    """A job whose options name a model."""

    @property
    def checkpoint(self) -> Path | None:
        """Return a file, or the name of a published checkpoint."""

    @property
    def config(self) -> str | None:
        """Return the name of a bundled config, or a file."""


J = TypeVar("J", bound=UsesModel)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Download:
    """A published checkpoint on this machine.

    Attributes:
        name: name of the checkpoint.
        path: path of the file.
        config: config of its networks.
        sha256: checksum of the file.
        fetched: whether it was downloaded just now.
    """

    name: str
    path: Path
    config: str
    sha256: str
    fetched: bool


def resolve_checkpoint(value: str | Path, progress: Progress = silent) -> tuple[Path, str | None]:
    """Return the file of a `--checkpoint` value, and the config of a published one that is given by name.

    A file of that name wins. A published checkpoint that is nowhere on this machine is downloaded.

    Raises:
        FommError: it cannot be downloaded.
    """
    path = Path(value)
    entry = CATALOGUE.get(str(value))
    if entry is None or path.is_file():
        beside = Path("checkpoints") / path
        with suppress(OSError, ValueError):  # no name that a file can have, which is said when it is read
            return (beside if not path.exists() and beside.is_file() else path), None
        return path, None
    return entry.local() or download(entry.name, progress).path, entry.config


def with_checkpoint_file(job: J, progress: Progress = silent) -> J:
    """Return a job whose checkpoint is a file; a published one, given by name, is downloaded and brings its config.

    For work that is shared by processes, none of which is to download the file itself.
    """
    if job.checkpoint is None:
        return job
    path, config = resolve_checkpoint(job.checkpoint, progress)
    return replace(job, checkpoint=path, config=job.config or config)  # type: ignore[type-var]


def download(name: str, progress: Progress = silent) -> Download:
    """Make sure that a published checkpoint is on this machine, complete and genuine; download it if needed.

    Raises:
        InputError: no published checkpoint has that name.
        FommError: no address provides it, or the file of that name on this machine is another one.
    """
    entry = published(name)
    path = entry.local()
    fetched = path is None
    if path is None:
        path = cache_folder() / entry.file
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _fetch(entry, path, progress)
        except OSError as error:
            raise FommError(f"{path} cannot be written: {error.strerror or error}", "Set FOMM_HOME") from error
    found = sha256_of(path)
    if entry.sha256 not in (None, found):
        raise FommError(
            f"{path} is not the published file: its SHA-256 is {found}, not {entry.sha256}",
            "Rename or delete it, and it is downloaded again; or give the file itself with --checkpoint",
        )
    return Download(name, path, entry.config, found, fetched)


def _fetch(entry: Published, path: Path, progress: Progress) -> None:
    part = path.with_name(f"{path.name}.part")
    if entry.sha256 is None:
        part.unlink(missing_ok=True)  # nothing would tell a mixture of two files
    try:
        most_bytes = entry.size or DOWNLOAD_BYTES
        fetch(entry.addresses, part, lambda whole: _check(entry, whole), most_bytes=most_bytes, progress=progress)
    except FommError as error:
        raise FommError(
            f"{entry.file} cannot be downloaded ({error})",
            f"Get it elsewhere from {' or '.join(entry.addresses)} and put it into checkpoints/ here or into "
            f"{path.parent}",
        ) from error
    sync(part)
    move_into_place(part, path)


def _check(entry: Published, part: Path) -> None:
    """Raise FommError if a downloaded file is not the published one."""
    if entry.sha256 is None:
        read_checkpoint(part)
        logger.warning("the published SHA-256 of %s is unknown; only its format was checked", entry.file)
    elif (found := sha256_of(part)) != entry.sha256:
        raise FommError(f"it sends another file (SHA-256 {found}, not {entry.sha256})")
