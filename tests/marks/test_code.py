"""The 64 bits of the invisible mark: what they hold, and how they are read from unsure values."""

from __future__ import annotations

import numpy as np
import pytest

from fomm_cli.marks.code import BITS, FREE_BITS, Payload, decode, encode


def test_payloads_differ_in_at_least_14_bits() -> None:
    words = np.array([encode(Payload((v % 8, v % 32, 0), v * 40503 % 65536)) for v in range(500)])
    differing = (64 - words @ words.T) / 2
    assert np.sort(np.unique(differing))[1] >= 14


def test_a_payload_is_read_from_unsure_values() -> None:
    rng = np.random.default_rng(0)
    right = 0
    for number in range(100):
        payload = Payload((number % 8, number % 32, number % 8), int(rng.integers(65536)))
        right += decode(encode(payload) + rng.normal(0, 0.8, 64)) == payload  # a tenth of the bits are wrong
    assert right >= 97


@pytest.mark.parametrize(
    ("version", "told"), [("0.1.0", (0, 1, 0)), ("2.40.9", (2, 31, 7)), ("1.2.0rc1", (1, 2, 0)), ("1.2", (1, 2, 0))]
)
def test_a_version_is_told_as_far_as_it_fits(version: str, told: tuple[int, int, int]) -> None:
    payload = Payload.of(version, "0123" + 60 * "f")
    assert (payload.version, payload.checkpoint) == (told, 0x0123)
    assert decode(encode(payload)) == payload


def test_a_payload_keeps_its_order_of_bits() -> None:
    """Marks that were written must stay readable: tool 3, version 3 + 5 + 3, checkpoint 16 bits, then check bits."""
    payload = Payload((1, 2, 3), 0xABCD)
    assert payload.data == 0b101_001_00010_011_1010101111001101
    bits = "".join("1" if sign > 0 else "0" for sign in encode(payload))
    assert bits[:30] == f"{payload.data:b}"
    assert bits[30:] == "1111000000111000111100100010000100"
    assert str(payload) == "1.2.3"


def test_the_tool_bits_are_taken_as_known() -> None:
    """The count of payloads, and so the false alarms, rests on it."""
    values = encode(Payload((0, 1, 0), 5))
    values[:3] *= -9
    assert decode(values) == Payload((0, 1, 0), 5)
    assert 2**FREE_BITS == 8 * 32 * 8 * 65536


def test_three_wrong_bits_never_matter() -> None:
    rng = np.random.default_rng(1)
    for number in range(50):
        payload = Payload((1, number % 32, 2), int(rng.integers(65536)))
        values = encode(payload)
        values[rng.choice(np.arange(3, BITS), 3, replace=False)] *= -1
        assert decode(values + rng.uniform(-0.1, 0.1, BITS)) == payload
