"""Send animated frames to a window, a stream for other programs, or a file."""

from __future__ import annotations

import logging
import time as clock
from typing import Protocol

from fomm_cli.errors import InputError
from fomm_cli.live.camera import Shot
from fomm_cli.live.controls import Controls
from fomm_cli.live.figures import Meter
from fomm_cli.live.mjpeg import MjpegServer
from fomm_cli.live.options import LiveJob
from fomm_cli.live.recording import Recorder
from fomm_cli.live.session import LiveFrame, LiveSession
from fomm_cli.live.window import Window
from fomm_cli.marks.label import draw_label
from fomm_cli.marks.options import LABEL
from fomm_cli.media.destination import Target

logger = logging.getLogger(__name__)


class Output(Protocol):
    """Show or write animated frames."""

    def show(self, frame: LiveFrame, shot: Shot, meter: Meter, dropped: int) -> None:
        """Take the next frame."""
        ...

    def wait(self) -> bool:
        """Look at keys; returns whether the user wants to quit."""
        ...

    def close(self, *, failed: bool) -> None:
        """Complete the output; after a failure, remove what is half-written."""
        ...


def open_output(job: LiveJob, session: LiveSession, target: Target | None, window: Window | None) -> Output:
    """Open the output of a job: the file `target` where there is one, else what its option names."""
    if target is not None:
        return _FileOutput(Recorder(target, session.checkpoint_sha256))
    if job.output == "mjpeg":
        return _StreamOutput(MjpegServer(job.port), LABEL if job.label else None)
    if window is None:
        raise InputError("there is no window to show frames in", "Use --output mjpeg or --output FILE")
    return _WindowOutput(window, Controls(session))


class _FileOutput:
    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def show(self, frame: LiveFrame, shot: Shot, meter: Meter, dropped: int) -> None:  # noqa: ARG002
        self._recorder.write(frame.image, shot.time)

    def wait(self) -> bool:
        return False

    def close(self, *, failed: bool) -> None:
        if failed:
            self._recorder.abandon()
        else:
            self._recorder.close()


class _StreamOutput:
    def __init__(self, server: MjpegServer, label: str | None) -> None:
        self._server = server
        self._label = label
        logger.info("the stream is at %s/stream.mjpg (for OBS), and as a page at %s; Ctrl-C ends it",
                    server.address, server.address)  # fmt: skip

    def show(self, frame: LiveFrame, shot: Shot, meter: Meter, dropped: int) -> None:  # noqa: ARG002
        self._server.put(frame.image if self._label is None else draw_label(frame.image, self._label))

    def wait(self) -> bool:
        return False

    def close(self, *, failed: bool) -> None:  # noqa: ARG002
        self._server.close()


class _WindowOutput:
    def __init__(self, window: Window, controls: Controls) -> None:
        self._window = window
        self._controls = controls

    def show(self, frame: LiveFrame, shot: Shot, meter: Meter, dropped: int) -> None:
        self._controls.record(frame, shot.time)
        delay = 1000 * (clock.monotonic() - shot.captured_at)
        self._window.show(self._controls.view(frame), self._controls.lines(frame, meter, dropped, delay))

    def wait(self) -> bool:
        self._controls.press(self._window.key())
        return self._controls.quitting

    def close(self, *, failed: bool) -> None:  # noqa: ARG002 - what was recorded until then is whole
        self._controls.stop_recording()
        self._window.close()
