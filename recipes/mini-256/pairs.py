"""Draw pairs of frames for a training step, more often those that differ in mouth, lids and pose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from training_data import Faces

_ALIKE = 0.1  # how much a pair without any difference counts
_FACE_PIXELS = 64  # side of the map that says what moves with a face


@dataclass(frozen=True)
class Batch:
    """Frames of a step; frame 2 n and frame 2 n + 1 show the same person, and each is the other's driving frame.

    Attributes:
        images: RGB in [0, 1], shape (2 B, 3, 256, 256).
        landmarks: (2 B, 478, 2) in [-1, 1].
    """

    images: Tensor
    landmarks: Tensor

    def swapped(self) -> Batch:
        """Return the driving frame of each frame, in the order of the frames."""
        order = torch.arange(len(self.images)) ^ 1
        return Batch(self.images[order], self.landmarks[order])


T = TypeVar("T")


def ahead(prepare: Callable[[], T], go_on: Callable[[], bool]) -> Iterator[T]:
    """Prepare each batch while the one before is learnt from, as long as `go_on`."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(prepare)
        while go_on():
            batch, coming = coming.result(), thread.submit(prepare)
            yield batch


class Pairs:
    """Draw pairs of frames of clips, and portraits with their moved copies."""

    def __init__(self, faces: Faces, seed: int) -> None:
        self._faces, self.seed = faces, seed
        self._train, self._stills = faces.of("train"), faces.of("stills")
        self._often = faces.rarity(self._train)
        self._random = np.random.default_rng(seed)
        self._torch_random = torch.Generator().manual_seed(seed)

    def draw(self, pairs: int, stills: int) -> Batch:
        """Draw pairs from clips, then pairs made of stills; half of all are mirrored."""
        chosen = self._train[
            torch.multinomial(self._often, pairs, replacement=True, generator=self._torch_random).numpy()
        ]
        both = np.stack((chosen, [self._partner(frame) for frame in chosen]), 1).ravel()
        images, landmarks = self._faces.images(both), self._faces.landmarks[both]
        if stills:
            portraits = self._random.choice(self._stills, stills)
            moved = move_faces(self._faces.images(portraits), self._faces.landmarks[portraits], self._torch_random)
            images, landmarks = torch.cat((images, moved.images)), torch.cat((landmarks, moved.landmarks))
        mirrored = torch.rand(len(images) // 2, generator=self._torch_random).repeat_interleave(2) < 0.5
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        across = torch.tensor([-1.0, 1.0])
        return Batch(images, torch.where(mirrored[:, None, None], landmarks * across, landmarks))

    def _partner(self, frame: int) -> int:
        """Draw another frame of the same clip, the likelier the more it differs."""
        others = np.flatnonzero(self._faces.clips == self._faces.clips[frame])
        differences = np.abs(self._faces.scaled(others) - self._faces.scaled(np.array([frame])))
        weights = _ALIKE + differences @ np.array([1.5, 1.5, 0.7, 0.7, 0.4])
        return int(self._random.choice(others, p=weights / weights.sum()))


def move_faces(images: Tensor, landmarks: Tensor, random: torch.Generator) -> Batch:
    """Pair portraits with copies in which only the face moved, over a background that stands still.

    Args:
        images: RGB in [0, 1], shape (B, 3, H, W).
        landmarks: (B, 478, 2).
        random: the source of the movements.

    Returns:
        2 B frames: each portrait, then its copy.
    """
    count, size = len(images), images.shape[2:]

    def within(limit: float) -> Tensor:
        return limit * (2 * torch.rand(count, generator=random) - 1)

    centre = landmarks.mean(1)
    angle, scale, squeeze = within(0.15), 1 + within(0.06), 1 + within(0.08)
    linear = torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos()), -1).view(count, 2, 2)
    linear = linear * (scale[:, None] * torch.stack((squeeze, 1 / squeeze), -1))[:, None]
    shift = torch.stack((within(0.08), within(0.08)), -1)
    copies = (landmarks - centre[:, None]) @ linear.mT + (centre + shift)[:, None]
    axis_x, axis_y = (torch.linspace(-1, 1, side) for side in reversed(size))
    grid = torch.stack((axis_x.expand(*size), axis_y[:, None].expand(*size)), -1)
    back = (grid - (centre + shift)[:, None, None]).flatten(1, 2) @ torch.linalg.inv(linear).mT + centre[:, None]
    share = _face_share(copies, size).permute(0, 2, 3, 1)
    flow = grid + share * (back.view(count, *size, 2) - grid)
    warped = F.grid_sample(images, flow, padding_mode="border", align_corners=True)
    return Batch(torch.stack((images, warped), 1).flatten(0, 1), torch.stack((landmarks, copies), 1).flatten(0, 1))


def _face_share(landmarks: Tensor, size: torch.Size) -> Tensor:
    """Return how far each pixel moves with the face: 1 in its ellipse, falling to 0 around it, (B, 1, H, W)."""
    low, high = landmarks.amin(1), landmarks.amax(1)
    centre, radius = (low + high) / 2, (high - low) / 2
    axis = torch.linspace(-1, 1, _FACE_PIXELS)
    grid = torch.stack((axis.expand(_FACE_PIXELS, -1), axis[:, None].expand(-1, _FACE_PIXELS)), -1)
    distance = ((grid - centre[:, None, None]) / radius[:, None, None]).norm(dim=-1)  # 1 on the ellipse
    share = ((1.9 - distance) / 0.6).clamp(0, 1)[:, None]
    smooth: Tensor = share * share * (3 - 2 * share)
    return F.interpolate(smooth, size=size, mode="bilinear", align_corners=True)
