"""Control access to the local server: token, Host, Origin, limits on request bodies, and response headers."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from fomm_cli.web.limits import Limits
from fomm_cli.web.options import is_address, is_loopback

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_BEARER = "bearer "

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob:",
    "media-src": "'self' blob:",
    "worker-src": "'self'",
    "form-action": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "fomm-worker",
}


@dataclass(frozen=True)
class Access:
    """The secret and the names that let a client use the server.

    Attributes:
        host: the address that the server listens on.
        secure: whether it speaks TLS.
        token: the secret that every request must carry.
    """

    host: str = "127.0.0.1"
    secure: bool = False
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def scheme(self) -> str:
        """Return the scheme of the server's addresses."""
        return "https" if self.secure else "http"

    def address(self, port: int) -> str:
        """Return the address of the page, with the token in it."""
        shown = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104 - compared, not bound
        name = f"[{shown}]" if ":" in shown else shown
        return f"{self.scheme}://{name}:{port}/?token={self.token}"

    def allows_host(self, host: str) -> bool:
        """Tell whether a Host header names this server.

        A page of a foreign name that is pointed at this machine (DNS rebinding) sends its own name. On other
        addresses than loopback any numeric address is allowed, since a foreign name is what that attack needs.
        """
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        if name in _LOOPBACK_NAMES:
            return True
        if is_loopback(self.host):
            return False
        return is_address(name) or name in {self.host.lower(), socket.gethostname().lower()}

    def allows_origin(self, origin: str | None, host: str) -> bool:
        """Tell whether an Origin header, where there is one, is that of the page of this server."""
        return origin is None or origin == f"{self.scheme}://{host}"

    def allows_token(self, token: str) -> bool:
        """Compare a token with the secret, in constant time."""
        return secrets.compare_digest(token.encode(), self.token.encode())


class Guard:
    """Let only requests pass that carry the token, name this server and keep the limits (ASGI middleware).

    It stands before every route, so a new route cannot forget it. The token is taken from the query (``?token=``),
    from the header ``Authorization: Bearer``, or, so that modules and style sheets can refer to one another, from the
    second part of a path ``/assets/TOKEN/...``. There is no cookie: a foreign page's request carries no token.
    """

    def __init__(self, app: ASGIApp, access: Access, limits: Limits) -> None:
        self._app = app
        self._access = access
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, 403 or 413, or pass the request on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await WebSocket(scope, receive, send).send_denial_response(refusal)
            return
        send = _with_headers(send, self._access, headers.get("host", ""))
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        limited = _Body(receive, self._limits, self._limits.body_bytes(scope["path"]))
        await self._app(scope, limited.receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "")
        if not self._access.allows_host(host):
            return error_response(403, f"this server is not called {host[:100]!r}", "Use the address that fomm printed")
        if not self._access.allows_origin(headers.get("origin"), host):
            return error_response(403, "requests of other pages are refused", "Use the page that fomm printed")
        if not self._access.allows_token(_token_of(scope, headers)):
            return error_response(401, "the token is missing or wrong", "Use the whole address that fomm web printed")
        announced = headers.get("content-length", "0")
        if not announced.isdecimal() or len(announced) > 18:
            return error_response(400, "the length of the request is no number")
        if scope["type"] == "http" and int(announced) > self._limits.body_bytes(scope["path"]):
            return too_large(self._limits.body_bytes(scope["path"]))
        return None


def _token_of(scope: Scope, headers: Headers) -> str:
    authorization = headers.get("authorization", "")
    if authorization.lower().startswith(_BEARER):
        return authorization[len(_BEARER) :].strip()
    parts = scope["path"].split("/")
    if len(parts) > 3 and parts[1] == "assets":
        return str(parts[2])
    query: Mapping[str, list[str]] = parse_qs(scope["query_string"].decode("latin-1"))
    return query.get("token", [""])[0]


def error_response(status: int, problem: str, next_step: str = "") -> JSONResponse:
    """Return an error as the page and the API show it."""
    return JSONResponse({"error": {"problem": problem, "next_step": next_step}}, status)


def too_large(limit: int) -> JSONResponse:
    """Return the answer to a body that is larger than allowed."""
    allowed = f"{limit / 1e6:.0f} MB" if limit >= 1e6 else f"{limit} bytes"
    return error_response(413, f"this is more than {allowed}", "Cut the video, or make it smaller")


class BodyError(Exception):
    """A request body that broke a limit; carries the answer."""

    def __init__(self, response: JSONResponse) -> None:
        super().__init__()
        self.response = response


class _Body:
    """Pass on the parts of a request body as long as it keeps the limits of size and time."""

    def __init__(self, receive: Receive, limits: Limits, most_bytes: int) -> None:
        self._receive = receive
        self._limits = limits
        self._left = most_bytes
        self._most_bytes = most_bytes
        self._deadline = asyncio.get_running_loop().time() + limits.body_seconds
        self._complete = False

    async def receive(self) -> Message:
        """Return the next part.

        Raises:
            BodyError: it is too large, or too slow.
        """
        if self._complete:
            return await self._receive()  # waits for the client to leave, as long as the answer takes
        left = self._deadline - asyncio.get_running_loop().time()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, min(left, self._limits.pause_seconds)))
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise BodyError(error_response(408, "the upload stopped or is too slow", "Send it again")) from error
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise BodyError(too_large(self._most_bytes))
            self._complete = not message.get("more_body", False)
        return message


def _with_headers(send: Send, access: Access, host: str) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _security_headers(access, host).items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers


def _security_headers(access: Access, host: str) -> dict[str, str]:
    sockets = f"{'wss' if access.secure else 'ws'}://{host}" if access.allows_host(host) else ""
    policy = {**_POLICY, "connect-src": f"'self' {sockets}".strip()}
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
        "Cache-Control": "no-store",
    }
