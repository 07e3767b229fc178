"""Answers that no honest server gives: the next address is tried, and no more is written than the file has."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request

import pytest

from fomm_cli.errors import FommError
from fomm_cli.files import download as fetching
from fomm_cli.files.download import _SafeRedirects, fetch

CONTENT = b"the file" * 1000
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
ANSWERS = {
    "good": OK + b"Content-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT,
    "length": OK + b"Content-Length: abc\r\n\r\n" + CONTENT,
    "digits": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n" + CONTENT,
    "range": b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-1/" + b"9" * 5000 + b"\r\n\r\n" + CONTENT,
    "bracket": b"HTTP/1.1 302 Found\r\nLocation: http://[::1/\r\n\r\n",
    "label": b"HTTP/1.1 302 Found\r\nLocation: http://" + b"a" * 70 + b"/\r\n\r\n",
    "dots": b"HTTP/1.1 302 Found\r\nLocation: http://a..b/\r\n\r\n",
    "loop": b"HTTP/1.1 302 Found\r\nLocation: /loop\r\n\r\n",
    "status": b"HTTP/1.1 999 \x1b[31m\r\n\r\n",
    "noise": bytes(range(256)) * 4,
    "nothing": b"",
    "too long": OK + b"Content-Length: 99999999\r\n\r\n" + bytes(1000),
    "endless": OK + b"\r\n",
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(fetching, "TIMEOUT", 1)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            kind = self.rfile.readline().split()[1].decode().strip("/").replace("%20", " ")
            try:
                self.wfile.write(ANSWERS[kind])
                while kind == "endless":
                    self.wfile.write(bytes(1 << 16))
            except OSError:
                pass  # the other side has heard enough

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as tcp:
        tcp.daemon_threads = True
        threading.Thread(target=tcp.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{tcp.server_address[1]}"
        tcp.shutdown()


def check(path: Path) -> None:
    if path.read_bytes() != CONTENT:
        raise FommError("another file")


@pytest.mark.parametrize("kind", [kind for kind in ANSWERS if kind != "good"])
def test_the_next_address_is_tried(server: str, kind: str, tmp_path: Path) -> None:
    part = tmp_path / "file.part"
    fetch([f"{server}/{kind.replace(' ', '%20')}", f"{server}/good"], part, check, most_bytes=len(CONTENT), attempts=1)
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize("address", ["notaurl", "http://[::1", "http://exämple/ü", "ftp://", "http://a..b/x", ""])
def test_addresses_that_are_none(server: str, address: str, tmp_path: Path) -> None:
    part = tmp_path / "file.part"
    fetch([address, f"{server}/good"], part, check, most_bytes=len(CONTENT), attempts=1)
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["endless", "too%20long"])
def test_no_more_is_written_than_the_file_has(server: str, kind: str, tmp_path: Path) -> None:
    part = tmp_path / "file.part"
    with pytest.raises(FommError, match="it sends"):
        fetch([f"{server}/{kind}"], part, check, most_bytes=len(CONTENT), attempts=1)
    assert not part.exists() or part.stat().st_size == 0


def test_what_a_server_says_cannot_change_the_terminal(server: str, tmp_path: Path) -> None:
    with pytest.raises(FommError) as caught:
        fetch([f"{server}/status"], tmp_path / "part", check, attempts=1)
    assert str(caught.value).isprintable()


def test_no_redirect_leaves_encryption() -> None:
    request = Request("https://example.com/a")
    with pytest.raises(URLError, match="not encrypted"):
        _SafeRedirects().redirect_request(request, None, 302, "", {}, "http://example.com/a")  # type: ignore[arg-type]
