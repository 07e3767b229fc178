"""Cameras: devices, addresses and video files, of which only the newest frame is kept."""

from __future__ import annotations

import threading
import time as clock
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from fomm_cli.errors import FommError, InputError
from fomm_cli.media.video.reader import open_clip

OTHER_WAY = "or use your browser's camera: fomm web"

_SILENT_AFTER = 5.0  # seconds without a frame
_WIDTH, _HEIGHT, _RATE = 640, 480, 30  # asked of a device; it may give others


@dataclass(frozen=True)
class Shot:
    """A camera frame.

    Attributes:
        image: uint8 (H, W, 3) RGB; the size may change from frame to frame.
        time: seconds on the camera's own clock.
        captured_at: when it was handed over, in seconds of `time.monotonic`.
    """

    image: np.ndarray
    time: float
    captured_at: float


class Camera(Protocol):
    """Gives frames, one after the other."""

    def read(self) -> Shot | None:
        """Wait for the next frame; None when there are no more."""
        ...

    def close(self) -> None:
        """Release the device."""
        ...


class Frames(Protocol):
    """The frames that are animated.

    Attributes:
        captured: how many the camera gave.
        dropped: how many of them were replaced by newer ones before they were asked for.
        ended: whether there are no more.
    """

    captured: int
    dropped: int
    ended: bool

    def next(self, timeout: float) -> Shot | None:
        """Return a frame that was not returned before; None if there is none within some seconds."""
        ...

    def close(self) -> None:
        """Release the camera."""
        ...


