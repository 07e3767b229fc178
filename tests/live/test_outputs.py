"""Where live frames go: a stream over HTTP, a recording, a window."""

from __future__ import annotations

import http.client
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fomm_cli.errors import InputError
from fomm_cli.live.controls import KEYS
from fomm_cli.live.mjpeg import MjpegServer
from fomm_cli.live.options import LiveJob
from fomm_cli.live.recording import Recorder
from fomm_cli.live.run import run_live
from fomm_cli.live.window import with_text
from fomm_cli.marks.label import draw_label
from fomm_cli.marks.options import LABEL
from fomm_cli.marks.verify import verify
from fomm_cli.media.destination import Target
from support.media_helpers import decode, ffmpeg, gradient, metadata
from support.portraits import astronaut, placed, resized


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with closing(MjpegServer(0)) as running:
        yield running


def request(server: MjpegServer, path: str, host: str | None = None) -> http.client.HTTPResponse:
    address = server.address.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", path, headers={} if host is None else {"Host": host})
    return connection.getresponse()


def next_image(stream: http.client.HTTPResponse) -> np.ndarray:
    assert stream.readline().strip() == b"--frame"
    length = 0
    while line := stream.readline().strip():
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    data = stream.read(length)
    stream.readline()
    return np.asarray(Image.open(io.BytesIO(data)))


def test_the_stream_shows_the_newest_frame(server: MjpegServer) -> None:
    server.put(np.full((64, 48, 3), (200, 20, 60), np.uint8))
    stream = request(server, "/stream.mjpg")
    assert stream.headers["Content-Type"].startswith("multipart/x-mixed-replace")
    first = next_image(stream)
    assert first.shape == (64, 48, 3)
    assert first[20, 20] == pytest.approx((200, 20, 60), abs=6)
    for level in (10, 90, 170):
        server.put(np.full((64, 48, 3), level, np.uint8))
    time.sleep(0.2)
    assert any(next_image(stream)[0, 0, 0] == pytest.approx(170, abs=3) for _ in range(3))


