"""What `fomm web` does with requests that nobody honest sends, over real connections."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

import pytest

from support.web_help import WebServer, web_server

pytest.importorskip("uvicorn", reason="the extra web is not installed")
from starlette.routing import Route
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from fomm_cli.web.limits import Limits
from fomm_cli.web.routes import routes
from fomm_cli.web.studio import Studio

LIMITS = {"upload_bytes": 200_000, "stored_files": 4, "body_seconds": 3.0, "pause_seconds": 0.7, "queued_jobs": 2}
PNG = bytes.fromhex("89504e470d0a1a0a")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_server(tmp_path_factory.mktemp("web"), limits=LIMITS) as running:
        yield running


@pytest.fixture(scope="module")
def every_route(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Method and path of every route, with something in the place of its parameters."""
    studio = Studio(tmp_path_factory.mktemp("studio"), Limits(), "secret")
    found = [("GET", "/nothing/here")]
    for route in routes(studio):
        if isinstance(route, Route):
            path = re.sub(r"\{\w+\}", "x", route.path)
            found += [(method, path) for method in sorted(route.methods or ()) if method != "HEAD"]
    assert len(found) > 14
    return found


def socket_address(server: WebServer, token: str | None = None) -> str:
    return f"ws://127.0.0.1:{server.port}/api/live?token={server.token if token is None else token}"


def test_every_route_demands_the_token(server: WebServer, every_route: list[tuple[str, str]]) -> None:
    for method, path in every_route:
        assert server.ask(method, path, token=False).status == 401, path
        assert server.ask(method, path, headers={"Authorization": "Bearer wrong"}, token=False).status == 401, path
        assert server.ask(method, f"{path}?token={server.token[:-1]}", token=False).status == 401, path
    for path in ("/?token=", f"/assets/{server.token[:-1]}/app.js", "/assets/app.js"):
        assert server.ask("GET", path, token=False).status == 401, path


def test_the_token_opens_in_all_three_places(server: WebServer) -> None:
    assert server.ask("GET", f"/?token={server.token}", token=False).status == 200
    assert server.ask("GET", "/api/jobs").status == 200
    assert server.ask("GET", f"/assets/{server.token}/app.js", token=False).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:80", "localhost.evil.example", "192.168.1.9", ""]
)
def test_a_foreign_host_is_refused_on_every_route(
    server: WebServer, every_route: list[tuple[str, str]], host: str
) -> None:
    for method, path in every_route:
        assert server.ask(method, path, headers={"Host": host}).status == 403, path


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1:{port}"])
def test_a_foreign_origin_is_refused_on_every_route(
    server: WebServer, every_route: list[tuple[str, str]], origin: str
) -> None:
    origin = origin.format(port=server.port)
    for method, path in every_route:
        assert server.ask(method, path, headers={"Origin": origin}).status == 403, path


def test_its_own_names_and_origin_are_welcome(server: WebServer) -> None:
    for name in ("127.0.0.1", "localhost", "[::1]"):
        host = f"{name}:{server.port}"
        assert server.ask("GET", "/api/jobs", headers={"Host": host, "Origin": f"http://{host}"}).status == 200
    forwarded = {"Host": "localhost:9000", "Origin": "http://localhost:9000"}  # ssh -L 9000:127.0.0.1:PORT
    assert server.ask("GET", "/api/jobs", headers=forwarded).status == 200


def test_the_socket_is_guarded_likewise(server: WebServer) -> None:
    handshake = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                 "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
    path, token = "/api/live", f"?token={server.token}"
    assert server.ask("GET", path, headers=handshake, token=False).status == 401
    assert server.ask("GET", f"{path}?token=wrong", headers=handshake, token=False).status == 401
    foreign = {"Origin": "https://evil.example"}
    assert server.ask("GET", path + token, headers={**handshake, **foreign}, token=False).status == 403
    assert server.ask("GET", path + token, headers={**handshake, "Host": "evil.example"}, token=False).status == 403
    with connect(socket_address(server), origin=f"http://127.0.0.1:{server.port}"):
        pass


