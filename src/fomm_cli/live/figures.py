"""Measure a live session in constant memory: frames per second, delay, time of each stage."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

_RECENT_SECONDS = 2.0


@dataclass(frozen=True)
class Figures:
    """The measurements of a session.

    Attributes:
        frames: that were shown.
        dropped: that the camera gave and that were never animated, as newer ones were there.
        seconds: from the first frame shown to the last.
        frames_per_second: shown.
        camera_frames_per_second: given by the camera.
        delay_ms: from the capture of a frame to its result being shown: ``median`` and ``p95``.
        milliseconds: mean time of each stage.
    """

    frames: int
    dropped: int
    seconds: float
    frames_per_second: float
    camera_frames_per_second: float
    delay_ms: dict[str, float]
    milliseconds: dict[str, float]


class Meter:
    """Collect the figures of a session."""

    def __init__(self) -> None:
        self._delays: Counter[int] = Counter()  # by whole tenths of milliseconds
        self._sums: Counter[str] = Counter()
        self._frames = 0
        self._first = self._last = 0.0
        self._recent: deque[float] = deque()

    def add(self, captured_at: float, shown_at: float, milliseconds: Mapping[str, float]) -> None:
        """Count a frame; times in seconds of one clock."""
        self._first = shown_at if self._frames == 0 else self._first
        self._last = shown_at
        self._frames += 1
        self._delays[min(100_000, round(10_000 * (shown_at - captured_at)))] += 1
        for stage, value in milliseconds.items():
            self._sums[stage] += value  # type: ignore[assignment]
        self._recent.append(shown_at)
        while self._recent[0] < shown_at - _RECENT_SECONDS:
            self._recent.popleft()

    @property
    def recent_rate(self) -> float:
        """Return the frames shown in the last second or so, per second."""
        span = self._recent[-1] - self._recent[0] if self._recent else 0.0
        return (len(self._recent) - 1) / span if span > 0 else 0.0

    def figures(self, captured: int, dropped: int) -> Figures:
        """Return what was measured, given how many frames the camera gave and how many were dropped."""
        span = self._last - self._first
        return Figures(
            frames=self._frames,
            dropped=dropped,
            seconds=round(span, 3),
            frames_per_second=round((self._frames - 1) / span, 2) if span > 0 else 0.0,
            camera_frames_per_second=round((captured - 1) / span, 2) if span > 0 else 0.0,
            delay_ms={"median": self._delay_at(0.5), "p95": self._delay_at(0.95)},
            milliseconds={stage: round(value / self._frames, 2) for stage, value in self._sums.items()},
        )

    def _delay_at(self, ratio: float) -> float:
        below = 0
        for tenth in sorted(self._delays):
            below += self._delays[tenth]
            if below >= ratio * self._frames:
                return tenth / 10
        return 0.0
