"""Draw the pattern of the invisible mark: a sum of diagonal waves, one part to find it, the others for 64 bits.

The pattern fills the frame whatever its size: every wave goes through the frame a whole number of times, so that
scaling leaves it as it is and cropping shifts and stretches it. Its waves are those that video codecs keep best where
faces have little of their own.
"""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np

from fomm_cli.marks.code import BITS

GRID = 128  # samples a side on which the mark is looked for
_CYCLES = (25.6, 38.4)  # of a wave across the frame
_DIAGONAL = 22.5  # degrees a wave may differ from a diagonal one
_KEY = b"fomm invisible mark 1"  # public: whoever knows it can read marks
_PILOT_SHARE = 0.25  # of the energy, for the part that does not depend on the bits


@cache
def waves() -> tuple[np.ndarray, np.ndarray]:
    """Return the waves of the pattern as cycles per height and per width, two int arrays (M,)."""
    rows, columns = np.mgrid[-GRID // 2 : GRID // 2, 1 : GRID // 2]
    radius = np.hypot(rows, columns)
    angle = np.degrees(np.arctan2(np.abs(rows), columns))
    used = (radius >= _CYCLES[0]) & (radius < _CYCLES[1]) & (np.abs(angle - 45) < _DIAGONAL)
    return rows[used], columns[used]


@cache
def directions() -> np.ndarray:
    """Return 65 orthonormal directions in the space of all waves, float32 (65, 2 M): the pilot and the 64 bits.

    The first M numbers of a direction are the cosines, the others the sines of the waves.
    """
    size = 2 * len(waves()[0])
    count = BITS + 1
    noise = np.frombuffer(hashlib.shake_256(_KEY).digest(count * size // 8 + 1), np.uint8)
    signs = 2.0 * np.unpackbits(noise)[: count * size].reshape(count, size) - 1
    return np.asarray(np.linalg.solve(np.linalg.cholesky(signs @ signs.T), signs), np.float32)


def pilot() -> np.ndarray:
    """Return the direction that does not depend on the bits, float32 (2 M,)."""
    return np.asarray(directions()[0])


def weights_of(signs: np.ndarray) -> np.ndarray:
    """Return how much of each direction is in the pattern with these 64 signs, float32 (65,) of length 1."""
    shares = np.concatenate([[_PILOT_SHARE**0.5], ((1 - _PILOT_SHARE) / BITS) ** 0.5 * signs])
    return np.asarray(shares, np.float32)


def pattern_of(signs: np.ndarray) -> np.ndarray:
    """Return the direction of the whole pattern with these 64 signs, float32 (2 M,) of length 1."""
    return np.asarray(weights_of(signs) @ directions())


def image_of(direction: np.ndarray, size: tuple[int, int], shift: tuple[float, float]) -> np.ndarray:
    """Draw a pattern.

    Args:
        direction: float (2 M,).
        size: (height, width) in pixels.
        shift: how far it is moved down and to the right, in samples of the grid.

    Returns:
        float32 (height, width) of mean 0 and standard deviation 1.
    """
    down, right = waves()
    coefficients = shifted(_complex(direction), shift)
    spectrum = np.zeros((size[0], size[1] // 2 + 1), np.complex64)
    shown = (np.abs(down) < size[0] / 2) & (right < size[1] / 2)
    spectrum[down[shown] % size[0], right[shown]] = coefficients[shown]
    image = np.fft.irfft2(spectrum, size)
    return np.asarray(image / image.std(), np.float32)


def coefficients_of(samples: np.ndarray) -> np.ndarray:
    """Return the waves found in samples of the grid, complex64 (M,), from float32 (GRID, GRID)."""
    down, right = _phases(GRID)
    row, column = _places()
    return np.asarray((down.conj().T @ (samples @ right.conj()))[row, column])


def shifted(coefficients: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    """Return the waves moved down and to the right by a shift in samples of the grid."""
    down, right = waves()
    return np.asarray(coefficients * np.exp(-2j * np.pi / GRID * (down * shift[0] + right * shift[1])))


def agreement(coefficients: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return how well waves agree with a direction for every shift, float32 (2 GRID, 2 GRID) in half samples.

    For any image made without knowledge of the key, a value is distributed like a standard normal variable.
    """
    down, right = _phases(2 * GRID)
    spectrum = np.zeros((down.shape[1], right.shape[1]), np.complex64)
    spectrum[_places()] = coefficients * _complex(direction).conj()
    half = down @ spectrum
    surface = np.hstack([half.real, half.imag]) @ np.hstack([right.real, -right.imag]).T
    return np.asarray(surface * np.float32(_unit(direction, coefficients)))


def projections(coefficients: np.ndarray) -> np.ndarray:
    """Return how well waves agree with each of the 65 directions, in the unit of `agreement`, float (65,)."""
    vector = np.concatenate([coefficients.real, coefficients.imag])
    return np.asarray(directions() @ vector * _unit(vector, coefficients))


def _unit(direction: np.ndarray, coefficients: np.ndarray) -> float:
    """Return what makes a product with a direction standard normal, for waves that know nothing of the key."""
    return float(np.sqrt(len(direction)) / max(np.linalg.norm(coefficients), 1e-12))


@cache
def _places() -> tuple[np.ndarray, np.ndarray]:
    """Return where each wave stands in a table of the frequencies that occur, two int arrays (M,)."""
    down, right = waves()
    return np.unique(down, return_inverse=True)[1], np.unique(right, return_inverse=True)[1]


@cache
def _phases(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the frequencies that occur, as complex64 (count, frequencies) turns along a side of `count` samples.

    They are so few that products with these matrices take less time than an FFT of all.
    """
    down, right = (
        np.exp(2j * np.pi / count * np.outer(np.arange(count), np.unique(each))).astype(np.complex64)
        for each in waves()
    )
    return down, right


def _complex(direction: np.ndarray) -> np.ndarray:
    half = len(direction) // 2
    return np.asarray(direction[:half] + 1j * direction[half:])
