"""Compute with coordinates: grids, Gaussians around keypoints, warping.

Coordinates are (x, y) in [-1, 1], -1 at the centre of the first pixel and 1 at the centre of the last. Sampling with
``align_corners=True`` uses the same convention, so that an identity flow returns the image.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_LEAST_SHARE = 0.05  # of a neighbour along one side, so that training can make it the only one


def coordinate_grid(height: int, width: int, like: Tensor) -> Tensor:
    """Return the coordinates of every pixel, shape (height, width, 2), with the dtype and device of `like`."""
    x, y = (2 * (torch.arange(side, dtype=like.dtype, device=like.device) / (side - 1)) - 1 for side in (width, height))
    return torch.stack((x.expand(height, width), y[:, None].expand(height, width)), dim=-1)


def gaussian_heatmaps(value: Tensor, height: int, width: int, variance: float) -> Tensor:
    """Draw a Gaussian of height 1 around each keypoint.

    Args:
        value: keypoint positions, shape (B, K, 2).
        height: rows of the heatmap.
        width: columns of the heatmap.
        variance: in squared coordinate units.

    Returns:
        Shape (B, K, height, width), in (0, 1].
    """
    distance = coordinate_grid(height, width, value) - value[:, :, None, None]  # (B, K, height, width, 2)
    return torch.exp(-0.5 * distance.square().sum(dim=-1) / variance)


def warp(image: Tensor, flow: Tensor, *, align_corners: bool, padding: str = "zeros") -> Tensor:
    """Sample `image` where `flow` points, bilinearly.

    Args:
        image: shape (1 or B, C, H, W).
        flow: backward flow, shape (B, h, w, 2): for each target pixel, where it comes from.
        align_corners: whether -1 and 1 mean the centres of the border pixels or the outer edges of the image.
        padding: what is sampled outside the image, `zeros` or `border`.

    Returns:
        Shape (B, C, h, w).
    """
    image = image.expand(flow.shape[0], -1, -1, -1)
    dtype = torch.promote_types(image.dtype, flow.dtype)  # in half precision a flow would be off by pixels
    return F.grid_sample(image.to(dtype), flow.to(dtype), padding_mode=padding, align_corners=align_corners)


def full_precision(like: Tensor) -> torch.autocast:
    """Switch autocast off for coordinates: in half precision they would be off by pixels."""
    return torch.autocast(like.device.type, enabled=False)


def resize_flow(flow: Tensor, height: int, width: int, *, align_corners: bool = False) -> Tensor:
    """Resize a flow field (B, h, w, 2) to (B, height, width, 2).

    Args:
        flow: in coordinates of [-1, 1].
        height: rows wanted.
        width: columns wanted.
        align_corners: False as the original does, which bends even an identity flow at the borders; True keeps one.
    """
    if flow.shape[1:3] == (height, width):
        return flow
    resized = F.interpolate(
        flow.permute(0, 3, 1, 2).contiguous(), size=(height, width), mode="bilinear", align_corners=align_corners
    )
    return resized.permute(0, 2, 3, 1)


def double_by_guide(values: Tensor, scores: Tensor) -> Tensor:
    """Double the size of feature maps; every new pixel is a weighted mean of the 3 x 3 old ones around it.

    Scores of zero give (nearly) bilinear interpolation with aligned corners.

    Args:
        values: shape (B, C, h, w).
        scores: added to the logarithms of the bilinear weights, shape (B, 36, h, w): for each of the nine neighbours,
            row by row, the four new pixels.

    Returns:
        Shape (B, C, 2 h, 2 w).
    """
    height, width = values.shape[2:]
    prior = _tents(height, values)[:, None, :, None, :, None] * _tents(width, values)[None, :, None, :, None, :]
    weights = F.softmax(scores.view(-1, 9, 4, height, width) + prior.reshape(9, 4, height, width).log(), dim=1)
    padded = F.pad(values, (1, 1, 1, 1), mode="replicate")
    shifted = [padded[:, :, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    doubled = (torch.stack(shifted, 2)[:, :, :, None] * weights[:, None]).sum(dim=2)  # (B, C, 4, h, w)
    return F.pixel_shuffle(doubled.flatten(1, 2), 2)


def _tents(side: int, like: Tensor) -> Tensor:
    """Return weights of linear interpolation along one side, (3 neighbours, 2 new pixels, side), none of them zero."""
    old = torch.arange(side, dtype=like.dtype, device=like.device)
    shifts = torch.arange(3, dtype=like.dtype, device=like.device) - 1
    new = torch.stack((2 * old, 2 * old + 1)) * ((side - 1) / (2 * side - 1))  # (2, side), in old pixels
    return (1 - (new - old - shifts[:, None, None]).abs()).clamp(min=_LEAST_SHARE)