class _Inline(HTMLParser):
    """Collects what a strict policy forbids in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = dict(attributes)
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(tag)
        self.found += [name for name in names if name.startswith("on") or name == "style"]
        self.found += [str(names[key]) for key in ("src", "href") if not (names.get(key) or "/").startswith(("/", "#"))]


def test_the_policy_is_strict_and_the_page_keeps_it(server: WebServer, every_route: list[tuple[str, str]]) -> None:
    for method, path in every_route:
        for token in (True, False):
            policy = server.ask(method, path, token=token).headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy.replace("style-src 'unsafe-inline'", "" if "sandbox" in policy else "!")
    page = server.ask("GET", "/")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in page.headers
    inline = _Inline()
    inline.feed(page.body.decode())
    assert inline.found == []


@pytest.mark.parametrize(
    "name", ["../../escaped.png", "..\\\\..\\\\escaped.png", "/srv/escaped.png", "a/../../b.png", "x" * 500 + ".png"]
)
def test_names_of_uploads_are_never_paths(server: WebServer, name: str) -> None:
    before = {path for path in server.temporary.rglob("*") if path.is_file()}
    answer = server.upload(name, PNG)
    assert answer.status == 201
    number, shown = answer.json["id"], answer.json["name"]
    (new,) = {path for path in server.temporary.rglob("*") if path.is_file()} - before
    assert new == server.folder / "files" / f"{number}.png"
    assert "/" not in shown and "\\" not in shown and len(shown) <= 80
    assert server.ask("DELETE", f"/api/files/{number}").status == 204
    assert not new.exists()


@pytest.mark.parametrize(
    "path",
    [
        "/assets/{token}/../routes.py",
        "/assets/{token}/..%2f..%2fweb%2froutes.py",
        "/assets/{token}/%2e%2e/%2e%2e/web/routes.py",
        "/api/files/..%2f..%2fetc%2fpasswd",
        "/api/jobs/..%2f..%2f/result",
        "/assets/{token}//etc/passwd",
    ],
)
def test_paths_lead_nowhere_else(server: WebServer, path: str) -> None:
    answer = server.ask("GET", path.format(token=server.token))
    assert answer.status == 404
    assert b"import" not in answer.body and b"root:" not in answer.body


def test_uploaded_pages_and_drawings_stay_inert(server: WebServer) -> None:
    for name in ("page.html", "drawing.svg", "script.js"):
        number = server.upload(name, b"<svg onload=alert(1)>").json["id"]
        answer = server.ask("GET", f"/api/files/{number}")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        server.ask("DELETE", f"/api/files/{number}")


def test_ten_gigabytes_announced_are_refused_before_they_come(server: WebServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        head = (
            f"POST /api/files HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.token}\r\n"
            "Content-Type: multipart/form-data; boundary=cut\r\nContent-Length: 10000000000\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_longer_than_allowed_is_cut_off(server: WebServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        head = (
            f"POST /api/files HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.token}\r\n"
            "Content-Type: multipart/form-data; boundary=cut\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        part = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        connection.sendall(head.encode() + b"%x\r\n%s\r\n" % (len(part), part))
        sent = 0
        try:
            while sent < 20_000_000:
                connection.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                sent += 0x10000
        except OSError:
            pass
        assert sent < 20_000_000, "the server took a hundred times what it allows"
    assert not list((server.folder / "files").iterdir())
    assert server.ask("GET", "/api/jobs").status == 200


def test_too_many_files_are_refused(server: WebServer) -> None:
    numbers = [server.upload("a.png", PNG).json["id"] for _ in range(LIMITS["stored_files"])]  # type: ignore[call-overload]
    answer = server.upload("a.png", PNG)
    assert answer.status == 400
    assert "limit" in answer.error
    for number in numbers:
        assert server.ask("DELETE", f"/api/files/{number}").status == 204


def test_slow_clients_are_let_go(server: WebServer) -> None:
    line = f"POST /api/files HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    form = "Content-Type: multipart/form-data; boundary=cut\r\n"
    rest = f"Authorization: Bearer {server.token}\r\n{form}Content-Length: 1000\r\n\r\n--cut"
    for text in ("", line, line + rest):  # nothing, half a head, half a body
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(text.encode())
            answer = connection.recv(1000)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 408")
            assert time.monotonic() - began < 5


def test_a_body_in_drops_ends_at_its_deadline(server: WebServer) -> None:
    head = (
        f"POST /api/files HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.token}\r\n"
        "Content-Type: multipart/form-data; boundary=cut\r\nContent-Length: 1000\r\n\r\n"
    )
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head.encode())
        try:
            while time.monotonic() - began < 10:  # a byte every 0.2 s keeps below the limit of pauses
                connection.sendall(b"-")
                connection.settimeout(0.2)
                try:
                    if connection.recv(1000) is not None:
                        break
                except TimeoutError:
                    continue
        except OSError:
            pass
    assert time.monotonic() - began < 8


def test_fifty_sockets_and_silent_connections_do_not_stop_it(server: WebServer) -> None:
    before = set(server.children())
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]

    def knock(_: int) -> str:
        try:
            with connect(socket_address(server), open_timeout=20) as live:
                live.recv(timeout=20)
        except ConnectionClosed as error:
            assert error.rcvd is not None
            return error.rcvd.reason
        return "a message"

    with ThreadPoolExecutor(50) as pool:
        reasons = list(pool.map(knock, range(50)))
    began = time.monotonic()
    assert server.ask("GET", "/api/jobs").status == 200
    assert time.monotonic() - began < 3
    assert any("another page is live" in reason for reason in reasons)
    for connection in silent:
        connection.close()
    assert set(server.children()) <= before, "a process was started for a socket that did not begin"


@pytest.mark.parametrize(
    ("order", "named"),
    [
        ({"source": "sample-source", "driving": "nothing"}, "nothing"),
        ({"source": "../../etc/passwd", "driving": "sample-driving"}, "passwd"),
        (
            {"source": "sample-source", "driving": "sample-driving", "options": {"result_video": "/srv/x.mp4"}},
            "result_video",
        ),
        (
            {"source": "sample-source", "driving": "sample-driving", "options": {"checkpoint": "/etc/passwd"}},
            "checkpoint",
        ),
        (
            {"source": "sample-source", "driving": "sample-driving", "options": {"background": "/etc/passwd"}},
            "background",
        ),
        ({"source": "sample-source", "driving": "sample-driving", "options": {"mark": "none"}}, "mark"),
        ({"source": "sample-source", "driving": "sample-driving", "options": {"crf": 60}}, "crf"),
        ({"source": "sample-source", "driving": "sample-driving", "options": {"fit": "bend"}}, "fit"),
        ({"source": "sample-source", "driving": "sample-driving", "model": "../vox"}, "../vox"),
        ({"source": "sample-source", "driving": "sample-driving", "format": "exe"}, "format"),
        ({"kind": "score", "job": "nothing"}, "job"),
        ([1, 2], ""),
    ],
)
def test_wrong_orders_are_explained(server: WebServer, order: object, named: str) -> None:
    answer = server.ask("POST", "/api/jobs", order)
    assert answer.status in (400, 404)
    assert named in answer.error
    assert answer.json["error"]["next_step"]


def test_a_killed_job_is_told_and_the_next_one_runs(server: WebServer) -> None:
    first = server.animate()
    server.wait_for(first, "running")
    waiting = [server.animate(max_frames=2, crop="none"), server.animate(max_frames=2, crop="none")]
    assert [server.job(each)["state"] for each in waiting] == ["queued", "queued"]
    assert (
        "too many jobs"
        in server.ask("POST", "/api/jobs", {"source": "sample-source", "driving": "sample-driving"}).error
    )
    server.ask("POST", f"/api/jobs/{waiting[0]}/cancel")
    (child,) = server.wait_for_children()
    os.kill(child, signal.SIGKILL)
    failed = server.wait_for(first, "failed", seconds=10)
    assert "memory" in failed["error"]["next_step"]
    done = server.wait_for(waiting[1], "done")
    assert done["result"]["frames"] == 2
    assert server.job(waiting[0])["state"] == "cancelled"
    assert server.ask("GET", f"/api/jobs/{first}/result").status == 404
    assert [path.name for path in server.folder.glob("job-*/*")] == ["result.mp4"]


def test_ctrl_c_ends_it_within_two_seconds_and_leaves_nothing(tmp_path: Path) -> None:
    with web_server(tmp_path) as server:
        server.upload("a.png", PNG)
        job = server.animate()
        server.wait_for(job, "running")
        with socket.create_connection(("127.0.0.1", server.port)) as stream, connect(socket_address(server)):
            request = f"GET /api/jobs/{job}/events?token={server.token} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            stream.sendall(request.encode())
            assert b"200" in stream.recv(100)
            children = server.wait_for_children()
            began = time.monotonic()
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(10) == 130
            assert time.monotonic() - began < 2
    assert not list(tmp_path.iterdir())
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_even_killed_it_leaves_nothing_but_for_a_moment(tmp_path: Path) -> None:
    with web_server(tmp_path) as server:
        server.wait_for(server.animate(), "running")
        (child,) = server.wait_for_children()
        server.process.kill()
        server.process.wait()
    end = time.monotonic() + 10
    while time.monotonic() < end and (list(tmp_path.iterdir()) or Path(f"/proc/{child}").exists()):
        time.sleep(0.05)
    assert not list(tmp_path.iterdir())
