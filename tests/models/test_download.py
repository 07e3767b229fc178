"""Downloads, from a real server that misbehaves as servers do."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fomm_cli import cli
from fomm_cli.animation.animator import Animator
from fomm_cli.errors import FommError, InputError
from fomm_cli.files import cache
from fomm_cli.files import download as fetching
from fomm_cli.files.cache import cache_folder
from fomm_cli.models.catalogue import CATALOGUE, Published
from fomm_cli.models.download import download, resolve_checkpoint
from support.parity_data import PARITY

CONTENT = (PARITY / "tiny_first_order.pth.tar").read_bytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """What each path does, and what was asked for."""

    address: str
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    failures: int = 1  # how often /cut and /stall fail before they behave


@pytest.fixture
def server() -> Iterator[Server]:
    stopping = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            span = self.headers.get("Range")
            known.requests.append((self.path, span))
            kind = self.path.split("/")[1]
            if kind == "dead":
                self.send_error(404)
            elif kind == "page":
                self.answer(b"<!DOCTYPE html><title>quota exceeded</title>", kind="text/html")
            elif kind == "disguised":
                self.answer(b"\n<html>quota exceeded</html>")
            elif kind == "other":
                self.answer(bytes(len(CONTENT)), span=span)
            else:
                fails = kind != "plain" and known.failures > 0
                known.failures -= fails
                self.answer(CONTENT, span=None if "whole" in self.path else span, trouble=kind if fails else "")

        def answer(self, body: bytes, *, kind: str = "", span: str | None = None, trouble: str = "") -> None:
            start = int(span.removeprefix("bytes=").removesuffix("-")) if span else 0
            if span and start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if span else 200)
            if span:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Type", kind or "application/octet-stream")
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            end = (start + len(body)) // 2 if trouble else len(body)
            self.wfile.write(body[start:end])
            self.wfile.flush()
            if trouble == "stall":
                stopping.wait(20)
            self.close_connection = True

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = Server(f"http://127.0.0.1:{httpd.server_address[1]}")
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
    thread.start()
    yield known
    stopping.set()
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FOMM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(fetching, "TIMEOUT", 1)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def publish(monkeypatch: pytest.MonkeyPatch, *mirrors: str, sha256: str | None = SHA256) -> Published:
    config = str(PARITY / "tiny_first_order.yaml")
    entry = Published("vox", config, "vox-cpk.pth.tar", mirrors, len(CONTENT), sha256)
    monkeypatch.setitem(CATALOGUE, "vox", entry)
    return entry


@pytest.mark.parametrize("kind", ["plain", "cut", "stall", "cut/whole", "stall/whole"])
def test_the_file_arrives_whole_whatever_the_connection_does(
    kind: str, server: Server, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    publish(monkeypatch, f"{server.address}/{kind}")
    seen: list[tuple[int, int | None]] = []
    result = download("vox", lambda _, done, total: seen.append((done, total)))
    assert result.path == home / "vox-cpk.pth.tar"
    assert result.path.read_bytes() == CONTENT
    assert (result.sha256, result.fetched) == (SHA256, True)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [path.name for path in home.iterdir()] == ["vox-cpk.pth.tar"]
    if kind != "plain":
        assert [span for _, span in server.requests] == [None, f"bytes={len(CONTENT) // 2}-"]


def test_a_download_that_was_broken_off_goes_on(server: Server, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    publish(monkeypatch, f"{server.address}/plain")
    home.mkdir()
    (home / "vox-cpk.pth.tar.part").write_bytes(CONTENT[:1000])
    assert download("vox").path.read_bytes() == CONTENT
    assert server.requests == [("/plain", "bytes=1000-")]


@pytest.mark.parametrize("rest", [CONTENT, CONTENT + b"more", bytes(1000)])
def test_a_part_that_is_complete_longer_or_of_another_file_is_no_trouble(
    rest: bytes, server: Server, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    publish(monkeypatch, f"{server.address}/plain")
    home.mkdir()
    (home / "vox-cpk.pth.tar.part").write_bytes(rest)
    assert download("vox").path.read_bytes() == CONTENT


@pytest.mark.parametrize("bad", ["dead", "page", "disguised", "other"])
def test_the_next_address_is_tried(bad: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, f"{server.address}/{bad}", f"{server.address}/plain")
    assert download("vox").path.read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == [f"/{bad}", "/plain"]


def test_without_any_address_the_error_says_what_to_do(
    server: Server, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    server.failures = 100
    kinds = ("dead", "page", "other", "cut/whole")
    entry = publish(monkeypatch, *(f"{server.address}/{kind}" for kind in kinds), "http://127.0.0.1:9/gone")
    with pytest.raises(FommError) as raised:
        download("vox")
    message = str(raised.value)
    for words in ("HTTP 404", "web page", f"not {SHA256}", "the connection ended after", "refused", "checkpoints/"):
        assert words in message
    assert all(address in message for address in entry.addresses)
    assert str(home) in message
    assert "\n" not in message
    assert raised.value.exit_code == 1
    assert not (home / "vox-cpk.pth.tar").exists()


def test_a_server_that_only_stalls_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.failures = 100
    monkeypatch.setattr(fetching, "TIMEOUT", 0.3)
    publish(monkeypatch, f"{server.address}/stall/whole")
    began = time.monotonic()
    with pytest.raises(FommError, match="nothing came"):
        download("vox")
    assert len(server.requests) == fetching.ATTEMPTS + 1  # the first one brings half of it
    assert time.monotonic() - began < 15


def test_a_file_without_a_known_hash_has_to_be_a_checkpoint(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, f"{server.address}/other", f"{server.address}/plain", sha256=None)
    assert download("vox").sha256 == SHA256
    assert len(server.requests) == 2


def test_a_name_downloads_once_and_brings_its_config(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, f"{server.address}/plain")
    for _ in range(2):
        animator = Animator.load("vox", device="cpu")
        assert animator.config.model_params.kp_detector_params.block_expansion == 4
        assert animator.checkpoint_sha256 == SHA256
    assert len(server.requests) == 1


def test_the_folder_checkpoints_is_looked_at(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, f"{server.address}/plain")
    place = Path("checkpoints") / "vox-cpk.pth.tar"
    place.parent.mkdir()
    place.write_bytes(CONTENT)
    assert resolve_checkpoint("vox")[0] == place
    assert resolve_checkpoint("vox-cpk.pth.tar") == (place, None)
    assert server.requests == []
    Path("vox").write_bytes(CONTENT)
    assert resolve_checkpoint("vox") == (Path("vox"), None)  # a file wins


def test_another_file_under_the_published_name_is_left_alone_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch)
    place = Path("checkpoints") / "vox-cpk.pth.tar"
    place.parent.mkdir()
    place.write_bytes(b"something else")
    with pytest.raises(FommError, match="is not the published file") as raised:
        download("vox")
    assert str(place) in str(raised.value)
    assert place.exists()


def test_hugging_face_can_be_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://hf-mirror.example/")
    first, second, *_ = CATALOGUE["vox"].addresses
    assert first == "https://hf-mirror.example/MCMLXXXVII/thinplatesv1/resolve/main/vox-cpk.pth.tar"
    assert second.startswith("https://github.com/")


def test_the_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == tmp_path / "home"
    monkeypatch.delenv("FOMM_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder() == tmp_path / "caches" / "fomm"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(cache.sys, "platform", "linux")
    assert cache_folder() == Path.home() / ".cache" / "fomm"


def test_the_command_lists_and_downloads(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(monkeypatch, f"{server.address}/plain")
    assert cli.main(["download", "vox", "--json"]) == 0
    path = Path(json.loads(capsys.readouterr().out)["path"])
    assert path.read_bytes() == CONTENT
    assert cli.main(["download", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(CATALOGUE)
    assert str(path) in lines[0]
    assert cli.main(["download"]) == 2
    assert cli.main(["download", "voks"]) == 2
    assert "Known: vox, vox-adv" in capsys.readouterr().err.splitlines()[-1]


def test_an_unknown_name_is_wrong_use() -> None:
    with pytest.raises(InputError, match="Known: vox"):
        download("voks")
