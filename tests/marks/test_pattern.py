"""The pattern of the invisible mark, as an image and as waves that are found again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fomm_cli.marks.code import BITS, Payload, encode
from fomm_cli.marks.pattern import (
    GRID,
    agreement,
    coefficients_of,
    directions,
    image_of,
    pattern_of,
    pilot,
    projections,
    shifted,
    waves,
    weights_of,
)
from fomm_cli.marks.samples import samples_of, waves_of
from fomm_cli.media.image import read_image
from fomm_cli.models.bundled import sample


def test_the_agreement_of_unmarked_frames_is_standard_normal() -> None:
    """The false alarms are computed from this."""
    image = cv2.cvtColor(read_image(sample()[0]), cv2.COLOR_RGB2GRAY)
    found = waves_of(samples_of(image))
    payloads = [Payload((0, 0, 0), number) for number in range(40)]
    values = np.concatenate([agreement(found, pattern_of(encode(payload)))[::16, ::16].ravel() for payload in payloads])
    assert values.mean() == pytest.approx(0, abs=0.05)
    assert values.std() == pytest.approx(1, abs=0.05)
    assert np.abs(values).max() < 5


PATTERN = pattern_of(encode(Payload((0, 2, 0), 0xBEEF)))


def test_the_waves_are_diagonal_and_of_middle_frequency() -> None:
    down, right = waves()
    assert len(set(zip(down, right, strict=True))) == len(down) == 638
    radius, angle = np.hypot(down, right), np.degrees(np.arctan2(np.abs(down), right))
    assert radius.min() > 25 and radius.max() < 39
    assert np.abs(angle - 45).max() < 23


def test_the_directions_are_orthonormal() -> None:
    assert np.allclose(directions() @ directions().T, np.eye(BITS + 1), atol=1e-5)
    assert np.array_equal(pilot(), directions()[0])


def test_the_pattern_is_fixed_by_the_public_key() -> None:
    """Marks that were written must stay readable."""
    assert np.flatnonzero(pilot()[:16] > 0).tolist() == [1, 8, 9, 10, 11, 12, 14]


def test_a_quarter_of_the_energy_is_the_pilot() -> None:
    weights = weights_of(encode(Payload((0, 2, 0), 1)))
    assert weights[0] ** 2 == pytest.approx(0.25)
    assert np.sum(weights**2) == pytest.approx(1)
    assert np.linalg.norm(PATTERN) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("size", [(256, 256), (90, 160), (360, 200)])
def test_an_image_of_the_pattern_holds_its_waves_at_every_size(size: tuple[int, int]) -> None:
    image = image_of(PATTERN, size, (0, 0))
    assert image.shape == size
    assert image.mean() == pytest.approx(0, abs=1e-4)
    assert image.std() == pytest.approx(1, abs=1e-4)
    sampled = cv2.resize(image, (GRID, GRID), interpolation=cv2.INTER_AREA)
    assert projections(coefficients_of(sampled))[1:] @ encode(Payload((0, 2, 0), 0xBEEF)) > 160, "247 without a loss"


def test_a_pattern_that_was_moved_is_found_where_it_lies() -> None:
    found = coefficients_of(np.roll(image_of(PATTERN, (GRID, GRID), (0, 0)), (5, -9), (0, 1)))
    surface = agreement(found, PATTERN)
    row, column = np.unravel_index(int(surface.argmax()), surface.shape)
    assert (row / 2, column / 2) == (5, GRID - 9)
    assert surface.max() == pytest.approx(np.sqrt(2 * len(waves()[0])), rel=0.01), "all of its energy agrees"
    moved = image_of(PATTERN, (GRID, GRID), (5, -9))
    assert np.allclose(coefficients_of(moved), found, atol=0.01 * np.abs(found).max())
    back = shifted(found, (-5, 9))
    assert projections(back)[0] == pytest.approx(agreement(found, pilot())[10, 2 * (GRID - 9)], rel=1e-3)


def test_nothing_agrees_with_an_image_without_detail() -> None:
    assert np.abs(agreement(coefficients_of(np.zeros((GRID, GRID), np.float32)), PATTERN)).max() == 0