def test_ffmpeg_reads_the_stream(server: MjpegServer, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(
            ffmpeg, "-f", "mpjpeg", "-i", f"{server.address}/stream.mjpg", "-frames:v", "3", tmp_path / "seen%d.png"
        )
        for level in range(0, 250, 10):
            server.put(np.full((64, 48, 3), (level, 20, 60), np.uint8))
            if wait([reading], timeout=0.2).done:
                break
    reading.result()
    levels = [int(np.asarray(Image.open(tmp_path / f"seen{number}.png"))[20, 20, 0]) for number in (1, 2, 3)]
    assert levels == sorted(levels) and levels[0] < levels[-1]


def test_a_slow_client_holds_nobody_up(server: MjpegServer) -> None:
    server.put(gradient(480, 640))
    request(server, "/stream.mjpg")  # and never read
    began = time.perf_counter()
    for phase in range(200):
        server.put(gradient(48, 64, phase))
    assert time.perf_counter() - began < 5
    assert request(server, "/frame.jpg").status == 200


def test_there_is_a_page_and_a_single_frame_and_nothing_else(server: MjpegServer) -> None:
    assert request(server, "/frame.jpg").status == 503, "no frame yet"
    server.put(gradient(64, 64))
    assert b"/stream.mjpg" in request(server, "/").read()
    assert Image.open(io.BytesIO(request(server, "/frame.jpg").read())).size == (64, 64)
    assert request(server, "/../etc/passwd").status == 404


def test_pages_of_other_hosts_get_nothing(server: MjpegServer) -> None:
    server.put(gradient(64, 64))
    assert request(server, "/frame.jpg", host="evil.example:80").status == 403


def test_a_taken_port_is_told(server: MjpegServer) -> None:
    with pytest.raises(InputError, match="--port"):
        MjpegServer(int(server.address.rpartition(":")[2]))


def test_a_recording_has_the_times_of_the_camera(tmp_path: Path) -> None:
    times = [5.0, 5.04, 5.2, 5.23, 6.0]
    recorder = Recorder(Target.of(tmp_path / "live.mp4", still=False), "0" * 64)
    for index, moment in enumerate(times):
        recorder.write(gradient(48, 64, 20 * index), moment)
    assert list(tmp_path.glob("live.mp4")) == [], "not before it is whole"
    recorder.close()
    frames, shown = decode(tmp_path / "live.mp4")
    assert len(frames) == 5
    assert shown == pytest.approx([moment - 5 for moment in times], abs=0.001)
    assert "Synthetic media" in metadata(tmp_path / "live.mp4")


def test_a_recording_is_marked(tmp_path: Path) -> None:
    recorder = Recorder(Target.of(tmp_path / "live.mp4", still=False), "abcd" + 60 * "0")
    for index in range(4):
        recorder.write(gradient(256, 256, 4 * index), index / 25)
    recorder.close()
    found = verify(tmp_path / "live.mp4")
    assert found.metadata is not None
    assert found.invisible is not None
    assert found.invisible.payload.checkpoint == 0xABCD


def test_a_recording_goes_on_where_the_size_of_the_frames_changes(tmp_path: Path) -> None:
    recorder = Recorder(Target.of(tmp_path / "live.mp4", still=False), "0" * 64)
    for index, size in enumerate([(128, 128), (256, 192), (64, 128)]):
        recorder.write(gradient(*size), index / 25)
    recorder.close()
    assert decode(tmp_path / "live.mp4")[0].shape == (3, 128, 128, 3)


def test_a_recording_without_a_frame_leaves_nothing(tmp_path: Path) -> None:
    Recorder(Target.of(tmp_path / "live.mp4", still=False), "0" * 64).close()
    assert list(tmp_path.iterdir()) == []


def test_text_leaves_the_frame_below_as_it_is() -> None:
    image = gradient(256, 256)
    drawn = with_text(image, ["one", "two"])
    assert np.array_equal(drawn[60:], image[60:])
    assert not np.array_equal(drawn[:40], image[:40])
    assert with_text(image, []) is image


def clip(path: Path, seconds: int) -> Path:
    """A file for a camera: a face that sways."""
    picture = resized(astronaut(), 400, 400)
    for index in range(25):
        x = 120 + round(20 * np.sin(2 * np.pi * index / 25))
        Image.fromarray(placed(picture, 640, 480, x, 80)).save(path.parent / f"cam{index:02d}.png")
    ffmpeg("-stream_loop", str(seconds - 1), "-framerate", "25", "-i", path.parent / "cam%02d.png",
           "-pix_fmt", "yuv420p", path)  # fmt: skip
    return path


def fomm(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "fomm_cli", *map(str, arguments)]


@pytest.fixture(scope="module")
def camera_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip(tmp_path_factory.mktemp("camera") / "cam.mp4", seconds=1)


def test_a_file_is_animated_frame_by_frame(camera_file: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        fomm("live", "--camera", camera_file, "-o", tmp_path / "out.mp4", "--no_realtime", "--json", "--cpu",
             "--threads", "2", "--face_backend", "builtin"),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["frames"], figures["dropped"]) == (25, 0)
    assert set(figures["milliseconds"]) == {"detect", "decode", "other", "show"}
    assert 0 < figures["delay_ms"]["median"] <= figures["delay_ms"]["p95"]
    frames, times = decode(tmp_path / "out.mp4")
    assert frames.shape == (25, 256, 256, 3)
    assert times == pytest.approx([index / 25 for index in range(25)], abs=0.001)
    assert np.abs(frames[-1].astype(int) - frames[-7]).mean() > 0.5, "the avatar sways too"


def test_the_stream_is_labelled_unless_told_otherwise(camera_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[np.ndarray] = []
    stream = SimpleNamespace(address="", put=shown.append, close=lambda: None)
    monkeypatch.setattr("fomm_cli.live.outputs.MjpegServer", lambda _: stream)
    for label, frames in ((True, 1), (False, 2)):
        job = LiveJob(camera=str(camera_file), output="mjpeg", realtime=False, label=label, threads=1,
                      device="cpu", crop="none", face_backend="builtin")  # fmt: skip
        run_live(job, stopped=lambda frames=frames: len(shown) == frames)
    labelled, plain = shown
    assert not np.array_equal(labelled, plain)
    assert np.array_equal(labelled, draw_label(plain, LABEL))


def test_black_frames_are_told_with_the_other_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    black = tmp_path / "black.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=black:size=320x240:rate=2:duration=5", "-pix_fmt", "yuv420p", black)
    job = LiveJob(camera=str(black), output=str(tmp_path / "out.mp4"), realtime=False, threads=1, device="cpu",
                  face_backend="builtin")  # fmt: skip
    assert run_live(job, lambda: False).frames == 10
    assert sum("black frames" in message and "fomm web" in message for message in caplog.messages) == 1


def test_ctrl_c_completes_the_file(camera_file: Path, tmp_path: Path) -> None:
    long = tmp_path / "long.mp4"
    ffmpeg("-stream_loop", "60", "-i", camera_file, "-c", "copy", long)
    running = subprocess.Popen(
        fomm("live", "--camera", long, "-o", tmp_path / "out.mp4", "--cpu", "--threads", "1", "--crop", "none"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    with running:
        try:
            deadline = time.monotonic() + 60
            while not list(tmp_path.glob(".out.*")):
                assert time.monotonic() < deadline
                assert running.poll() is None
                time.sleep(0.1)
            time.sleep(2)
            running.send_signal(signal.SIGINT)
            out, error = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 0, error
    assert "frames/s" in out
    assert len(decode(tmp_path / "out.mp4")[0]) > 2
    assert list(tmp_path.glob(".*")) == []


def test_an_input_is_never_overwritten(camera_file: Path) -> None:
    before = camera_file.read_bytes()
    done = subprocess.run(
        fomm("live", "--camera", camera_file, "-o", camera_file), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert camera_file.read_bytes() == before


@pytest.fixture
def display() -> Iterator[dict[str, str]]:
    """The environment of a virtual display."""
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt install xvfb xdotool")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-noreset", "-screen", "0", "800x700x24"],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as number:
        display = f":{number.readline().strip()}"
    yield {**os.environ, "DISPLAY": display}
    server.terminate()
    server.wait()


def test_without_a_display_the_other_ways_are_named(camera_file: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux has sessions without a display")
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    for display in ({}, {"DISPLAY": ":98765"}):
        done = subprocess.run(
            fomm("live", "--camera", camera_file), capture_output=True, text=True, check=False,
            env={**environment, **display},
        )  # fmt: skip
        assert done.returncode == 2
        assert "fomm web" in done.stderr
        assert "--output mjpeg" in done.stderr
        assert done.stderr.count("\n") == 1


def test_the_keys_work_in_a_window(camera_file: Path, tmp_path: Path, display: dict[str, str]) -> None:
    long = tmp_path / "long.mp4"
    ffmpeg("-stream_loop", "90", "-i", camera_file, "-c", "copy", long)
    running = subprocess.Popen(
        fomm("live", "--camera", long, "--cpu", "--threads", "1", "--face_backend", "builtin"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=display, cwd=tmp_path,
    )  # fmt: skip

    def xdotool(*arguments: str) -> str:
        done = subprocess.run(["xdotool", *arguments], env=display, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def screen() -> np.ndarray:
        time.sleep(0.7)
        shot = tmp_path / "screen.png"
        ffmpeg("-f", "x11grab", "-video_size", "800x700", "-i", display["DISPLAY"], "-frames:v", "1", shot)
        return np.asarray(Image.open(shot).convert("RGB"), int)

    try:
        deadline = time.monotonic() + 60
        while not xdotool("search", "--name", "^fomm live$"):
            assert running.poll() is None, running.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        xdotool("search", "--name", "^fomm live$", "windowfocus")
        while np.ptp(plain := screen(), axis=2).max() < 60:  # grey until the first frame is there
            assert time.monotonic() < deadline
        for key, height in (("h", 180), ("i", 55)):  # text on a darkened ground over the upper part of the window
            xdotool("key", key)
            assert screen()[:height, :512].mean() < 0.7 * plain[:height, :512].mean(), f"{key} shows nothing"
            xdotool("key", key)
        xdotool("key", "0")
        assert np.mean(np.abs(screen() - plain)[:512, :512].max(axis=2) > 40) > 0.3, "the camera is not shown"
        xdotool("key", "0")
        xdotool("key", "s")
        time.sleep(1.5)
        xdotool("key", "s")
        for key in ("x", "f", "r", "o", "a", "d", "1"):
            xdotool("key", key)
        time.sleep(1)
        xdotool("key", "q")
        out, error = running.communicate(timeout=30)
    finally:
        running.kill()
        running.communicate()
    assert running.returncode == 0, error
    assert "frames/s" in out
    (recorded,) = tmp_path.glob("fomm-live-*.mp4")
    assert len(decode(recorded)[0]) > 1


def test_the_help_names_every_key() -> None:
    assert [key for key, _ in KEYS] == ["X", "F", "1-9, A/D", "0", "R", "O", "I", "S", "H", "Q"]
