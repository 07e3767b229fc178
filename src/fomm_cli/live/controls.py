"""Carry out what the keys of `fomm live` ask for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import numpy as np

from fomm_cli.live.figures import Meter
from fomm_cli.live.recording import Recorder, new_recording
from fomm_cli.live.session import LiveFrame, LiveSession
from fomm_cli.media.resize import fit_frame

logger = logging.getLogger(__name__)

KEYS = (
    ("X", "take your present pose as the reference"),
    ("F", "find a better reference"),
    ("1-9, A/D", "choose an avatar, previous, next"),
    ("0", "the camera itself"),
    ("R", "mirror"),
    ("O", "the camera as a ghost over the avatar"),
    ("I", "figures"),
    ("S", "record to a file, stop recording"),
    ("H", "this help"),
    ("Q", "quit"),
)


class Controls:
    """The state that keys change, and what it makes of a frame.

    Attributes:
        quitting: whether Q was pressed.
    """

    def __init__(self, session: LiveSession) -> None:
        self.quitting = False
        self._session = session
        self._recorder: Recorder | None = None
        self._shows_camera = self._shows_ghost = self._shows_figures = self._shows_help = False
        self._actions: dict[str, Callable[[], object]] = {
            "x": session.take_reference,
            "f": session.find_reference,
            "a": lambda: session.avatars.step(-1),
            "d": lambda: session.avatars.step(1),
            "0": lambda: self._toggle("_shows_camera"),
            "r": session.toggle_mirror,
            "o": lambda: self._toggle("_shows_ghost"),
            "i": lambda: self._toggle("_shows_figures"),
            "s": self._toggle_recording,
            "h": lambda: self._toggle("_shows_help"),
            "q": lambda: self._toggle("quitting"),
        }
        self._actions |= {str(number): partial(self._choose, number) for number in range(1, 10)}

    def press(self, key: str | None) -> None:
        """Do what a key asks for; other keys do nothing."""
        if key is not None and key in self._actions:
            self._actions[key]()

    def _toggle(self, name: str) -> None:
        setattr(self, name, not getattr(self, name))

    def _choose(self, number: int) -> None:
        if number <= len(self._session.avatars):
            self._shows_camera = False
            self._session.switch_avatar(number - 1)

    def _toggle_recording(self) -> None:
        if self._recorder is None:
            self._recorder = Recorder(new_recording(), self._session.checkpoint_sha256)
        else:
            self.stop_recording()

    def stop_recording(self) -> None:
        """Complete the file that is recorded to, if there is one."""
        if self._recorder is not None:
            recorder, self._recorder = self._recorder, None
            recorder.close()
            if recorder.frames:
                logger.info("recorded %d frames to %s", recorder.frames, recorder.path)

    def record(self, frame: LiveFrame, time: float) -> None:
        """Add a frame to the recording, if there is one."""
        if self._recorder is not None:
            self._recorder.write(frame.image, time)

    def view(self, frame: LiveFrame) -> np.ndarray:
        """Return what is shown of a frame, uint8 (H, W, 3)."""
        if not self._shows_camera and not self._shows_ghost:
            return frame.image
        height, width = frame.image.shape[:2]
        camera = fit_frame(frame.camera, (height, width), "stretch")
        return camera if self._shows_camera else np.asarray(frame.image // 2 + camera // 2)

    def lines(self, frame: LiveFrame, meter: Meter, dropped: int, delay_ms: float) -> list[str]:
        """Return the text over a frame."""
        if self._shows_help:
            return [f"{key}: {text}" for key, text in KEYS]
        lines = [f"recording to {self._recorder.path}"] if self._recorder else []
        if self._shows_figures:
            stages = ", ".join(f"{stage} {value:.0f}" for stage, value in frame.milliseconds.items())
            lines += [
                f"{meter.recent_rate:.1f} frames/s, delay {delay_ms:.0f} ms, {dropped} dropped",
                f"ms: {stages}",
                f"reference {frame.reference}, avatar {frame.avatar + 1}{'' if frame.face else ', no face'}",
            ]
        return lines