class NewestFrame:
    """Reads a camera in a thread of its own and keeps the newest frame only, so that no delay can pile up."""

    def __init__(self, camera: Camera) -> None:
        self.captured = self.dropped = 0
        self.ended = False
        self._camera = camera
        self._newest: Shot | None = None
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._closing = False
        self._last_frame = clock.monotonic()
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while not self._closing:
                shot = self._camera.read()
                if shot is None:
                    break
                self._put(shot)
        except BaseException as error:  # noqa: BLE001 - raised again in `next`
            self._error = error
        finally:
            with self._changed:
                self._closing = True
                self._changed.notify_all()
            self._camera.close()

    def _put(self, shot: Shot) -> None:
        with self._changed:
            self.dropped += self._newest is not None
            self.captured += 1
            self._newest, self._last_frame = shot, clock.monotonic()
            self._changed.notify_all()

    def next(self, timeout: float) -> Shot | None:
        """Return the newest frame if it is a new one.

        Raises:
            FommError: the camera has given no frame for some seconds.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._closing, timeout)
            shot, self._newest = self._newest, None
        if shot is not None:
            return shot
        if self._error is not None:
            raise self._error
        self.ended = self._closing
        if not self.ended and clock.monotonic() - self._last_frame > _SILENT_AFTER:
            raise FommError(
                f"the camera has given no frame for {_SILENT_AFTER:.0f} seconds",
                f"Close other programs that use it, plug it in again, {OTHER_WAY}",
            )
        return None

    def close(self) -> None:
        """End the thread; a camera that does not answer is left to the end of the process."""
        self._closing = True
        self._thread.join(timeout=2)


class EveryFrame:
    """Reads a camera as fast as its frames are asked for, and drops none."""

    def __init__(self, camera: Camera) -> None:
        self.captured = self.dropped = 0
        self.ended = False
        self._camera = camera

    def next(self, timeout: float) -> Shot | None:  # noqa: ARG002 - files answer at once
        """Return the next frame."""
        shot = self._camera.read()
        self.ended = shot is None
        self.captured += shot is not None
        return shot

    def close(self) -> None:
        """Close the file."""
        self._camera.close()


class FileCamera:
    """A video file in place of a camera."""

    def __init__(self, path: Path, *, realtime: bool) -> None:
        """Open a file; in real time, frames come when they are due, counted from the first."""
        self._frames = open_clip(path).frames()
        self._realtime = realtime
        self._start: float | None = None

    def read(self) -> Shot | None:
        """Return the next frame, in real time when it is due."""
        frame = next(self._frames, None)
        if frame is None:
            return None
        now = clock.monotonic()
        self._start = now if self._start is None else self._start
        if self._realtime and (wait := self._start + float(frame.time) - now) > 0:
            clock.sleep(wait)
        return Shot(frame.image, float(frame.time), clock.monotonic())

    def close(self) -> None:
        """Close the file."""
        if isinstance(self._frames, Generator):
            self._frames.close()


class DeviceCamera:
    """A camera of this machine, or a stream of the network, by OpenCV."""

    def __init__(self, place: int | str) -> None:
        """Open a camera.

        Args:
            place: number of a device, or an address.

        Raises:
            FommError: it cannot be opened.
        """
        import cv2

        cv2.utils.logging.setLogLevel(
            cv2.utils.logging.LOG_LEVEL_SILENT
        )  # its warnings are no sentences for users; ours says more
        asked: list[int] = []
        if isinstance(place, int):
            motion_jpeg = cv2.VideoWriter.fourcc(*"MJPG")  # raw frames of this size are too many for USB 2 hubs
            for name, value in (
                (cv2.CAP_PROP_FOURCC, motion_jpeg),
                (cv2.CAP_PROP_FRAME_WIDTH, _WIDTH),
                (cv2.CAP_PROP_FRAME_HEIGHT, _HEIGHT),
                (cv2.CAP_PROP_FPS, _RATE),
            ):
                asked += [name, value]
        self._place = place
        self._capture = cv2.VideoCapture(place, cv2.CAP_ANY, asked)
        if not self._capture.isOpened() and asked:
            self._capture = cv2.VideoCapture(place)  # not every driver takes wishes
        if not self._capture.isOpened():
            raise cannot_open(place)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def read(self) -> Shot | None:
        """Return the next frame; a device that gives none is asked again, an address has ended."""
        import cv2

        got, image = self._capture.read()
        now = clock.monotonic()
        if got:
            return Shot(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), now, now)
        if isinstance(self._place, str):
            return None
        raise FommError(
            f"camera {self._place} opens but gives no frame",
            f"Close other programs that use it, plug it in again, {OTHER_WAY}",
        )

    def close(self) -> None:
        """Release the device."""
        with suppress(Exception):
            self._capture.release()


def open_camera(name: str, *, realtime: bool) -> Camera:
    """Open what `--camera` names.

    Args:
        name: number or name of a device, a video file, or an address.
        realtime: whether the frames of a file come when they are due, or as fast as they are read.

    Raises:
        FommError: there is no such camera, or it cannot be opened.
    """
    if "://" in name:
        return DeviceCamera(name)
    if not name.isdigit() and Path(name).exists():
        return FileCamera(Path(name), realtime=realtime)
    return DeviceCamera(_number_of(name))


def read_frames(camera: Camera, *, realtime: bool) -> Frames:
    """Begin to read a camera: only its newest frame, or every frame of a file that is not played in real time."""
    return NewestFrame(camera) if realtime or not isinstance(camera, FileCamera) else EveryFrame(camera)


@dataclass(frozen=True)
class CameraInfo:
    """A camera of this machine.

    Attributes:
        number: as ``--camera`` takes it.
        name: as the system calls it.
    """

    number: int
    name: str


def list_cameras() -> list[CameraInfo]:
    """Return the cameras of this machine; on systems that do not tell, none."""
    import sys

    if sys.platform == "linux":
        return sorted(_linux_cameras(), key=lambda camera: camera.number)
    import av.device

    system = "avfoundation" if sys.platform == "darwin" else "dshow"
    with suppress(Exception):  # FFmpeg was built without it
        found = [each for each in av.device.enumerate_input_devices(system) if "video" in each.media_types]
        return [CameraInfo(number, each.description) for number, each in enumerate(found)]
    return []


def _linux_cameras() -> Iterator[CameraInfo]:
    for folder in Path("/sys/class/video4linux").glob("video*"):
        with suppress(OSError, ValueError):
            if (folder / "index").read_text().strip() == "0":  # further nodes of a camera give no pictures
                yield CameraInfo(int(folder.name.removeprefix("video")), (folder / "name").read_text().strip())


def _number_of(camera: str) -> int:
    if camera.isdigit():
        return int(camera)
    found = [each for each in list_cameras() if camera.lower() in each.name.lower()]
    if not found:
        names = ", ".join(f"{each.number} ({each.name})" for each in list_cameras())
        known = f"The cameras are {names}" if names else f"No camera was found: plug one in, {OTHER_WAY}"
        raise InputError(f"{camera} is no camera, no file and no address", known)
    return found[0].number


def cannot_open(place: int | str) -> FommError:
    """Return the error for a camera that does not open: what is the matter, as far as the system tells."""
    import os
    import sys

    if isinstance(place, str):
        return InputError(f"{place} cannot be opened", "Check the address, and that the stream is on")
    device = Path(f"/dev/video{place}")
    if sys.platform == "darwin":
        return FommError(
            f"camera {place} cannot be opened",
            f"Allow your terminal to use it: System Settings, Privacy & Security, Camera; {OTHER_WAY}",
        )
    if sys.platform == "linux" and device.exists() and not os.access(device, os.R_OK | os.W_OK):
        return FommError(
            f"camera {place} cannot be opened: no permission for {device}",
            f"Type: sudo usermod -aG video $USER, and log in again; {OTHER_WAY}",
        )
    if sys.platform == "linux" and not device.exists():
        return InputError(f"there is no camera {place}", f"See fomm live --list_cameras, {OTHER_WAY}")
    return FommError(f"camera {place} cannot be opened", f"Close other programs that use it, {OTHER_WAY}")
