"""Cameras that are fast, slow, stall, end or change: only the newest frame counts."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fomm_cli.errors import FommError, InputError
from fomm_cli.live import frames as frames_module
from fomm_cli.live.advice import BlackWatch
from fomm_cli.live.camera import Shot, open_camera
from fomm_cli.live.figures import Figures, Meter
from fomm_cli.live.frames import NewestFrame, read_frames
from fomm_cli.live.run import show_frames
from support.media_helpers import make_video


class FakeCamera:
    """Gives numbered frames at a rate, then ends, or stops to answer."""

    def __init__(self, rate: float, count: int = 10**9, at_end: Callable[[], None] = lambda: None) -> None:
        self.closed = False
        self._rate, self._count, self._at_end = rate, count, at_end
        self._given = 0
        self._start = time.monotonic()

    def read(self) -> Shot | None:
        if self._given == self._count:
            self._at_end()
            return None
        self._given += 1
        time.sleep(max(0.0, self._start + self._given / self._rate - time.monotonic()))
        now = time.monotonic()
        return Shot(np.full((4, 4, 3), self._given % 256, np.uint8), now, now)

    def close(self) -> None:
        self.closed = True


def take_all(frames: NewestFrame, work: float) -> list[int]:
    """Numbers of the frames that are got by work that takes some seconds a frame."""
    numbers = []
    while not frames.ended:
        shot = frames.next(0.5)
        if shot is not None:
            numbers.append(int(shot.image[0, 0, 0]))
            time.sleep(work)
    return numbers


def test_of_a_fast_camera_only_the_newest_frames_are_taken() -> None:
    frames = NewestFrame(FakeCamera(60, count=60))
    numbers = take_all(frames, work=0.1)
    frames.close()
    assert len(numbers) < 20
    assert frames.captured == 60
    assert frames.dropped == 60 - len(numbers)
    assert numbers == sorted(numbers)
    assert numbers[-1] == 60, "the last frame is the newest"


def test_of_a_slow_camera_every_frame_is_taken_once() -> None:
    frames = NewestFrame(FakeCamera(5, count=5))
    assert take_all(frames, work=0.0) == [1, 2, 3, 4, 5]
    assert frames.dropped == 0


def test_a_frame_waits_at_most_for_the_one_before() -> None:
    frames = NewestFrame(FakeCamera(100))
    ages = []
    for _ in range(5):
        time.sleep(0.1)
        shot = frames.next(1.0)
        assert shot is not None
        ages.append(time.monotonic() - shot.captured_at)
    frames.close()
    assert min(ages) < 0.02, "no queue of old frames"


def test_a_camera_that_stalls_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_module, "_SILENT_AFTER", 0.2)
    release = threading.Event()
    frames = NewestFrame(FakeCamera(100, count=1, at_end=lambda: release.wait(5) and None))
    assert frames.next(1.0) is not None
    with pytest.raises(FommError, match=r"no frame for .* fomm web"):
        for _ in range(20):
            frames.next(0.1)
    release.set()
    frames.close()


def test_a_camera_that_is_pulled_out_is_told() -> None:
    def fail() -> None:
        raise FommError("camera 0 opens but gives no frame")

    frames = NewestFrame(FakeCamera(100, count=2, at_end=fail))
    with pytest.raises(FommError, match="gives no frame"):
        take_all(frames, work=0.0)


class StubSession:
    """Takes some time for a frame, and does nothing."""

    workers = 2

    def follow(self, image: np.ndarray, time: float) -> np.ndarray:  # noqa: ARG002
        return image

    def decode(self, image: np.ndarray) -> SimpleNamespace:
        time.sleep(0.04)
        return SimpleNamespace(image=image, milliseconds={}, warnings=())


class StubOutput:
    """Collects the numbers of the frames that are shown."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def show(self, frame: Any, *_: object) -> None:
        self.numbers.append(int(frame.image[0, 0, 0]))

    def wait(self) -> bool:
        return False


def play(camera: FakeCamera) -> tuple[list[int], Figures]:
    """Animate the frames of a camera by a session that takes 40 ms for each, two at a time."""
    output = StubOutput()
    figures = show_frames(NewestFrame(camera), StubSession(), output, lambda: False)  # type: ignore[arg-type]
    return output.numbers, figures


