"""`fomm download`, and finding the file of a checkpoint that is given by name."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from fomm_cli import __version__
from fomm_cli.cache import cache_folder
from fomm_cli.errors import FommError
from fomm_cli.hashing import sha256_of
from fomm_cli.models.checkpoint import read_checkpoint
from fomm_cli.models.weights import CATALOGUE, Published, published

logger = logging.getLogger(__name__)

TIMEOUT = 30  # seconds without a byte, after which a connection counts as dead
ATTEMPTS = 4  # in a row that bring nothing new
_CHUNK = 1 << 18

Progress = Callable[[str, int, int | None], None]
"""Called with what is done, the bytes so far and those in all, None where that is unknown."""


@dataclass(frozen=True)
class Download:
    """A file that is here.

    Attributes:
        name: of the checkpoint.
        path: of the file.
        config: to use it with.
        sha256: of the file.
        fetched: whether it was downloaded just now.
    """

    name: str
    path: Path
    config: str
    sha256: str
    fetched: bool


class _Unusable(Exception):  # noqa: N818 - never leaves this module
    """An address does not give the file; another one may."""


class _Interrupted(Exception):  # noqa: N818 - never leaves this module
    """A connection broke off; going on from there may help."""


def resolve_checkpoint(value: str | Path, progress: Progress = lambda *_: None) -> tuple[Path, str | None]:
    """The file of a `--checkpoint` value, and the config that goes with it if the value is a published name.

    A file of that name wins. A published checkpoint that is nowhere on this machine is downloaded.

    Raises:
        FommError: it cannot be downloaded.
    """
    path = Path(value)
    entry = CATALOGUE.get(str(value))
    if entry is None or path.is_file():
        beside = Path("checkpoints") / path
        return (beside if not path.exists() and beside.is_file() else path), None
    return entry.local() or download(entry.name, progress).path, entry.config


def download(name: str, progress: Progress = lambda *_: None) -> Download:
    """Have a published checkpoint on this machine, whole and genuine.

    Raises:
        InputError: there is none of that name.
        FommError: no address gives it, or a file of that name here is another one.
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
    """Download to `path` from the first address that gives the file."""
    part = path.with_name(f"{path.name}.part")
    if entry.sha256 is None:
        part.unlink(missing_ok=True)  # nothing would tell a mixture of two files
    problems = []
    again = entry.addresses[: part.exists()]  # an old beginning, not the address, may be to blame
    for address in (*again, *entry.addresses):
        logger.info("downloading %s from %s", entry.file, urlsplit(address).netloc)
        try:
            _fetch_from(address, part, progress)
            _check(entry, part)
        except _Unusable as problem:
            problems.append(f"{urlsplit(address).netloc}: {problem}")
            continue
        part.replace(path)
        return
    raise FommError(
        f"{entry.file} cannot be downloaded ({'; '.join(problems)})",
        f"Get it elsewhere from {' or '.join(entry.addresses)} and put it into checkpoints/ here or into {path.parent}",
    )


def _fetch_from(address: str, part: Path, progress: Progress) -> None:
    """Fill `part`, from where it ends; go on after interruptions as long as each attempt brings something."""
    idle = 0
    while True:
        before = _size(part)
        try:
            _receive(address, part, progress)
        except _Interrupted as problem:
            idle = idle + 1 if _size(part) <= before else 0
            if idle == ATTEMPTS - 1:
                raise _Unusable(str(problem)) from problem
            continue
        return


def _receive(address: str, part: Path, progress: Progress) -> None:
    """One connection: append what is missing, or begin anew where the server cannot begin in the middle."""
    start = _size(part)
    headers = {"User-Agent": f"fomm/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        with _connection_problems(), urlopen(Request(address, headers=headers), timeout=TIMEOUT) as answer:  # noqa: S310
            if answer.status != 206:
                start = 0
            total = _total(answer, start)
            _refuse_page(answer.headers.get_content_type())
            with part.open("ab" if start else "wb") as file:
                for done in _copied(answer, file, start):
                    progress(part.stem, done, total)
    except HTTPError as error:
        error.close()
        if error.code == 416 and start:  # there is nothing after the end of a whole file, or of a longer one
            if error.headers.get("Content-Range", "").endswith(f"/{start}"):
                return
            part.unlink()
            raise _Interrupted("the file there is another one") from error
        raise _Unusable(f"HTTP {error.code} {error.reason}") from error
    if total is not None and _size(part) != total:
        raise _Interrupted(f"the connection ended after {_size(part)} of {total} bytes")


@contextmanager
def _connection_problems() -> Iterator[None]:
    """Say what went wrong with a connection, and whether trying again may help."""
    try:
        yield
    except HTTPError:
        raise
    except TimeoutError as error:
        raise _Interrupted(f"nothing came for {TIMEOUT} seconds") from error
    except URLError as error:
        raise (_Interrupted if isinstance(error.reason, TimeoutError) else _Unusable)(str(error.reason)) from error
    except (ConnectionError, HTTPException) as error:
        raise _Interrupted(f"the connection broke ({error})") from error


def _copied(answer: HTTPResponse, file: object, start: int) -> Iterator[int]:
    """Write the answer to a file; yields how many bytes there are after each piece."""
    done = start
    while chunk := answer.read1(_CHUNK):
        if done == 0:
            _refuse_page("text/html" if chunk.lstrip()[:1] == b"<" else "")
        file.write(chunk)  # type: ignore[attr-defined]
        done += len(chunk)
        yield done


def _refuse_page(content_type: str) -> None:
    if content_type in ("text/html", "application/xhtml+xml"):
        raise _Unusable("it gives a web page instead of the file")


def _total(answer: HTTPResponse, start: int) -> int | None:
    """Size of the whole file, as the server tells it."""
    if match := re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", "")):
        if int(match[1]) != start:
            raise _Unusable("it answers with another part of the file than was asked for")
        return int(match[2])
    length = answer.headers.get("Content-Length")
    return None if length is None else start + int(length)


def _check(entry: Published, part: Path) -> None:
    """Refuse, and remove, what is not the file."""
    try:
        if entry.sha256 is None:
            read_checkpoint(part)
            logger.warning("the published SHA-256 of %s is unknown; the file is a checkpoint, that is all", entry.file)
            return
        if (found := sha256_of(part)) != entry.sha256:
            raise _Unusable(f"it gives another file (SHA-256 {found}, not {entry.sha256})")
    except (_Unusable, FommError) as problem:
        part.unlink()
        raise _Unusable(str(problem)) from problem


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
