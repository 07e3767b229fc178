"""Change training pairs at random, both frames of a pair alike, on whole batches and on the device."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from fomm_cli.config.schema import AugmentationParams, CropParam, FlipParam, JitterParam, ResizeParam, RotationParam

_LUMA = (0.299, 0.587, 0.114)  # of ITU-R BT.601, as Pillow's grey


def augment(pairs: Tensor, params: AugmentationParams, random: torch.Generator) -> Tensor:
    """Change pairs of frames: flips, then rotation, resize and crop in one resampling, then colours.

    Args:
        pairs: source and driving frames, RGB in [0, 1], shape (B, 2, 3, H, W).
        params: which changes.
        random: on the device of the pairs.

    Returns:
        Shape (B, 2, 3, H, W).
    """
    if params.flip_param:
        pairs = flip(pairs, params.flip_param, random)
    if params.rotation_param or params.resize_param or params.crop_param:
        pairs = move(pairs, params.rotation_param, params.resize_param, params.crop_param, random)
    if params.jitter_param:
        pairs = jitter(pairs, params.jitter_param, random)
    return pairs


def flip(pairs: Tensor, params: FlipParam, random: torch.Generator) -> Tensor:
    """Mirror pairs (B, 2, 3, H, W), and swap their frames, one time in two each."""
    for wanted, dimension in ((params.time_flip, 1), (params.horizontal_flip, 4)):
        if wanted:
            chosen = _uniform(len(pairs), 0, 1, random) < 0.5
            pairs = torch.where(chosen[:, None, None, None, None], pairs.flip(dimension), pairs)
    return pairs


def move(
    pairs: Tensor,
    rotation: RotationParam | None,
    resize: ResizeParam | None,
    crop: CropParam | None,
    random: torch.Generator,
) -> Tensor:
    """Rotate about the centre, resize, and crop at a random place; outside, the border goes on.

    Args:
        pairs: shape (B, 2, 3, H, W).
        rotation: None for none.
        resize: None for none.
        crop: None for the centre; its size is that of the frames.
        random: on the device of the pairs.
    """
    count = len(pairs)
    least, most = rotation.degrees if rotation else (0.0, 0.0)
    angle = _uniform(count, least, most, random) * (math.pi / 180)
    smallest, largest = resize.ratio if resize else (1.0, 1.0)
    ratio = _uniform(count, smallest, largest, random)
    # in units of the resized frame, the crop's centre may move by what the crop leaves over
    spare = (ratio - 1).clamp(min=0) if crop else torch.zeros_like(ratio)
    offset = torch.stack([_uniform(count, -1, 1, random) * spare for _ in range(2)], dim=-1)  # (B, 2)
    turn = torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos()), dim=-1).view(count, 2, 2)
    aspect = pairs.shape[4] / pairs.shape[3]  # turning is rigid in pixels, not in coordinates from -1 to 1
    stretch = torch.tensor([[1, 1 / aspect], [aspect, 1]], device=pairs.device)
    linear = turn * stretch / ratio[:, None, None]
    affine = torch.cat((linear, (linear @ offset[..., None])), dim=-1)  # (B, 2, 3): where each pixel comes from
    flat = pairs.flatten(1, 2)  # (B, 6, H, W)
    flow = F.affine_grid(affine, list(flat.shape), align_corners=False)
    return F.grid_sample(flat, flow, padding_mode="border", align_corners=False).view_as(pairs)


def jitter(pairs: Tensor, params: JitterParam, random: torch.Generator) -> Tensor:
    """Change brightness, contrast, saturation and hue of pairs (B, 2, 3, H, W), in this order."""
    count = len(pairs)
    changes = {_brightness: params.brightness, _contrast: params.contrast, _saturation: params.saturation}
    for change, amount in changes.items():
        if amount:
            factor = _uniform(count, max(0, 1 - amount), 1 + amount, random)[:, None, None, None, None]
            pairs = change(pairs, factor).clamp(0, 1)
    if params.hue:
        pairs = shift_hue(pairs, _uniform(count, -params.hue, params.hue, random)[:, None, None, None])
    return pairs


def shift_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of HSV colours.

    Args:
        images: RGB in [0, 1], shape (..., 3, H, W).
        turns: of the colour circle, broadcastable to (..., H, W).
    """
    red, green, blue = images.unbind(-3)
    value, least = images.amax(-3), images.amin(-3)
    chroma = value - least
    safe = chroma.clamp(min=1e-8)
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )  # in sixths of the circle
    hue = hue + 6 * turns
    # each channel is the value, less the chroma in half the circle, with ramps of a sixth on both sides
    sextants = torch.stack([(hue + shift).remainder(6) for shift in (5, 3, 1)], dim=-3)
    return value.unsqueeze(-3) - chroma.unsqueeze(-3) * torch.minimum(sextants, 4 - sextants).clamp(0, 1)


def _brightness(pairs: Tensor, factor: Tensor) -> Tensor:
    return pairs * factor


def _contrast(pairs: Tensor, factor: Tensor) -> Tensor:
    mean = _grey(pairs).mean(dim=(1, 2, 3, 4), keepdim=True)  # of the pair, so that both frames change alike
    return (pairs - mean) * factor + mean


def _saturation(pairs: Tensor, factor: Tensor) -> Tensor:
    grey = _grey(pairs)
    return (pairs - grey) * factor + grey


def _grey(images: Tensor) -> Tensor:
    weights = torch.tensor(_LUMA, device=images.device).view(3, 1, 1)
    return (images * weights).sum(-3, keepdim=True)


def _uniform(count: int, low: float, high: float, random: torch.Generator) -> Tensor:
    return torch.rand(count, device=random.device, generator=random) * (high - low) + low
