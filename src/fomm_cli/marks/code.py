"""Encode the 64 bits of the invisible mark, and decode them from uncertain values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np

BITS = 64
TOOL = 0b101  # three bits that say "fomm, first format"
FREE_BITS = 27  # of version and checkpoint; the tool bits are the same in every mark
_DATA_BITS = 30
_GENERATOR = 0o157464165547  # of the BCH code (63, 30); a parity bit makes it (64, 30) with distance 14
_VERSION_LIMITS = (7, 31, 7)
_SURE = 1e3


@dataclass(frozen=True)
class Payload:
    """The content of a mark.

    Attributes:
        version: (major, minor, patch) of fomm; larger numbers than (7, 31, 7) are stored as these.
        checkpoint: the first 16 bits of the SHA-256 of the weights.
    """

    version: tuple[int, int, int]
    checkpoint: int

    @classmethod
    def of(cls, version: str, checkpoint_sha256: str) -> Payload:
        """Build a payload from a version such as ``0.1.0`` and a SHA-256 in hex."""
        numbers = [int(number) for number in re.findall(r"\d+", version)] + [0, 0, 0]
        major, minor, patch = (min(number, limit) for number, limit in zip(numbers, _VERSION_LIMITS, strict=False))
        return cls((major, minor, patch), int(checkpoint_sha256[:4], 16))

    @property
    def data(self) -> int:
        """Return the 30 bits as a number: tool, version, checkpoint."""
        major, minor, patch = self.version
        return TOOL << 27 | major << 24 | minor << 19 | patch << 16 | self.checkpoint

    @classmethod
    def from_data(cls, data: int) -> Payload:
        """Build a payload from its 30 bits."""
        return cls((data >> 24 & 7, data >> 19 & 31, data >> 16 & 7), data & 0xFFFF)

    def __str__(self) -> str:
        return "{}.{}.{}".format(*self.version)


def encode(payload: Payload) -> np.ndarray:
    """Return the 64 signs of a payload, float32 of -1 and 1 (1 for a bit that is set)."""
    word = _bits_of(payload.data) @ _generator_matrix() % 2
    return np.where(word, 1, -1).astype(np.float32)


def decode(values: np.ndarray) -> Payload:
    """Find the payload whose signs agree best with unsure values.

    Ordered statistics decoding: the surest independent bits are taken as they are, up to three of them wrong.

    Args:
        values: (64,), positive where a bit is likely set; the larger, the surer.
    """
    values = np.array(values, np.float64)
    tool = _bits_of(TOOL << 27)[:3]
    values[:3] = np.where(tool, _SURE, -_SURE)
    places, rows = _most_reliable_basis(values)
    word = (values[places] > 0).astype(np.int8) @ rows % 2
    signs = 1.0 - 2 * rows  # of the values that a wrong bit turns over
    agreeing = values * (2.0 * word - 1)
    pairs = signs[:, None] * signs * agreeing  # two wrong bits; none, where both are the same
    triples = pairs @ signs.T  # three wrong bits, or one
    flips = np.unravel_index(int(triples.argmax()), triples.shape)
    if pairs.sum(-1).max() >= triples.max():
        flips = np.unravel_index(int(pairs.sum(-1).argmax()), triples.shape[:2])
    for flip in flips:
        word = word ^ rows[flip]
    return Payload.from_data(int("".join(map(str, word[:_DATA_BITS])), 2))


def _bits_of(data: int) -> np.ndarray:
    return np.array([data >> shift & 1 for shift in range(_DATA_BITS - 1, -1, -1)], np.int8)


@cache
def _generator_matrix() -> np.ndarray:
    """Build the systematic matrix (30, 64): data bits, 33 check bits of the BCH code, and a parity bit."""
    degree = _GENERATOR.bit_length() - 1
    rows = []
    for shift in range(_DATA_BITS - 1, -1, -1):
        remainder = 1 << (degree + shift)
        word = remainder
        while remainder.bit_length() > degree:
            remainder ^= _GENERATOR << (remainder.bit_length() - 1 - degree)
        word |= remainder
        bits = [word >> place & 1 for place in range(degree + _DATA_BITS - 1, -1, -1)]
        rows.append([*bits, sum(bits) % 2])
    return np.array(rows, np.int8)


def _most_reliable_basis(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of 30 independent bits, surest first, and the (30, 64) generator that is systematic in them."""
    rows = _generator_matrix().copy()
    chosen: list[int] = []
    for place in np.argsort(-np.abs(values), kind="stable"):
        rank = len(chosen)
        pivots = np.flatnonzero(rows[rank:, place])
        if not pivots.size:
            continue
        pivot = rank + pivots[0]
        rows[[rank, pivot]] = rows[[pivot, rank]]
        others = np.flatnonzero(rows[:, place])
        others = others[others != rank]
        rows[others] ^= rows[rank]
        chosen.append(int(place))
        if len(chosen) == _DATA_BITS:
            break
    return np.array(chosen), rows
