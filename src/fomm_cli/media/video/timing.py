"""Recover exact times from the rounded ones that containers store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

DEFAULT_RATE = Fraction(25)

_COARSE_TICK = Fraction(1, 500)  # seconds; GIF and AVI count in whole frames or delays that mean what they say
_LARGEST_DENOMINATOR = 1001
_REGULAR_SHARE = 0.9  # of the steps, from which a rate may call itself constant
_LOOSEST_FIT = Fraction(1, 8)  # of a frame interval; beyond it anything is near a multiple
_FEW_FRAMES = 10  # with fewer times almost any rate fits


@dataclass(frozen=True)
class Timing:
    """The time line of one video stream, in seconds.

    Attributes:
        rate: frames per second, exact for a constant rate, else the average.
        ticks: the rate whose multiples all frames lie on, or None.
        origin: time of the first frame on the container's clock.
        tick: what the container rounds its times to.
    """

    rate: Fraction
    ticks: Fraction | None
    origin: Fraction
    tick: Fraction

    def since_origin(self, time: Fraction) -> Fraction:
        """Turn container time into time since the first frame, without the container's rounding."""
        return self.unrounded(time - self.origin)

    def unrounded(self, span: Fraction) -> Fraction:
        """Return the multiple of the frame interval that ``span`` is the rounding of, or ``span`` itself."""
        if self.ticks is None:
            return span
        exact = round(span * self.ticks) / self.ticks
        return exact if abs(span - exact) <= self.tick else span


def judge_timing(times: Iterable[Fraction], tick: Fraction, declared: Sequence[Fraction]) -> Timing:
    """Find the rate behind the first times of a stream.

    Args:
        times: on the container's clock, in any order, at least one.
        tick: the container's time base in seconds.
        declared: rates the container or its stream claim.
    """
    ordered = sorted(set(times))
    origin, steps = ordered[0], len(ordered) - 1
    span = ordered[-1] - origin
    average = (steps / span).limit_denominator(_LARGEST_DENOMINATOR) if span else next(iter(declared), DEFAULT_RATE)
    # Slowest first: every multiple of the true rate fits as well.
    candidates = sorted(declared)
    if steps >= _FEW_FRAMES:
        candidates += sorted(_standard_rates(average), key=lambda rate: _deviation(ordered, rate))
    tolerance = tick if tick <= _COARSE_TICK else Fraction(0)
    for candidate in candidates:
        if tolerance * candidate > _LOOSEST_FIT or _deviation(ordered, candidate) > tolerance:
            continue
        regular = steps >= _REGULAR_SHARE * span * candidate
        return Timing(candidate if regular else average, candidate if tolerance else None, origin, tick)
    return Timing(average, None, origin, tick)


def _standard_rates(average: Fraction) -> set[Fraction]:
    """Return the whole and the NTSC rate next to ``average``."""
    whole = Fraction(max(1, round(average)))
    ntsc = Fraction(max(1, round(average * Fraction(1001, 1000))) * 1000, 1001)
    return {whole, ntsc}


def _deviation(ordered: list[Fraction], rate: Fraction) -> Fraction:
    """Return the seconds by which the times stray at most from multiples of the frame interval."""
    offsets = [time - ordered[0] for time in ordered]
    return max(abs(offset - round(offset * rate) / rate) for offset in offsets)
