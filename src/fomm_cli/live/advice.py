"""Tell people what keeps their face from being followed well, by the measures of `fomm check`, once each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from fomm_cli.faces.framing import framing_in
from fomm_cli.faces.quality import Finding, judge_exposure
from fomm_cli.geometry import Box

_LOOKS = 3  # in a row, that have to agree: cameras begin dark
_NO_FACE_AFTER = 2.0  # seconds
_BLACK = 8  # the brightest value of a frame that shows nothing
_BLACK_AFTER = 3.0  # seconds


def judge_camera(frame: np.ndarray, face: Box) -> list[Finding]:
    """Judge a face in a camera frame, uint8 (H, W, 3); returns what should be better."""
    height, width = frame.shape[:2]
    framing = framing_in(face, Box(0, 0, width, height))
    findings = []
    if framing.is_small:
        text = f"the face is {framing.height:.0%} of the camera's frame high, which is too small"
        findings.append(Finding("size", "poor", text, "come nearer"))
    if framing.is_aside:
        findings.append(Finding("position", "fair", "the face is off the middle", "move to the middle of the frame"))
    exposure = judge_exposure(frame, face)
    if exposure.verdict != "good":
        advice = "more light on the face, and less behind it" if "dark" in exposure.text else "less light on the face"
        findings.append(Finding(exposure.topic, exposure.verdict, exposure.text, advice))
    return findings


class Advice:
    """Turn the findings of successive looks into warnings, each given once in a session."""

    def __init__(self) -> None:
        self._in_a_row: Counter[str] = Counter()
        self._given: set[str] = set()
        self._without_face_since = math.inf

    def see(self, findings: Sequence[Finding], *, face: bool, time: float) -> tuple[str, ...]:
        """Take note of one look.

        Args:
            findings: about the face.
            face: whether there was one.
            time: of the frame, in seconds.

        Returns:
            New warnings, mostly none.
        """
        if not face:
            self._without_face_since = min(self._without_face_since, time)
            if time - self._without_face_since >= _NO_FACE_AFTER:
                return self._once("face", "no face is seen -> look into the camera, with light on the face")
            return ()
        self._without_face_since = math.inf
        self._in_a_row = Counter({finding.topic: self._in_a_row[finding.topic] + 1 for finding in findings})
        lasting = (finding for finding in findings if self._in_a_row[finding.topic] >= _LOOKS)
        return tuple(text for each in lasting for text in self._once(each.topic, f"{each.text} -> {each.flag}"))

    def _once(self, topic: str, text: str) -> tuple[str, ...]:
        if topic in self._given:
            return ()
        self._given.add(topic)
        return (text,)


class BlackWatch:
    """Notice a camera that gives nothing but black frames, and say so once."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._is_told = False

    def see(self, frame: np.ndarray, time: float) -> str | None:
        """Look at a frame, uint8 (H, W, 3), of a time in seconds; returns a warning, mostly None."""
        if self._is_told or frame[::8, ::8].max(initial=0) > _BLACK:
            self._since = None
            return None
        self._since = time if self._since is None else self._since
        if time - self._since < _BLACK_AFTER:
            return None
        self._is_told = True
        return (
            "the camera gives black frames: open its cover, close other programs that use it, allow this terminal to "
            "use it (macOS: System Settings, Privacy & Security, Camera), or use fomm web"
        )
