"""Read frames from a camera, a stream of the network, or a video file in place of them."""

from __future__ import annotations

import time as clock
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from fomm_cli.errors import FommError
from fomm_cli.live.devices import OTHER_WAY, cannot_open, number_of
from fomm_cli.media.video.reader import open_clip

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
    """Give frames, one after the other."""

    def read(self) -> Shot | None:
        """Wait for the next frame; None when there are no more."""
        ...

    def close(self) -> None:
        """Release the device."""
        ...


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

        # our errors say more than its warnings
        if hasattr(cv2, "setLogLevel"):  # until OpenCV 4.12
            cv2.setLogLevel(0)
        else:
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
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
            self._capture = cv2.VideoCapture(place)  # some drivers refuse such wishes
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
    return DeviceCamera(number_of(name))
