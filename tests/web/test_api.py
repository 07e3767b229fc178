"""The API of `fomm web`: the examples of docs/web.md as they stand there, queue, options, and safe addresses."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import struct
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.media_helpers import decode
from support.portraits import astronaut, save_scene
from support.web_help import WebServer, web_server

pytest.importorskip("uvicorn", reason="the extra web is not installed")
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from fomm_cli.errors import InputError
from fomm_cli.marks.verify import verify
from fomm_cli.models.bundled import sample
from fomm_cli.web.live_tasks import put_frame
from fomm_cli.web.options import WebJob
from fomm_cli.web.security import Access

DOCS = Path(__file__).parent.parent.parent / "docs" / "web.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_server(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.mark.parametrize("language", ["sh", "python"])
def test_the_examples_of_the_docs(server: WebServer, tmp_path: Path, language: str) -> None:
    if language == "sh" and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (example,) = (
        text for text in re.findall(rf"```{language}\n(.*?)```", DOCS.read_text(), re.DOTALL) if "/api/" in text
    )
    shutil.copy(sample()[0], tmp_path / "me.png")
    shutil.copy(sample()[1], tmp_path / "talking.mp4")
    environment = {**os.environ, "HOST": server.address.partition("/?")[0], "TOKEN": server.token}
    command = ["bash", "-euo", "pipefail", "-c", example] if language == "sh" else [sys.executable, "-c", example]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"running.*animating", done.stdout, re.DOTALL)
    assert len(decode(tmp_path / "result.mp4")[0]) == 3
    if language == "sh":
        assert '"verdict"' in done.stdout


def test_check_finds_all_faces_where_they_are(server: WebServer, tmp_path: Path) -> None:
    save_scene("turned", astronaut(), tmp_path / "a.png")  # turned by EXIF, as from a phone
    number = server.upload("a.png", (tmp_path / "a.png").read_bytes()).json["id"]
    answer = server.ask("POST", "/api/check", {"source": number, "driving": "sample-driving"}).json
    assert (answer["width"], answer["height"]) == (900, 600)
    (face,) = answer["faces"]
    assert abs((face["left"] + face["right"]) / 2 - (80 + 225)) < 30
    assert {finding["verdict"] for finding in answer["source"]} <= {"good", "fair", "poor"}
    assert answer["driving"]
    preview = Image.open(BytesIO(server.ask("GET", f"/api/files/{number}/preview").body))
    assert preview.size == (900, 600)


def test_a_result_can_be_seeked_and_is_named(server: WebServer) -> None:
    job = server.animate(max_frames=2, crop="none")
    server.wait_for(job, "done")
    whole = server.ask("GET", f"/api/jobs/{job}/result")
    part = server.ask("GET", f"/api/jobs/{job}/result", headers={"Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, whole.body[10:20])
    assert whole.headers["content-type"] == "video/mp4"
    named = server.ask("GET", f"/api/jobs/{job}/result?download").headers["content-disposition"]
    assert named.startswith("attachment") and "sample%20portrait-sample%20video.mp4" in named
    assert server.ask("DELETE", f"/api/jobs/{job}").status == 204
    assert server.ask("GET", f"/api/jobs/{job}").status == 404


def test_a_result_is_marked(server: WebServer, tmp_path: Path) -> None:
    job = server.animate(max_frames=2, crop="none")
    server.wait_for(job, "done")
    (tmp_path / "result.mp4").write_bytes(server.ask("GET", f"/api/jobs/{job}/result").body)
    found = verify(tmp_path / "result.mp4")
    assert found.metadata is not None
    assert found.invisible is not None
    assert found.metadata.checkpoint_sha256.startswith(f"{found.invisible.payload.checkpoint:04x}")


def test_a_motion_of_the_package_drives_a_portrait(server: WebServer) -> None:
    assert "nod" in server.ask("GET", "/api/options").json["motions"]
    job = server.animate(driving="motion:nod", duration=0.4, crop="none")
    done = server.wait_for(job, "done")
    assert done["title"] == "sample portrait · nod"
    assert done["result"]["duration"] == pytest.approx(0.4, abs=0.05)
    assert "without its video" in server.ask("POST", "/api/jobs", {"kind": "score", "job": job}).error
    assert server.ask("POST", "/api/check", {"source": "sample-source", "driving": "motion:nod"}).status == 200


def test_errors_call_files_by_their_owners_names(server: WebServer) -> None:
    number = server.upload("holiday.png", b"<!doctype html><title>no image</title>").json["id"]
    answer = server.ask("POST", "/api/check", {"source": number})
    assert answer.status == 400
    assert "holiday.png" in answer.error and str(server.temporary) not in answer.error
    job = server.wait_for(server.animate(source=number), "failed")
    assert "holiday.png" in job["error"]["problem"]
    assert str(server.temporary) not in json.dumps(job)


def test_live_over_a_plain_socket(server: WebServer) -> None:
    stream = BytesIO()
    Image.fromarray(astronaut()[:384, :384]).save(stream, "JPEG")
    blue = np.asarray(Image.open(sample()[0]).convert("RGB")) // (4, 4, 1)
    added = server.upload("blue.png", png(blue.astype(np.uint8))).json["id"]
    with connect(server.address.replace("http", "ws").replace("/?", "/api/live?"), open_timeout=20) as live:

        def send_frame(time: float, image: bytes = stream.getvalue()) -> None:
            live.send(struct.pack("<d", time) + image)

        def answer(time: float) -> tuple[dict[str, Any], np.ndarray]:
            message = live.recv(60)
            assert isinstance(message, bytes)
            (length,) = struct.unpack_from("<I", message)
            figures = json.loads(message[4 : 4 + length])
            assert figures["captured_at"] == time
            assert figures["milliseconds"]["all"] >= figures["milliseconds"]["decode"] > 0
            return figures, np.asarray(Image.open(BytesIO(message[4 + length :])))

        live.send(json.dumps({"avatars": ["sample-source", "sample-source"]}))
        assert json.loads(live.recv(60)) == {"type": "ready", "avatars": 2}
        send_frame(0.0)
        assert answer(0.0)[1].shape == (256, 256, 3)
        live.send(json.dumps({"command": "switch_avatar", "value": 1}))
        live.send(json.dumps({"command": "motion_scale", "value": 0.5}))
        live.send(json.dumps({"command": "take_reference"}))
        send_frame(0.1)
        send_frame(0.2)  # a second one, before the first is answered
        answer(0.1)
        answer(0.2)
        live.send(json.dumps({"command": "add_avatar", "file": added}))
        live.send(json.dumps({"command": "switch_avatar", "value": 2}))
        moments = (1 + index / 10 for index in range(200))
        for moment in moments:  # the new avatar is encoded beside the frames
            send_frame(moment)
            figures, image = answer(moment)
            if figures["avatar"] == 2:
                break
        assert image[..., 2].mean() > 2 * image[..., 0].mean()
        send_frame(100.0, b"no image at all")
        assert "JPEG" in json.loads(live.recv(10))["problem"]
        with pytest.raises(ConnectionClosed):
            live.recv(10)


def png(image: np.ndarray) -> bytes:
    stream = BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("size", [(2001, 8), (20_000, 20_000)])
def test_a_huge_camera_frame_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    frame = BytesIO()
    Image.new("1", size).save(frame, "PNG")
    with pytest.raises(InputError, match="too large"):
        put_frame({"frame": frame.getvalue(), "captured_at": 0.0, "most_pixels": 2000}, lambda *_: None)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "somewhere.example"])  # noqa: S104 - refused
def test_other_machines_need_tls_or_an_explicit_risk(host: str) -> None:
    with pytest.raises(InputError, match="unencrypted"):
        WebJob(host=host)
    assert WebJob(host=host, insecure=True).host == host


def test_hosts_that_a_public_server_answers_to() -> None:
    public = Access("0.0.0.0")  # noqa: S104 - nothing listens
    assert public.allows_host("192.168.1.5:8765") and public.allows_host("[fe80::1]:8765")
    assert not public.allows_host("evil.example:8765")
    assert public.address(8765).startswith("http://127.0.0.1:8765/?token=")


def test_tls(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    (tmp_path / "made").mkdir()
    with web_server(tmp_path / "made", "--cert", str(cert), "--key", str(key)) as server:
        trusting = ssl.create_default_context(cafile=str(cert))
        address = server.address.replace("127.0.0.1", "localhost")
        assert address.startswith("https://")
        with urllib.request.urlopen(address, context=trusting) as page:  # noqa: S310 - our own address
            assert b"fomm" in page.read()
    broken = subprocess.run(
        [sys.executable, "-m", "fomm_cli", "web", "--no_browser", "--port", "0", "--cert", key],
        capture_output=True,
        text=True,
    )
    assert broken.returncode == 2
    assert broken.stderr.count("\n") == 1 and "certificate" in broken.stderr


def test_a_port_that_is_taken(server: WebServer) -> None:
    command = [sys.executable, "-m", "fomm_cli", "web", "--no_browser", "--port", str(server.port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--port" in done.stderr and done.stdout == ""
