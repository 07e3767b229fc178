"""Encode the source once, then warp and decode it for every frame (the generator, section 3.2 of the paper)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fomm_cli.config.schema import CommonParams, GeneratorParams
from fomm_cli.keypoints import KeyPoints
from fomm_cli.models.coordinates import resize_flow, warp
from fomm_cli.models.dense_motion import DenseMotion, DenseMotionNetwork
from fomm_cli.models.layers import DownBlock, ResBlock, SameBlock, UpBlock, head

LOGIT_MARGIN = 1 / 512  # half a grey level, so that black and white have finite logits


@dataclass(frozen=True)
class EncodedSource:
    """The encoded source: what every frame of it needs.

    Attributes:
        features: bottleneck features, shape (1 or B, C, H / 2^d, W / 2^d) for d down-sampling blocks.
        thumbnail: the source at the working size of the dense-motion network, shape (1 or B, 3, h, w).
        skips: what the decoder sees beside the bottleneck, the image first, then the features of every scale, the
            finest first; empty for the published networks.
    """

    features: Tensor
    thumbnail: Tensor
    skips: tuple[Tensor, ...] = ()


class Generator(nn.Module):
    """Occlusion-aware generator with its dense-motion network."""

    def __init__(self, common: CommonParams, params: GeneratorParams, *, align_corners: bool = True) -> None:
        super().__init__()
        self.dense_motion_network = DenseMotionNetwork(
            common,
            params.dense_motion_params,
            estimate_occlusion_map=params.estimate_occlusion_map,
            align_corners=align_corners,
            hints=params.hints,
        )
        depth = params.num_down_blocks
        widths = [min(params.max_features, params.block_expansion * 2**level) for level in range(depth + 1)]
        self.first = SameBlock(common.num_channels, widths[0], kernel_size=7)
        self.down_blocks = nn.ModuleList(DownBlock(widths[i], widths[i + 1]) for i in range(depth))
        # with skips, whatever follows an up-sampling block gets as many channels again from the source
        share = 2 if params.skips else 1
        self.up_blocks = nn.ModuleList(
            UpBlock(widths[i + 1] * (1 if i == depth - 1 else share), widths[i]) for i in reversed(range(depth))
        )
        self.bottleneck = nn.Sequential(
            OrderedDict((f"r{i}", ResBlock(widths[-1])) for i in range(params.num_bottleneck_blocks))
        )
        last = widths[0] * (share if depth else 1) + (common.num_channels if params.skips else 0)
        self.final: nn.Module = head(last, common.num_channels, common.head_kernel)
        self.hint_layers = nn.ModuleList()
        if params.hints:  # one for the bottleneck, one for the coarsest skip
            self.hint_layers.extend(
                _silent(params.hints, width) for width in widths[-1 : -3 if params.skips else -2 : -1]
            )
        self.skips = params.skips
        self.padding = params.padding
        self.align_corners = align_corners

    def encode(self, source: Tensor) -> EncodedSource:
        """Compute what depends on the source alone.

        Args:
            source: RGB in [0, 1], shape (1 or B, 3, H, W).
        """
        features = self.first(source)
        levels = [source]
        for block in self.down_blocks:
            levels.append(features)
            features = block(features)
        return EncodedSource(features, self.dense_motion_network.down(source), tuple(levels) if self.skips else ())

    def motion(self, source: EncodedSource, kp_source: KeyPoints, kp_driving: KeyPoints) -> DenseMotion:
        """Predict the flow that brings the source to the driving keypoints."""
        motion: DenseMotion = self.dense_motion_network(source.thumbnail, kp_source, kp_driving)
        return motion

    def decode(self, source: EncodedSource, motion: DenseMotion) -> Tensor:
        """Warp the encoded source, paint what was hidden, decode.

        Returns:
            RGB in [0, 1], shape (B, 3, H, W).
        """
        return self.decode_warped(*self.warped(source, motion))

    def warped(self, source: EncodedSource, motion: DenseMotion) -> tuple[Tensor, ...]:
        """Warp the encoded source; faded out where the source does not show what the frame needs.

        Returns:
            The bottleneck features (B, C, H / 2^d, W / 2^d); with skips, also the features of every scale, the
            coarsest first, then the image and its logits (B, 3, H, W).
        """
        levels = [source.features, *reversed(source.skips[1:])]
        warped = [_masked(self.warp(level, motion), motion) for level in levels]
        if motion.hints is not None:
            for index, layer in enumerate(self.hint_layers):
                size = warped[index].shape[2:]
                hints = F.interpolate(motion.hints, size=size, mode="bilinear", align_corners=self.skips)
                warped[index] = warped[index] + layer(hints)
        if not self.skips:
            return tuple(warped)
        image = self.warp(source.skips[0], motion)
        logits = torch.logit(image.float(), LOGIT_MARGIN)
        return (*warped, _masked(image, motion), _masked(logits, motion))

    def decode_warped(self, features: Tensor, *skips: Tensor) -> Tensor:
        """Run the layers after the warping, from what `warped` returns to RGB in [0, 1], shape (B, 3, H, W)."""
        out = self.bottleneck(features)
        for level, block in enumerate(self.up_blocks):
            out = block(out)
            if self.skips:
                out = _joined(out, skips[level])
        if not self.skips:
            return torch.sigmoid(self.final(out))
        *_, image, logits = skips
        # where nothing is hidden and to correct, the warped source comes out as sharp as it is
        return torch.sigmoid(self.final(_joined(out, image)) + logits)

    def warp(self, image: Tensor, motion: DenseMotion) -> Tensor:
        """Warp an image or feature map (1 or B, C, H, W) by the flow, resized to fit; returns (B, C, H, W)."""
        height, width = image.shape[2:]
        # pixels that are to stay sharp must not be moved by the resizing
        flow = resize_flow(motion.deformation, height, width, align_corners=self.skips)
        return warp(image, flow, align_corners=self.align_corners, padding=self.padding)

    def forward(self, source: Tensor, kp_source: KeyPoints, kp_driving: KeyPoints) -> Tensor:
        """Encode and decode in one go; returns RGB in [0, 1], shape (B, 3, H, W)."""
        encoded = self.encode(source)
        return self.decode(encoded, self.motion(encoded, kp_source, kp_driving))


def _silent(in_features: int, out_features: int) -> nn.Conv2d:
    """Make a convolution that adds nothing until it is trained: (B, C, H, W) -> (B, C', H, W)."""
    layer = nn.Conv2d(in_features, out_features, 3, padding=1)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _joined(features: Tensor, skip: Tensor) -> Tensor:
    """Join the channels of both in the memory layout of the first; a mixed layout would be converted by every layer."""
    laid_out = features.is_contiguous(memory_format=torch.channels_last)
    return torch.cat((features, skip.contiguous(memory_format=torch.channels_last) if laid_out else skip), dim=1)


def _masked(image: Tensor, motion: DenseMotion) -> Tensor:
    """Fade a warped image or feature map (B, C, H, W) to zero where the source does not show what is needed."""
    if motion.occlusion_map is None:
        return image
    return image * F.interpolate(motion.occlusion_map, size=image.shape[2:], mode="bilinear", align_corners=False)
