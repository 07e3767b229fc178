"""The driving video's sound under the rendered picture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path


def can_carry_audio(suffix: str) -> bool:
    """Whether a file with this suffix (``.mp4``) can hold sound."""
    raise NotImplementedError


def add_audio(rendered: Path, driving: Path, target: Path, start: Fraction, duration: Fraction) -> bool:
    """Write ``rendered`` with the sound of ``driving`` from ``start`` for ``duration`` seconds to ``target``.

    Returns:
        False, after one log line, if the sound could not be joined; ``target`` then does not exist.
    """
    raise NotImplementedError
