"""Choose and decode the parts of frames that a training step needs: mouths, eyes, or any place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fomm_cli.models.coordinates import resize_flow, warp
from fomm_cli.models.dense_motion import DenseMotion
from fomm_cli.models.generator import LOGIT_MARGIN, EncodedSource, Generator

Kind = Literal["mouth", "eyes", "any"]

SHAPES: dict[Kind, tuple[int, int]] = {"mouth": (96, 96), "eyes": (64, 128), "any": (128, 128)}
_LANDMARKS = {"mouth": (13, 14, 61, 291), "eyes": (33, 133, 362, 263)}
_JITTER = 12  # pixels that a window may lie beside its landmarks


@dataclass(frozen=True)
class Windows:
    """One window for each of B frames.

    Attributes:
        tops: first rows, multiples of 8.
        lefts: first columns, multiples of 8.
        height: in pixels.
        width: in pixels.
    """

    tops: list[int]
    lefts: list[int]
    height: int
    width: int

    def of(self, image: Tensor, side: int) -> Tensor:
        """Cut the windows out of images or maps (B, C, h, w) of frames whose side is `side` pixels."""
        shrunk = side // image.shape[2]
        places = [(top // shrunk, left // shrunk) for top, left in zip(self.tops, self.lefts, strict=True)]
        cut: Tensor = _Cut.apply(image, places, self.height // shrunk, self.width // shrunk)
        return cut


class _Cut(torch.autograd.Function):
    """Cut one window out of each image; torch's own slices would each fill a whole gradient with zeros."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, places: list[tuple[int, int]], height: int, width: int) -> Tensor:
        ctx.shape, ctx.places = image.shape, places
        return torch.stack([one[:, y : y + height, x : x + width] for one, (y, x) in zip(image, places, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        height, width = gradient.shape[2:]
        whole = gradient.new_zeros(ctx.shape)
        for one, part, (y, x) in zip(whole, gradient, ctx.places, strict=True):
            one[:, y : y + height, x : x + width] = part
        return whole, None, None, None


def place(kind: Kind, landmarks: Tensor, side: int, random: torch.Generator) -> Windows:
    """Place a window of a kind into each frame of `side` pixels, by its landmarks (B, 478, 2)."""
    height, width = SHAPES[kind]
    count = len(landmarks)
    if kind == "any":
        centres = torch.rand(count, 2, generator=random) * side
    else:
        jitter = _JITTER * (2 * torch.rand(count, 2, generator=random) - 1)
        centres = (landmarks[:, list(_LANDMARKS[kind])].mean(1) + 1) * (side - 1) / 2 + jitter
    corners = centres - torch.tensor([width / 2, height / 2])
    most = torch.tensor([float(side - width), float(side - height)])
    corners = (corners.clamp(min=torch.zeros(2), max=most) / 8).round().int() * 8
    return Windows(corners[:, 1].tolist(), corners[:, 0].tolist(), height, width)


@dataclass(frozen=True)
class Prepared:
    """The maps that all windows of a batch of frames share.

    Attributes:
        source: the encoded sources.
        motion: to the driving frames.
        bottleneck: features after the bottleneck, of whole frames.
    """

    source: EncodedSource
    motion: DenseMotion
    bottleneck: Tensor


def prepare(generator: Generator, source: EncodedSource, motion: DenseMotion) -> Prepared:
    """Warp the features of whole frames and apply the bottleneck."""
    features = generator.warp(source.features, motion) * _resized(motion.occlusion_map, source.features)
    return Prepared(source, motion, generator.bottleneck(features + _hints(generator, motion, 0, features)))


def decode(generator: Generator, prepared: Prepared, windows: Windows) -> Tensor:
    """Decode windows only: `Generator.decode` but for what the last layers would see beyond their borders.

    Returns:
        RGB in [0, 1], shape (B, 3, height, width).
    """
    source, motion = prepared.source, prepared.motion
    side = source.skips[0].shape[2]
    out = windows.of(prepared.bottleneck, side)
    levels = list(reversed(source.skips[1:]))
    for index, (block, level) in enumerate(zip(generator.up_blocks, levels, strict=True)):
        warped = _warped(generator, level, motion, windows, side) * windows.of(
            _resized(motion.occlusion_map, level), side
        )
        if index == 0 and motion.hints is not None:
            warped = warped + windows.of(_hints(generator, motion, 1, level), side)
        out = torch.cat((block(out), warped.to(out.dtype)), dim=1)
    image = _warped(generator, source.skips[0], motion, windows, side)
    logits = torch.logit(image.float(), LOGIT_MARGIN)
    visible = windows.of(_resized(motion.occlusion_map, source.skips[0]), side)
    last = generator.final(torch.cat((out, (image * visible).to(out.dtype)), dim=1))
    return torch.sigmoid(last.float() + logits * visible)


def _resized(occlusion: Tensor | None, like: Tensor) -> Tensor:
    if occlusion is None:
        return torch.ones_like(like[:, :1])
    return F.interpolate(occlusion, size=like.shape[2:], mode="bilinear", align_corners=False)


def _hints(generator: Generator, motion: DenseMotion, index: int, like: Tensor) -> Tensor:
    if motion.hints is None:
        return torch.zeros((), dtype=like.dtype)
    hints: Tensor = generator.hint_layers[index](
        F.interpolate(motion.hints, size=like.shape[2:], mode="bilinear", align_corners=True)
    )
    return hints


def _warped(generator: Generator, image: Tensor, motion: DenseMotion, windows: Windows, side: int) -> Tensor:
    """Warp only what the windows need of images or maps (B, C, h, w)."""
    flow = resize_flow(motion.deformation, *image.shape[2:], align_corners=True).permute(0, 3, 1, 2)
    flow = windows.of(flow, side).permute(0, 2, 3, 1)
    return warp(image, flow, align_corners=generator.align_corners, padding=generator.padding)