def test_a_camera_of_60_frames_a_second_is_thinned_out_without_delay() -> None:
    numbers, figures = play(FakeCamera(60, count=90))
    assert numbers == sorted(set(numbers))
    assert figures.frames + figures.dropped == 90
    assert 35 <= figures.frames_per_second <= 51, "two at a time, 40 ms each"
    assert figures.delay_ms["p95"] < 100


def test_a_camera_of_5_frames_a_second_is_shown_whole_without_delay() -> None:
    numbers, figures = play(FakeCamera(5, count=6))
    assert numbers == [1, 2, 3, 4, 5, 6]
    assert figures.frames_per_second == pytest.approx(5, abs=0.5)
    assert figures.delay_ms["median"] < 70, "a frame does not wait for the next one"


def test_black_frames_are_told_once_and_after_some_seconds() -> None:
    black, bright = np.zeros((48, 64, 3), np.uint8), np.full((48, 64, 3), 90, np.uint8)
    watch = BlackWatch()
    assert [watch.see(black, index / 2) for index in range(5)] == [None] * 5, "cameras begin dark"
    assert watch.see(bright, 2.5) is None
    told = [watch.see(black + 4, 3 + index / 2) for index in range(20)]
    assert [index for index, text in enumerate(told) if text] == [6]
    assert "open its cover" in told[6] and "fomm web" in told[6]  # type: ignore[operator]


def test_closing_releases_the_camera() -> None:
    fake = FakeCamera(50)
    frames = NewestFrame(fake)
    frames.close()
    assert fake.closed


def test_a_file_is_played_in_real_time(tmp_path: Path) -> None:
    path = make_video(tmp_path / "cam.mp4", rate="10", seconds=0.8)
    frames = read_frames(open_camera(str(path), realtime=True), realtime=True)
    shots = []
    while not frames.ended:
        if (shot := frames.next(0.5)) is not None:
            shots.append(shot)
    assert [round(shot.time * 10) for shot in shots] == list(range(8))
    assert shots[-1].captured_at - shots[0].captured_at == pytest.approx(0.7, abs=0.15)


def test_every_frame_of_a_file_is_read_without_real_time(tmp_path: Path) -> None:
    path = make_video(tmp_path / "cam.mp4", rate="10", seconds=2)
    frames = read_frames(open_camera(str(path), realtime=False), realtime=False)
    times = []
    while (shot := frames.next(0.0)) is not None:
        times.append(round(shot.time * 10))
    assert times == list(range(20))
    assert frames.ended
    assert (frames.captured, frames.dropped) == (20, 0)


@pytest.mark.skipif(Path("/dev/video0").exists(), reason="there is a camera")
def test_a_missing_camera_names_the_other_way(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FommError, match="fomm web"):
        open_camera("0", realtime=True)
    assert capfd.readouterr().err == "", "OpenCV's own messages are no sentences for users"


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(InputError, match="no camera, no file and no address"):
        open_camera("Logitech Nothing", realtime=True)


def test_an_address_without_a_stream_is_told() -> None:
    with pytest.raises(InputError, match="Check the address"):
        open_camera("http://127.0.0.1:1/video.mjpg", realtime=True)


def test_the_figures_are_those_of_the_frames() -> None:
    meter = Meter()
    for index in range(101):
        meter.add(10 + index / 20, 10 + index / 20 + (0.030 if index < 90 else 0.080), {"detect": 4.0, "decode": index})
    figures = meter.figures(captured=151, dropped=50)
    assert (figures.frames, figures.dropped) == (101, 50)
    assert figures.frames_per_second == pytest.approx(100 / figures.seconds, abs=0.01)
    assert figures.delay_ms == {"median": 30.0, "p95": 80.0}
    assert figures.milliseconds == {"detect": 4.0, "decode": 50.0}


def test_figures_of_no_frame_are_zero() -> None:
    assert Meter().figures(0, 0).frames_per_second == 0.0


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted by /proc")
def test_opening_and_closing_cameras_leaves_no_descriptor_and_no_thread(tmp_path: Path) -> None:
    path = make_video(tmp_path / "cam.mp4", rate="25", seconds=0.4)

    def play() -> None:
        frames = read_frames(open_camera(str(path), realtime=True), realtime=True)
        frames.next(1.0)
        frames.close()

    play()
    before = len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208
    for _ in range(5):
        play()
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before  # noqa: PTH208
