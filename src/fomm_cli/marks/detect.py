"""Look for the invisible mark in the average of the frames of a file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from fomm_cli.marks.code import FREE_BITS, Payload, decode, encode
from fomm_cli.marks.pattern import GRID, agreement, pilot, projections, shifted, weights_of
from fomm_cli.marks.samples import samples_of, waves_of

FALSE_ALARMS = 1e-6  # at most, for any file without a mark
_SEARCHES = 2  # of the whole frame, and of a crop

_SMALLEST = 102  # samples a side of what a crop may leave: 80 %
_STEP = 2  # samples between the sizes tried first
_CANDIDATES = 24
_PEAKS = 3  # of every size tried
_LEAST_AGREEMENT = 3.5  # with the pilot; a mark that can be read has 4.5 and more
_QUARTERS = 4 * GRID  # shifts that are told apart, along each side
_SHIFTS = _QUARTERS**2
_SIZES = (GRID - _SMALLEST + 1) ** 2

Size = tuple[int, int]
Shift = tuple[float, float]


@dataclass(frozen=True)
class Reading:
    """An invisible mark that was found.

    Attributes:
        payload: what it says.
        score: how well the frames agree with it, in standard deviations of frames without a mark.
        false_alarm: how likely a file without a mark would be taken for marked so clearly, at most.
        shown: (height, width) as fractions of the marked frame: below 1 where the file was cropped.
    """

    payload: Payload
    score: float
    false_alarm: float
    shown: tuple[float, float]


@dataclass(frozen=True)
class Place:
    """A place where a frame may lie in the pattern.

    Attributes:
        size: (height, width) of the frame in samples of the grid.
        shift: how far the pattern is moved down and to the right, in samples.
        agreement: with the pilot.
    """

    size: Size
    shift: Shift
    agreement: float


def detect(gray: np.ndarray) -> Reading | None:
    """Find the mark in a frame or the average of many, (H, W) in [0, 255]; None if there is none to be found."""
    return next((reading for reading in search(gray) if reading.false_alarm <= FALSE_ALARMS), None)


def search(gray: np.ndarray) -> Iterator[Reading]:
    """Yield the clearest reading, however unlikely, in the frame as a whole, then in the frame as a crop."""
    for places, hypotheses in ((_whole_places, _SHIFTS), (_cropped_places, _SHIFTS * _SIZES)):
        readings = (_read(gray, place, hypotheses) for place in places(gray))
        if (best := max(readings, key=lambda reading: reading.score, default=None)) is not None:
            yield best


def _whole_places(gray: np.ndarray) -> list[Place]:
    """Return the likeliest places of a frame that was not cropped."""
    return _peaks(gray, (GRID, GRID), _CANDIDATES)


def _cropped_places(gray: np.ndarray) -> list[Place]:
    """Return the likeliest places of a cropped frame: of some of the sizes first, then around the best of these."""
    sides = range(_SMALLEST, GRID + 1, _STEP)
    found = [place for size in product(sides, sides) for place in _peaks(gray, size, _PEAKS)]
    found.sort(key=_agreement, reverse=True)
    best_of = cache(lambda size: _peaks(gray, size, 1))
    likely = dict.fromkeys(place.size for place in found[:_CANDIDATES])
    return [max((place for size in _neighbours(each) for place in best_of(size)), key=_agreement) for each in likely]


def _neighbours(size: Size) -> Iterator[Size]:
    """Return a size and those that differ by one sample."""
    heights, widths = ([max(side - 1, _SMALLEST), side, min(side + 1, GRID)] for side in size)
    return product(heights, widths)


def _agreement(place: Place) -> float:
    return place.agreement


def _peaks(gray: np.ndarray, size: Size, count: int) -> list[Place]:
    """Return the places where a frame laid out at a size agrees best with the pilot."""
    surface = agreement(waves_of(samples_of(gray, size)), pilot())
    high = np.flatnonzero(surface > _LEAST_AGREEMENT)
    highest = high[np.argsort(-surface.flat[high])[:count]]
    rows, columns = np.unravel_index(highest, surface.shape)
    return [
        Place(size, (row / 2, column / 2), float(surface[row, column]))
        for row, column in zip(rows, columns, strict=True)
    ]


def _read(gray: np.ndarray, place: Place, hypotheses: int) -> Reading:
    """Read the likeliest payload at a place."""
    found = waves_of(samples_of(gray, place.size))
    down, right = place.shift
    nearby = [(-down + quarter / 4, -right + other / 4) for quarter, other in product((-1, 0, 1), repeat=2)]
    values = max((projections(shifted(found, shift)) for shift in nearby), key=lambda each: float(each[0]))
    payload = decode(values[1:])
    score = float(weights_of(encode(payload)) @ values)
    chance = math.erfc(score / math.sqrt(2)) / 2
    return Reading(
        payload,
        score,
        false_alarm=min(1.0, _SEARCHES * hypotheses * 2.0**FREE_BITS * chance),
        shown=(place.size[0] / GRID, place.size[1] / GRID),
    )
