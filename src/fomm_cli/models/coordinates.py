"""Coordinates: grids, Gaussians around keypoints, warping.

Coordinates are (x, y) in [-1, 1], -1 at the centre of the first pixel and 1 at the centre of the last. Sampling with
``align_corners=True`` uses the same convention, so that an identity flow returns the image.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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


def warp(image: Tensor, flow: Tensor, *, align_corners: bool) -> Tensor:
    """Sample `image` where `flow` points, bilinearly, zero outside.

    Args:
        image: shape (1 or B, C, H, W).
        flow: backward flow, shape (B, h, w, 2): for each target pixel, where it comes from.
        align_corners: whether -1 and 1 mean the centres of the border pixels or the outer edges of the image.

    Returns:
        Shape (B, C, h, w).
    """
    image = image.expand(flow.shape[0], -1, -1, -1)
    dtype = torch.promote_types(image.dtype, flow.dtype)  # in half precision a flow would be off by pixels
    return F.grid_sample(image.to(dtype), flow.to(dtype), mode="bilinear", align_corners=align_corners)


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
