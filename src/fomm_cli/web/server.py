"""Run the local server of `fomm web`: listen, print the address, serve, and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from fomm_cli.errors import InputError
from fomm_cli.web.limits import Limits
from fomm_cli.web.options import DEFAULT_PORT, WebJob
from fomm_cli.web.routes import routes
from fomm_cli.web.security import Access, BodyError, Guard, error_response
from fomm_cli.web.studio import Studio

logger = logging.getLogger(__name__)

_NEXT_PORTS = 20  # tried where the default one is taken
_END_SECONDS = 1  # that open connections get when the server ends


def serve(job: WebJob, announce: Callable[[str], None], limits: Limits | None = None) -> None:
    """Serve the page until a signal ends it.

    Args:
        job: how.
        announce: given the address of the page, with its token, once the server listens.
        limits: on what clients send.

    Raises:
        InputError: the address is not free, or the certificate cannot be used.
    """
    limits = limits or Limits()
    access = Access(job.host, job.cert is not None)
    listening = _listen(job)
    folder = Path(tempfile.mkdtemp(prefix="fomm-web-"))
    try:
        server = _server(job, access, folder, limits)
        address = access.address(listening.getsockname()[1])
        announce(address)
        if not job.no_browser:
            _open_browser(address)
        server.run(sockets=[listening])
    finally:
        listening.close()
        shutil.rmtree(folder, ignore_errors=True)


def application(access: Access, studio: Studio, limits: Limits) -> Guard:
    """Return the whole application: the routes behind the access control."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        working = asyncio.create_task(studio.queue.work())
        yield
        working.cancel()

    handlers = {BodyError: _body_error, 404: _not_found, 405: _not_found, Exception: _unexpected}
    return Guard(Starlette(routes=routes(studio), lifespan=lifespan, exception_handlers=handlers), access, limits)


async def _body_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BodyError)  # noqa: S101 - registered for nothing else
    error.response.headers["Connection"] = "close"  # the rest of the body is still to come
    return error.response


async def _not_found(_request: Request, _error: Exception) -> Response:
    return error_response(404, "there is nothing at this address", "See docs/web.md for the API")


async def _unexpected(_request: Request, error: Exception) -> Response:
    return error_response(
        500, f"unexpected {type(error).__name__}", "See the messages of fomm web, and please report it"
    )


class _Server(uvicorn.Server):
    """End all work first when the server is told to end, so that streams and sockets do not hold it up."""

    def __init__(self, config: uvicorn.Config, studio: Studio) -> None:
        super().__init__(config)
        self._studio = studio

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop the processes, then the connections."""
        self._studio.stop()
        await super().shutdown(sockets)


def _server(job: WebJob, access: Access, folder: Path, limits: Limits) -> _Server:
    studio = Studio(folder, limits, access.token)

    class Patient(H11Protocol):
        """Drop connections that send no complete request for some time."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.loop.call_later(limits.pause_seconds, self._drop_silent)

        def _drop_silent(self) -> None:
            is_ours = self.transport.get_protocol() is self  # else it became a socket
            if self.cycle is None and is_ours and not self.transport.is_closing():
                self.transport.close()

    config = uvicorn.Config(
        application(access, studio, limits),
        http=Patient,
        ws="websockets-sansio",
        ws_max_size=limits.frame_bytes,
        ws_per_message_deflate=False,  # frames are compressed already
        limit_concurrency=limits.connections,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_END_SECONDS,
        h11_max_incomplete_event_size=32_000,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        access_log=False,
        ssl_certfile=job.cert,
        ssl_keyfile=job.key,
        lifespan="on",
    )
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # its lines are not for users
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise InputError(f"--cert {job.cert} cannot be used ({error})", "Give a PEM certificate and its key") from error
    return _Server(config, studio)


def _listen(job: WebJob) -> socket.socket:
    first = DEFAULT_PORT if job.port is None else job.port
    ports = range(first, first + _NEXT_PORTS) if job.port is None else [first]
    family = socket.AF_INET6 if ":" in job.host else socket.AF_INET
    problem = ""
    for port in ports:
        try:
            return socket.create_server((job.host, port), family=family, backlog=128)
        except (OSError, OverflowError) as error:
            problem = str(error)
    raise InputError(f"port {first} of {job.host} cannot be used ({problem})", "Choose another --port or --host")


def _open_browser(address: str) -> None:
    """Open the page where there is a screen; a text browser in the terminal is not wanted."""
    has_screen = sys.platform in ("win32", "darwin") or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    if has_screen:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
