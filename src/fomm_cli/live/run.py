"""`fomm live`: from the frames of a camera to an output, step by step."""

from __future__ import annotations

import logging
import time as clock
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from fomm_cli.files.guard import protect_inputs
from fomm_cli.live.advice import BlackWatch
from fomm_cli.live.avatars import avatar_paths
from fomm_cli.live.camera import Shot, open_camera
from fomm_cli.live.figures import Figures, Meter
from fomm_cli.live.frames import Frames, read_frames
from fomm_cli.live.options import LiveJob
from fomm_cli.live.outputs import Output, open_output
from fomm_cli.live.pipeline import Pipeline
from fomm_cli.live.session import LiveFrame, LiveSession
from fomm_cli.live.window import Window
from fomm_cli.media.destination import Target
from fomm_cli.models.bundled import sample

logger = logging.getLogger(__name__)

_WAIT = 0.05  # seconds for a frame, before keys and signals are looked at again
_PAUSE = 0.002  # seconds, before the frame that is being decoded is looked at again


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
    with LiveSession.open(avatars, job) as session, ExitStack() as opened:
        output = open_output(job, session, target, window)
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


def show_frames(frames: Frames, session: LiveSession, output: Output, stopped: Callable[[], bool]) -> Figures:
    """Animate frames as they come, until they end, the user quits or `stopped` says so."""
    show, black = _Show(frames, output), BlackWatch()
    with closing(Pipeline(session)) as pipeline:
        while not stopped() and not output.wait() and not (frames.ended and not len(pipeline)):
            if (done := pipeline.take(wait=pipeline.is_full or frames.ended)) is not None:
                show(*done)
            elif (shot := frames.next(_PAUSE if len(pipeline) else _WAIT)) is not None:
                if (warning := black.see(shot.image, shot.time)) is not None:
                    logger.warning("%s", warning)
                pipeline.put(shot)
    return show.meter.figures(frames.captured, frames.dropped)


class _Show:
    """Show animated frames, and measure."""

    def __init__(self, frames: Frames, output: Output) -> None:
        self.meter = Meter()
        self._frames = frames
        self._output = output

    def __call__(self, shot: Shot, frame: LiveFrame) -> None:
        began = clock.monotonic()
        self._output.show(frame, shot, self.meter, self._frames.dropped)
        shown = clock.monotonic()
        self.meter.add(shot.captured_at, shown, {**frame.milliseconds, "show": 1000 * (shown - began)})
        for warning in frame.warnings:
            logger.warning("%s", warning)
