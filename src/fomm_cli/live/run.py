"""`fomm live`: from a camera to a window, a stream or a file."""

from __future__ import annotations

import logging
import time as clock
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Protocol

import numpy as np

from fomm_cli.errors import InputError
from fomm_cli.files.guard import protect_inputs
from fomm_cli.live.avatars import avatar_paths
from fomm_cli.live.camera import Frames, Shot, open_camera, read_frames
from fomm_cli.live.controls import Controls
from fomm_cli.live.figures import Figures, Meter
from fomm_cli.live.mjpeg import MjpegServer
from fomm_cli.live.options import LiveJob
from fomm_cli.live.pipeline import Pipeline
from fomm_cli.live.recording import Recorder
from fomm_cli.live.session import LiveFrame, LiveSession
from fomm_cli.live.window import Window
from fomm_cli.marks.label import draw_label
from fomm_cli.marks.options import LABEL
from fomm_cli.media.destination import Target
from fomm_cli.models.bundled import sample

logger = logging.getLogger(__name__)

_WAIT = 0.05  # seconds for a frame, before keys and signals are looked at again
_BLACK = 8  # the brightest value of a frame that shows nothing
_BLACK_AFTER = 3.0  # seconds


class Output(Protocol):
    """Where animated frames go."""

    def show(self, frame: LiveFrame, shot: Shot, meter: Meter, dropped: int) -> None:
        """Take the next frame."""
        ...

    def wait(self) -> bool:
        """Look at keys; returns whether the user wants to quit."""
        ...

    def close(self, *, failed: bool) -> None:
        """Complete the output; after a failure, remove what is half-written."""
        ...


def run_live(job: LiveJob, stopped: Callable[[], bool], window: Window | None = None) -> Figures:
    """Animate the avatars of a job until the camera ends, the user quits, or `stopped` says so.

    Args:
        job: what is asked for.
        stopped: asked between two frames.
        window: where frames are shown, for the output `window`.

    Raises:
        FommError: what went wrong, and what to do.
    """
    avatars = avatar_paths(job.source_image or (sample()[0],))
    target = _checked_output(job, avatars)
    camera = open_camera(job.camera, realtime=job.realtime)
    session = LiveSession.open(
        avatars, checkpoint=job.checkpoint, config=job.config, device=job.device, engine=job.engine,
        precision=job.precision, threads=job.threads, face_backend=job.face_backend, crop=job.crop,
        background=job.realtime,
    )  # fmt: skip
    with session, ExitStack() as opened:
        session.motion_scale = job.motion_scale
        if job.mirror:
            session.toggle_mirror()
        output = _open_output(job, session, target, window)
        opened.push(lambda kind, *_: output.close(failed=kind is not None))
        frames = read_frames(camera, realtime=job.realtime)
        opened.callback(frames.close)
        return show_frames(frames, session, output, stopped)


def _checked_output(job: LiveJob, avatars: list[Path]) -> Target | None:
    """Check what can be checked before a model is loaded; returns the file to record to, if there is one."""
    if job.output in ("window", "mjpeg"):
        return None
    target = Target.of(Path(job.output), still=False)
    protect_inputs((*avatars, Path(job.camera), job.checkpoint, job.config), (target.path,))
    return target


def _open_output(job: LiveJob, session: LiveSession, target: Target | None, window: Window | None) -> Output:
    if target is not None:
        return _FileOutput(Recorder(target, session.checkpoint_sha256))
    if job.output == "mjpeg":
        return _StreamOutput(MjpegServer(job.port), LABEL if job.label else None)
    if window is None:
        raise InputError("there is no window to show frames in", "Use --output mjpeg or --output FILE")
    return _WindowOutput(window, Controls(session))


def show_frames(frames: Frames, session: LiveSession, output: Output, stopped: Callable[[], bool]) -> Figures:
    """Animate frames as they come, until they end, the user quits or `stopped` says so."""
    show = _Show(frames, output)
    with closing(Pipeline(session)) as pipeline:
        while not stopped() and not output.wait() and not (frames.ended and not len(pipeline)):
            if (done := pipeline.take(at_once=not pipeline.is_full and not frames.ended)) is not None:
                show(*done)
            elif (shot := frames.next(0.0 if len(pipeline) else _WAIT)) is not None:
                show.black.see(shot)
                pipeline.put(shot)
    return show.meter.figures(frames.captured, frames.dropped)


class _Show:
    """Shows animated frames, and measures."""

    def __init__(self, frames: Frames, output: Output) -> None:
        self.meter, self.black = Meter(), _BlackWatch()
        self._frames = frames
        self._output = output

    def __call__(self, shot: Shot, frame: LiveFrame) -> None:
        began = clock.monotonic()
        self._output.show(frame, shot, self.meter, self._frames.dropped)
        shown = clock.monotonic()
        self.meter.add(shot.captured_at, shown, {**frame.milliseconds, "show": 1000 * (shown - began)})
        for warning in frame.warnings:
            logger.warning("%s", warning)


class _BlackWatch:
    """Tells once of a camera that gives nothing but black."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._told = False

    def see(self, shot: Shot) -> None:
        if self._told or shot.image[::8, ::8].max(initial=0) > _BLACK:
            self._since = None
            return
        self._since = shot.time if self._since is None else self._since
        if shot.time - self._since >= _BLACK_AFTER:
            self._told = True
            logger.warning(
                "the camera gives black frames: open its cover, close other programs that use it, allow this "
                "terminal to use it (macOS: System Settings, Privacy & Security, Camera), or use fomm web"
            )


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
        logger.info("the picture is at %s/stream.mjpg (for OBS), and as a page at %s; Ctrl-C ends it",
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
        view: np.ndarray = self._controls.view(frame)
        self._window.show(view, self._controls.lines(frame, meter, dropped, delay))

    def wait(self) -> bool:
        self._controls.press(self._window.key())
        return self._controls.quitting

    def close(self, *, failed: bool) -> None:  # noqa: ARG002 - what was recorded until then is whole
        self._controls.stop_recording()
        self._window.close()
