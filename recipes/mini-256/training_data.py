"""Read the training data that collect.py wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from collect import EXPRESSION, PARTS
from torch import Tensor

_DEVIATION = {"jaw": 0.12, "lids": 0.2, "yaw": 12.0, "pitch": 10.0, "roll": 10.0}
"""What counts as a difference of one in each column of the expressions."""


@dataclass(frozen=True)
class Faces:
    """Frames with one face each, those of a clip one after another.

    Attributes:
        frames: uint8 (N, 256, 256, 3).
        landmarks: (N, 478, 2) in [-1, 1].
        expressions: (N, 5), see `collect.EXPRESSION`.
        clips: number of the clip or still, (N,).
        identities: number of the person, (N,).
        parts: index into `collect.PARTS`, (N,).
    """

    frames: np.ndarray
    landmarks: Tensor
    expressions: np.ndarray
    clips: np.ndarray
    identities: np.ndarray
    parts: np.ndarray

    @classmethod
    def open(cls, cache: Path) -> Faces:
        """Open what collect.py wrote; the frames stay on disk."""
        with np.load(cache / "faces.npz") as stored:
            return cls(
                np.load(cache / "frames.npy", mmap_mode="r"),
                torch.from_numpy(stored["landmarks"]),
                *(stored[name] for name in ("expressions", "clips", "identities", "parts")),
            )

    def of(self, part: str) -> np.ndarray:
        """Return the numbers of the frames of one of `collect.PARTS`."""
        return np.flatnonzero(self.parts == PARTS.index(part))

    def images(self, chosen: np.ndarray) -> Tensor:
        """Read frames as RGB in [0, 1], shape (B, 3, 256, 256)."""
        return torch.from_numpy(self.frames[chosen]).permute(0, 3, 1, 2).float() / 255

    def rarity(self, chosen: np.ndarray) -> Tensor:
        """Weigh frames so that every person counts alike, and unusual mouths, lids and poses of theirs more."""
        expressions = self.scaled(chosen)
        people = self.identities[chosen]
        counts = np.bincount(people)
        means = [np.bincount(people, column) / np.maximum(counts, 1) for column in expressions.T]
        unusual = np.abs(expressions - np.stack(means, 1)[people]).sum(1)
        # a square root: a person of whom there are many frames does have more to teach
        return torch.from_numpy((0.3 + unusual) / np.sqrt(counts[people]))

    def scaled(self, chosen: np.ndarray) -> np.ndarray:
        """Scale expressions (B, 5) so that their differences are comparable."""
        return self.expressions[chosen] / np.array([_DEVIATION[name] for name in EXPRESSION])
