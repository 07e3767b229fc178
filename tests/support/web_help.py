"""Run `fomm web` for tests: started as users start it, asked over real connections."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_WITH_LIMITS = """
import sys
from fomm_cli.web.limits import Limits
from fomm_cli.web.options import WebJob
from fomm_cli.web.server import serve
try:
    serve(WebJob(port=0, no_browser=True), lambda address: print(address, flush=True), Limits(**{limits!r}))
except KeyboardInterrupt:
    sys.exit(130)
"""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return " ".join(self.json["error"].values())


@dataclass
class WebServer:
    """A running server.

    Attributes:
        address: of the page, with the token.
        process: the program.
        temporary: the folder in which it makes its own.
    """

    address: str
    process: subprocess.Popen[str]
    temporary: Path

    @property
    def token(self) -> str:
        return self.address.rpartition("token=")[2]

    @property
    def port(self) -> int:
        return int(urlsplit(self.address).port or 0)

    @property
    def folder(self) -> Path:
        """Return the temporary folder of the server."""
        return next(self.temporary.glob("fomm-web-*"))

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        token: bool = True,
    ) -> Answer:
        """Send a request and return the whole answer; a `body` that is no bytes is sent as JSON."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"Authorization": f"Bearer {self.token}"} if token else {}
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, content, {**sent, **(headers or {})})
        response: HTTPResponse = connection.getresponse()
        try:
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def upload(self, name: str, content: bytes, **headers: str) -> Answer:
        """Upload a file as a browser does."""
        head = f'--cut\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = head.encode() + content + b"\r\n--cut--\r\n"
        return self.ask("POST", "/api/files", body, {"Content-Type": "multipart/form-data; boundary=cut", **headers})

    def animate(self, source: str = "sample-source", driving: str = "sample-driving", **options: Any) -> str:
        """Start a job and return its id."""
        answer = self.ask("POST", "/api/jobs", {"source": source, "driving": driving, "options": options})
        assert answer.status == 202, answer.body
        return str(answer.json["id"])

    def job(self, number: str) -> dict[str, Any]:
        return dict(self.ask("GET", f"/api/jobs/{number}").json)

    def wait_for(self, number: str, *states: str, seconds: float = 120) -> dict[str, Any]:
        """Wait until a job is in one of these states."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            job = self.job(number)
            if job["state"] in states:
                return job
            time.sleep(0.05)
        raise AssertionError(f"the job is still {job}")

    def children(self) -> list[int]:
        """Return the ids of the processes that compute."""
        command = ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(self.process.pid)]
        listed = subprocess.run(command, capture_output=True, text=True, check=False)
        return [int(line.split()[0]) for line in listed.stdout.splitlines() if "spawn_main" in line]

    def wait_for_children(self) -> list[int]:
        """Wait until a process computes."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if found := self.children():
                return found
            time.sleep(0.02)
        raise AssertionError("no process was started")


@contextmanager
def web_server(temporary: Path, *arguments: str, limits: dict[str, Any] | None = None) -> Iterator[WebServer]:
    """Run a server, by `fomm web` or, where limits are to be lower than its own, by the function behind it."""
    command = ["-m", "fomm_cli", "web", "--no_browser", "--port", "0", *arguments]
    if limits is not None:
        command = ["-c", _WITH_LIMITS.format(limits=limits)]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"https?://\S+:\d+/\?token=\S{20,}", address), address
        yield WebServer(address, process, temporary)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
