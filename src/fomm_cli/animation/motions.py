"""Compute the motions of the package from curves: `fomm animate -s me.jpg -d nod`.

docs/motions.md says which rates and durations are published and which are chosen by eye; none is traced from anybody.
Every motion is a loop: its last frame leads over to the first, in which the face is as in the source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fomm_cli.animation.head import Pose

DEFAULT = "idle"
_LID_CLOSES, _LID_STAYS, _LID_OPENS = 0.1, 0.03, 0.2  # seconds
_BREATH = 4.0  # seconds: 15 a minute
_BLINKS = {"rest": 17.0, "talking": 26.0}  # a minute


@dataclass(frozen=True)
class Motion:
    """A motion of the package.

    Attributes:
        about: what it shows, for a list.
        seconds: how long it naturally takes.
        pose: from the moments of a loop, (N,) in seconds, and its length to the poses.
    """

    about: str
    seconds: float
    pose: Callable[[np.ndarray, float], Pose]


def _smooth(share: np.ndarray) -> np.ndarray:
    """Rise from 0 to 1 with no acceleration at either end, as limbs and heads do (minimum jerk)."""
    share = share.clip(0, 1)
    return np.asarray(share**3 * (10 - 15 * share + 6 * share**2))


def _hold(time: np.ndarray, start: float, rise: float, stay: float, fall: float) -> np.ndarray:
    """Move there, pause and move back: 0, then 1, then 0 again."""
    return np.asarray(_smooth((time - start) / rise) - _smooth((time - start - rise - stay) / fall))


def _blink(time: np.ndarray, start: float) -> np.ndarray:
    """Return how far lids are closed, 0 to 1; closing takes half the time of opening."""
    return _hold(time, start, _LID_CLOSES, _LID_STAYS, _LID_OPENS)


def _events(period: float, rate: float, seed: int) -> list[float]:
    """Return the starts of events, `rate` a minute, at irregular intervals; none at the seam of the loop."""
    count = max(1, round(period * rate / 60))
    random = np.random.default_rng(seed)
    shift = random.uniform(-0.3, 0.3, count)
    return [float((place + 0.5 + shift[place]) * period / count) for place in range(count)]


def _blinks(time: np.ndarray, period: float, kind: str, seed: int = 0) -> np.ndarray:
    room = max(period - _LID_CLOSES - _LID_STAYS - _LID_OPENS, 0.0)
    return np.asarray(sum(_blink(time, min(start, room)) for start in _events(period, _BLINKS[kind], seed)))


def _waves(time: np.ndarray, period: float, slow: float, fast: float, seed: int) -> np.ndarray:
    """Compute irregular movement between two frequencies in Hz, within [-1, 1], 0 at the seam of the loop."""
    random = np.random.default_rng(seed)
    lowest, highest = max(1, round(slow * period)), max(2, round(fast * period))
    cycles = np.unique(np.linspace(lowest, highest, 6).round())
    phase = random.uniform(0, 2 * np.pi, len(cycles))
    angle = 2 * np.pi * time[:, None] * cycles / period + phase
    waves = ((np.sin(angle) - np.sin(phase)) / np.sqrt(cycles)).sum(axis=1)
    return np.asarray(waves / max(np.abs(waves).max(), 1e-6))


def _breath(time: np.ndarray, period: float) -> np.ndarray:
    cycles = max(1, round(period / _BREATH))
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * cycles * time / period))


def _repeated(time: np.ndarray, period: float, natural: float) -> np.ndarray:
    """Return the time within a repetition: as many as fit are spread evenly over the loop, faster only if none fits."""
    count = max(1, int(period / natural))
    return np.asarray(time % (period / count) * max(1.0, natural * count / period))


def _both_lids(lids: np.ndarray) -> dict[str, np.ndarray]:
    return {"right_lid": lids, "left_lid": lids}


def _idle(time: np.ndarray, period: float) -> Pose:
    breath = _breath(time, period)
    glance = _glances(time, period)
    return Pose.of(
        len(time),
        yaw=3.5 * _waves(time, period, 0.08, 0.4, 1) + 2.5 * glance,
        pitch=1.6 * _waves(time, period, 0.1, 0.5, 2) - 0.7 * breath,
        roll=1.6 * _waves(time, period, 0.06, 0.3, 3),
        rise=0.006 * breath,
        gaze_x=0.35 * glance,
        brows=0.12 * _waves(time, period, 0.1, 0.4, 4),
        smile=0.15 * (0.5 - 0.5 * np.cos(2 * np.pi * time / period)),
        **_both_lids(_blinks(time, period, "rest")),
    )


def _glances(time: np.ndarray, period: float) -> np.ndarray:
    """Compute small changes of gaze, every 2 to 3 seconds, back in the middle at the seam of the loop."""
    starts = _events(period, 24, 5)
    places = [*np.random.default_rng(6).uniform(-1, 1, len(starts) - 1), 0.0]
    before, total = 0.0, np.zeros_like(time)
    for start, place in zip(starts, places, strict=True):
        total += (place - before) * _smooth((time - start) / 0.12)
        before = place
    return total


def _nod(time: np.ndarray, period: float) -> Pose:
    within = _repeated(time, period, 2.4)
    downs = sum(size * _hold(within, start, 0.22, 0.0, 0.26) for size, start in ((1.0, 0.2), (0.75, 0.72), (0.5, 1.22)))
    return Pose.of(
        len(time),
        pitch=13 * np.asarray(downs) - 2.5 * _hold(within, 0.0, 0.2, 0.0, 0.2),
        brows=0.25 * _hold(within, 0.1, 0.3, 0.8, 0.5),
        smile=0.25 * _hold(within, 0.1, 0.5, 0.8, 0.7),
        **_both_lids(_blink(within, 0.28)),
    )


def _shake(time: np.ndarray, period: float) -> Pose:
    within = _repeated(time, period, 2.6)
    fading = _hold(within, 0.1, 0.4, 0.9, 0.8)
    return Pose.of(
        len(time),
        yaw=14 * fading * np.sin(2 * np.pi * 1.5 * (within - 0.1)),
        pitch=2 * fading,
        brows=-0.3 * fading,
        **_both_lids(_blink(within, 0.4)),
    )


def _smile(time: np.ndarray, period: float) -> Pose:
    within = _repeated(time, period, 4.0)
    smile = _hold(within, 0.3, 0.7, 1.4, 1.2)
    return Pose.of(
        len(time),
        smile=smile,
        brows=0.25 * smile,
        roll=4 * smile,
        pitch=-3 * smile,
        yaw=3 * _waves(time, period, 0.1, 0.5, 7),
        **_both_lids(_blink(within, 2.5)),
    )


def _talk(time: np.ndarray, period: float) -> Pose:
    phrases = _phrases(time, period)
    syllables = 0.5 + 0.5 * _waves(time, period, 2.5, 5.5, 11)
    return Pose.of(
        len(time),
        jaw=0.75 * phrases * syllables,
        pout=0.5 * phrases * _waves(time, period, 1.0, 3.0, 12),
        smile=0.25 * phrases * _waves(time, period, 0.3, 1.0, 13).clip(0, 1),
        yaw=6 * _waves(time, period, 0.15, 0.8, 14),
        pitch=3.5 * phrases * _waves(time, period, 0.5, 1.8, 15),
        roll=3 * _waves(time, period, 0.1, 0.6, 16),
        brows=0.5 * phrases * _waves(time, period, 0.3, 1.0, 17),
        **_both_lids(_blinks(time, period, "talking", 18)),
    )


def _phrases(time: np.ndarray, period: float) -> np.ndarray:
    """Return 1 while somebody speaks, 0 at the seam and in the pauses between phrases of about two seconds."""
    count = max(1, round(period / 2.4))
    within = time % (period / count) * count / period  # in [0, 1)
    return np.asarray(_smooth(within / 0.08) - _smooth((within - 0.8) / 0.15))


def _just_blink(time: np.ndarray, period: float) -> Pose:
    within = _repeated(time, period, 3.0)
    lids = _blink(within, 0.6) + _blink(within, 1.9)
    return Pose.of(len(time), pitch=0.8 * lids, brows=-0.15 * lids, **_both_lids(lids))


def _wink(time: np.ndarray, period: float) -> Pose:
    within = _repeated(time, period, 2.4)
    lid = _hold(within, 0.5, 0.14, 0.25, 0.25)
    around = _hold(within, 0.3, 0.4, 0.5, 0.6)
    return Pose.of(
        len(time), left_lid=lid, right_lid=0.12 * lid, smile=0.45 * around, roll=6 * around, yaw=-4 * around,
        brows=-0.1 * lid,
    )  # fmt: skip


def _look_around(time: np.ndarray, period: float) -> Pose:
    within = _repeated(time, period, 6.0)
    turns = ((0.4, -1.0, 0.15), (1.9, 1.0, -0.2), (3.5, 0.35, -1.0), (4.8, 0.0, 0.0))
    eyes, head = (_visited(within, turns, seconds, wait) for seconds, wait in ((0.15, 0.0), (0.55, 0.06)))
    lids = sum(_blink(within, start + 0.05) for start, *_ in turns[:2])
    return Pose.of(
        len(time),
        yaw=15 * head[0],
        pitch=8 * head[1],
        gaze_x=eyes[0] - 0.5 * head[0],  # the eyes arrive first, and then the head brings them back
        gaze_y=eyes[1] - 0.5 * head[1],
        brows=-0.3 * head[1].clip(-1, 0),
        **_both_lids(np.asarray(lids)),
    )


def _visited(
    time: np.ndarray, turns: tuple[tuple[float, float, float], ...], seconds: float, wait: float
) -> tuple[np.ndarray, np.ndarray]:
    """Move from place to place: (start, x, y) each, `wait` after the start and in so many seconds."""
    x, y, last_x, last_y = np.zeros_like(time), np.zeros_like(time), 0.0, 0.0
    for start, to_x, to_y in turns:
        share = _smooth((time - start - wait) / seconds)
        x += (to_x - last_x) * share
        y += (to_y - last_y) * share
        last_x, last_y = to_x, to_y
    return x, y


def _surprised(time: np.ndarray, period: float) -> Pose:
    within = _repeated(time, period, 3.2)
    startle = _hold(within, 0.4, 0.2, 0.9, 0.9)
    return Pose.of(
        len(time),
        brows=1.1 * startle,
        jaw=0.8 * _hold(within, 0.45, 0.25, 0.7, 0.8),
        pout=0.25 * startle,
        pitch=-5 * startle,
        rise=0.015 * startle,
        **_both_lids(-0.45 * startle + _blink(within, 0.15) + _blink(within, 2.5)),
    )


MOTIONS = {
    "idle": Motion("breathes, blinks and looks about a little, as somebody who waits", 8.0, _idle),
    "nod": Motion("nods three times: yes", 2.4, _nod),
    "shake": Motion("shakes the head: no", 2.6, _shake),
    "smile": Motion("smiles, and stops smiling", 4.0, _smile),
    "talk": Motion("moves the mouth as in talking, and the head with it", 7.2, _talk),
    "blink": Motion("blinks with both eyes", 3.0, _just_blink),
    "wink": Motion("winks with the left eye", 2.4, _wink),
    "look_around": Motion("turns eyes and head to one side, to the other, and up", 6.0, _look_around),
    "surprised": Motion("raises the brows, and opens eyes and mouth", 3.2, _surprised),
}


def poses(name: str, frames: int, rate: float, scale: float = 1.0) -> Pose:
    """Return the poses of a motion.

    Args:
        name: one of `MOTIONS`.
        frames: of the loop, at least 1.
        rate: frames per second.
        scale: multiplies the movement.
    """
    time = np.arange(frames) / rate
    return MOTIONS[name].pose(time, frames / rate).scaled(scale)
