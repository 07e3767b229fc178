"""Exact times out of the rounded ones that containers store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

DEFAULT_RATE = Fraction(25)

_COARSE_TICK = Fraction(1, 500)  # seconds; GIF and AVI count in whole frames or delays that mean what they say
_LARGEST_DENOMINATOR = 1001
_REGULAR_SHARE = 0.9  # of the steps, from which a rate may call itself constant
_FEW_FRAMES = 10  # with fewer times almost any rate fits


@dataclass(frozen=True)
class Timing:
    """The time line of one video stream, in seconds.

    Attributes:
        rate: frames per second, exact for a constant rate, else the average.
        grid: the rate whose multiples all frames lie on, or None.
        origin: time of the first frame on the container's clock.
        tick: what the container rounds its times to.
    """

    rate: Fraction
    grid: Fraction | None
    origin: Fraction
    tick: Fraction

    def since_origin(self, time: Fraction) -> Fraction:
        """Turn container time into time since the first frame, without the container's rounding."""
        return self.unrounded(time - self.origin)

    def unrounded(self, span: Fraction) -> Fraction:
        """Return the multiple of the frame interval that ``span`` is the rounding of, or ``span`` itself."""
        if self.grid is None:
            return span
        exact = round(span * self.grid) / self.grid
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
    candidates = set(declared) | (_standard_rates(average) if steps >= _FEW_FRAMES else set())
    # The slowest that fits: every multiple of the true rate fits as well.
    for candidate in sorted(candidates):
        timing = Timing(candidate, candidate, origin, tick)
        if _fits(ordered, timing):
            regular = steps >= _REGULAR_SHARE * span * candidate
            grid = candidate if tick <= _COARSE_TICK else None
            return Timing(candidate if regular else average, grid, origin, tick)
    return Timing(average, None, origin, tick)


def _standard_rates(average: Fraction) -> set[Fraction]:
    """Return the whole and the NTSC rate next to ``average``."""
    whole = Fraction(max(1, round(average)))
    ntsc = Fraction(max(1, round(average * Fraction(1001, 1000))) * 1000, 1001)
    return {whole, ntsc}


def _fits(ordered: list[Fraction], timing: Timing) -> bool:
    if timing.tick * timing.rate * 8 > 1 and timing.tick <= _COARSE_TICK:
        return False
    tolerance = timing.tick if timing.tick <= _COARSE_TICK else Fraction(0)
    offsets = [(time - timing.origin) * timing.rate for time in ordered]
    places = [round(offset) for offset in offsets]
    close = all(abs(a - b) <= tolerance * timing.rate for a, b in zip(offsets, places, strict=True))
    return close and len(set(places)) == len(places)
