"""Read the frames of a camera: the newest one only, or, of a file, every one."""

from __future__ import annotations

import threading
import time as clock
from typing import Protocol

from fomm_cli.errors import FommError
from fomm_cli.live.camera import Camera, FileCamera, Shot
from fomm_cli.live.devices import OTHER_WAY

_SILENT_AFTER = 5.0  # seconds without a frame


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
    """Read a camera in a thread of its own and keep the newest frame only, so that no delay can pile up."""

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
    """Read a camera as fast as its frames are asked for, and drop none."""

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


def read_frames(camera: Camera, *, realtime: bool) -> Frames:
    """Begin to read a camera: only its newest frame, or every frame of a file that is not played in real time."""
    return NewestFrame(camera) if realtime or not isinstance(camera, FileCamera) else EveryFrame(camera)
