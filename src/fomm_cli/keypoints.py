"""Hold keypoints with their Jacobians, as the keypoint detector finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class KeyPoints:
    """K keypoints for each of B images.

    Attributes:
        value: positions, shape (B, K, 2), x before y, in [-1, 1] from the centre of the first pixel to the
            centre of the last.
        jacobian: local affine motion around each point, shape (B, K, 2, 2); None for a zero-order model.
    """

    value: Tensor
    jacobian: Tensor | None = None

    def __len__(self) -> int:
        return self.value.shape[0]

    def __getitem__(self, index: slice) -> KeyPoints:
        """Return the keypoints of some of the images."""
        return KeyPoints(self.value[index], None if self.jacobian is None else self.jacobian[index])

    def to(self, device: torch.device) -> KeyPoints:
        """Return the same keypoints on another device."""
        return KeyPoints(self.value.to(device), None if self.jacobian is None else self.jacobian.to(device))

    @classmethod
    def joined(cls, parts: Sequence[KeyPoints]) -> KeyPoints:
        """Join the keypoints of several groups of images, at least one, in their order."""
        jacobians = [part.jacobian for part in parts if part.jacobian is not None]
        return cls(torch.cat([part.value for part in parts]), torch.cat(jacobians) if jacobians else None)


def inverse_2x2(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Invert 2x2 matrices in closed form; the result is finite for any input.

    Args:
        matrix: shape (..., 2, 2).

    Returns:
        The inverses, shape (..., 2, 2), with the identity in place of what has no usable inverse, and a boolean
        mask of those places, shape (...).
    """
    a, b, c, d = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 0], matrix[..., 1, 1]
    determinant = a * d - b * c
    # "not above" rather than "below": NaN counts as singular too
    singular = ~(determinant.abs() > 1e-6 * ((a * d).abs() + (b * c).abs())) | ~torch.isfinite(determinant)
    # a division by zero would spoil gradients even where it is not used
    determinant = torch.where(singular, torch.ones_like(determinant), determinant)
    adjugate = torch.stack((d, -b, -c, a), dim=-1).view(matrix.shape)
    identity = torch.eye(2, dtype=matrix.dtype, device=matrix.device)
    return torch.where(singular[..., None, None], identity, adjugate / determinant[..., None, None]), singular
