"""Download files over bad connections: resume, try mirrors, and verify."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from fomm_cli.errors import FommError
from fomm_cli.files.limits import DOWNLOAD_BYTES
from fomm_cli.progress import Progress, silent
from fomm_cli.version import __version__

logger = logging.getLogger(__name__)

TIMEOUT = 20  # seconds without a byte, after which a connection counts as dead
ATTEMPTS = 3  # in a row that bring nothing new
_CHUNK = 1 << 18


class _Unusable(Exception):  # noqa: N818 - never leaves this module
    """The address does not give the file; another one may."""


class _Interrupted(Exception):  # noqa: N818 - never leaves this module
    """The connection broke off; the download may be resumed."""


def fetch(
    addresses: Sequence[str],
    part: Path,
    check: Callable[[Path], None],
    *,
    most_bytes: int = DOWNLOAD_BYTES,
    attempts: int = ATTEMPTS,
    progress: Progress = silent,
) -> None:
    """Fill `part` with the file from the first address that gives it; go on from what is in it already.

    Args:
        addresses: where the file is to be had, the best first.
        part: where to write; what could not be completed stays, what `check` refuses does not.
        check: raises a FommError where the whole file is not the right one.
        most_bytes: the size of the file, or the largest that makes sense; no more is written.
        attempts: in a row that bring nothing new, after which an address is given up.
        progress: told of the bytes.

    Raises:
        FommError: no address gives it; the message lists why.
        OSError: it cannot be written.
    """
    problems = []
    again = addresses[: part.exists()]  # an old beginning, not the address, may be to blame
    for address in (*again, *addresses):
        place = _host_of(address)
        logger.info("downloading %s from %s", address.rpartition("/")[2], place)
        try:
            _fetch_from(address, part, most_bytes, attempts, progress)
            check(part)
        except _Unusable as problem:
            problems.append(f"{place}: {problem}")
        except FommError as problem:
            part.unlink()
            problems.append(f"{place}: {problem}")
        else:
            return
    raise FommError("; ".join(problems))


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).netloc or address
    except ValueError:
        return address


def _fetch_from(address: str, part: Path, most_bytes: int, attempts: int, progress: Progress) -> None:
    """Fill `part`, from where it ends; go on after interruptions as long as the attempts bring something."""
    idle = 0
    while True:
        before = _size(part)
        try:
            _receive(address, part, most_bytes, progress)
        except _Interrupted as problem:
            idle = idle + 1 if _size(part) <= before else 0
            if idle == attempts:
                raise _Unusable(str(problem)) from problem
            continue
        return


def _receive(address: str, part: Path, most_bytes: int, progress: Progress) -> None:
    """Open one connection and append what is missing; start over if the server cannot continue in the middle."""
    start = _size(part)
    headers = {"User-Agent": f"fomm/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        with _connection_problems():
            answer = _OPENER.open(Request(address, headers=headers), timeout=TIMEOUT)  # noqa: S310 - addresses of ours
    except HTTPError as error:
        error.close()
        if error.code == 416 and start:  # there is nothing after the end of a whole file, or of a longer one
            if error.headers.get("Content-Range", "").endswith(f"/{start}"):
                return
            part.unlink()
            raise _Interrupted("the file there is another one") from error
        raise _Unusable(f"HTTP {error.code} {error.reason}") from error
    with closing(answer):
        if answer.status != 206:
            start = 0
        with _connection_problems():
            total = _total(answer, start)
            _refuse_page(answer.headers.get_content_type())
        if total is not None and total > most_bytes:
            raise _Unusable(f"it sends a file of {total} bytes, not of {most_bytes}")
        with part.open("ab" if start else "wb") as file:
            done = start
            for chunk in _chunks(answer):
                if done == 0:
                    _refuse_page("text/html" if chunk.lstrip()[:1] == b"<" else "")
                done += len(chunk)
                if done > most_bytes:
                    file.truncate(0)
                    raise _Unusable(f"it sends more than {most_bytes} bytes")
                file.write(chunk)
                progress(f"downloading {part.stem}", done, total)
    if total is not None and _size(part) != total:
        raise _Interrupted(f"the connection ended after {_size(part)} of {total} bytes")


class _SafeRedirects(HTTPRedirectHandler):
    """Refuse redirects from an encrypted connection to an unencrypted one."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if req.type == "https" and not newurl.lower().startswith("https:"):
            raise URLError(f"it redirects to an address that is not encrypted, {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def http_error_302(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage) -> Any:
        """Follow a redirect; the answer is closed even where its address cannot be parsed."""
        with closing(fp):
            return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


_OPENER = build_opener(_SafeRedirects)


@contextmanager
def _connection_problems() -> Iterator[None]:
    """Say what went wrong with a connection, and whether trying again may help.

    Servers and addresses make the library raise any type at all; none of them keeps other addresses from being tried.
    """
    try:
        yield
    except (HTTPError, _Unusable, _Interrupted):
        raise
    except TimeoutError as error:
        raise _Interrupted(f"nothing came for {TIMEOUT} seconds") from error
    except URLError as error:
        raise (_Interrupted if isinstance(error.reason, TimeoutError) else _Unusable)(str(error.reason)) from error
    except (ConnectionError, HTTPException) as error:
        raise _Interrupted(f"the connection broke ({error})") from error
    except Exception as error:
        raise _Unusable(f"its address or answer is invalid ({error})") from error


def _chunks(answer: HTTPResponse) -> Iterator[bytes]:
    while True:
        with _connection_problems():
            chunk = answer.read1(_CHUNK)
        if not chunk:
            return
        yield chunk


def _refuse_page(content_type: str) -> None:
    if content_type in ("text/html", "application/xhtml+xml"):
        raise _Unusable("it sends a web page instead of the file")


def _total(answer: HTTPResponse, start: int) -> int | None:
    """Return the size of the whole file, as the server tells it."""
    if match := re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", "")):
        if int(match[1]) != start:
            raise _Unusable("it answers with another part of the file than was asked for")
        return int(match[2])
    length = answer.headers.get("Content-Length")
    return None if length is None else start + int(length)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
