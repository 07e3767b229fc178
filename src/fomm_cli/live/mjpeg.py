"""Serve the animated frames to programs of this machine, such as OBS, as a stream of JPEG images over HTTP."""

from __future__ import annotations

import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from fomm_cli.errors import InputError

_QUALITY = 90
_MOST_CLIENTS = 8
_PATIENCE = 10.0  # seconds that a client may take for a frame
_PAGE = b"""<!doctype html><meta charset="utf-8"><title>fomm live</title>
<style>body{margin:0;background:#000}img{width:100vw;height:100vh;object-fit:contain}</style>
<img src="/stream.mjpg" alt="animated avatar">"""


class _Newest:
    """The newest frame as a JPEG, for any number of clients."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.image: np.ndarray | None = None
        self.number = 0
        self.closing = False
        self.clients = 0
        self._encoded: tuple[int, bytes] = (0, b"")

    def put(self, image: np.ndarray) -> None:
        with self.changed:
            self.image, self.number = image, self.number + 1
            self.changed.notify_all()

    def after(self, number: int) -> tuple[int, bytes] | None:
        """Wait for a frame that is newer than `number`; after a second without one, the last again."""
        with self.changed:
            self.changed.wait_for(lambda: self.number > number or self.closing, timeout=1.0)
            if self.closing:
                return None
            if self.image is not None and self._encoded[0] != self.number:
                self._encoded = self.number, _jpeg(self.image)
            return self._encoded


def _jpeg(image: np.ndarray) -> bytes:
    import cv2

    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return bytes(data)


class MjpegServer:
    """An HTTP server on 127.0.0.1 with ``/stream.mjpg``, ``/frame.jpg`` and a page that shows the stream."""

    def __init__(self, port: int) -> None:
        """Start to serve.

        Raises:
            InputError: the port is taken.
        """
        self._newest = _Newest()
        try:
            self._server = _Server(("127.0.0.1", port), self._newest)
        except OSError as error:
            raise InputError(f"port {port} cannot be used: {error.strerror}", "Choose another --port") from error
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def put(self, image: np.ndarray) -> None:
        """Show a frame, uint8 (H, W, 3) RGB, to all who watch; it must not be changed afterwards."""
        self._newest.put(image)

    def close(self) -> None:
        """End all connections."""
        with self._newest.changed:
            self._newest.closing = True
            self._newest.changed.notify_all()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], newest: _Newest) -> None:
        self.newest = newest
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: programs that stop watching are no errors."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _PATIENCE
    server: _Server

    def do_GET(self) -> None:
        """Answer a request."""
        host = self.headers.get("Host", "")
        if host not in {f"{name}:{self.server.server_port}" for name in ("127.0.0.1", "localhost")}:
            self.send_error(HTTPStatus.FORBIDDEN)  # a page elsewhere that calls itself 127.0.0.1 (DNS rebinding)
        elif self.path == "/":
            self._send("text/html; charset=utf-8", _PAGE)
        elif self.path == "/frame.jpg":
            self._send_frame()
        elif self.path == "/stream.mjpg":
            self._send_stream()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def _send_frame(self) -> None:
        found = self.server.newest.after(0)
        if found is None or not found[1]:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, "no frame yet")
            return
        self._send("image/jpeg", found[1])

    def _send_stream(self) -> None:
        newest = self.server.newest
        with newest.changed:
            if newest.clients >= _MOST_CLIENTS:
                self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, "too many clients")
                return
            newest.clients += 1
        try:
            self._stream(newest)
        finally:
            with newest.changed:
                newest.clients -= 1

    def _stream(self, newest: _Newest) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        number = 0
        with suppress(OSError):  # the client has gone
            while (found := newest.after(number)) is not None:
                number, data = found
                if data:
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                    self.wfile.write(head.encode() + data + b"\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
        """Say nothing."""
