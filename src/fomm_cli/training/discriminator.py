"""Define patch discriminators at several scales. Attribute names are the published checkpoints' tensor names."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from fomm_cli.config.schema import CommonParams, DiscriminatorParams
from fomm_cli.models.coordinates import gaussian_heatmaps
from fomm_cli.models.layers import downsampling


@dataclass(frozen=True)
class Judgement:
    """The output of a discriminator for B images.

    Attributes:
        features: after each block, shapes (B, C_i, H_i, W_i).
        score: 1 for real and 0 for generated, if it is right, shape (B, 1, h, w).
    """

    features: list[Tensor]
    score: Tensor


class _Block(nn.Module):
    """Convolution without padding, instance norm but in the first block, leaky ReLU, pooling but in the last."""

    def __init__(self, in_features: int, out_features: int, *, first: bool, last: bool, sn: bool) -> None:
        super().__init__()
        self.conv = _convolution(in_features, out_features, 4, sn=sn)
        self.norm = None if first else nn.InstanceNorm2d(out_features, affine=True)
        self.pool = not last

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H - 3, W - 3), halved by the pooling."""
        out: Tensor = self.conv(x)
        if self.norm is not None:
            out = self.norm(out)
        out = F.leaky_relu(out, 0.2)
        return F.avg_pool2d(out, 2) if self.pool else out


class Discriminator(nn.Module):
    """Tell real from generated patches, at one scale."""

    def __init__(self, common: CommonParams, params: DiscriminatorParams) -> None:
        super().__init__()
        inputs = common.num_channels + (common.num_kp if params.use_kp else 0)
        widths = [min(params.max_features, params.block_expansion * 2 ** (i + 1)) for i in range(params.num_blocks)]
        last = params.num_blocks - 1
        self.down_blocks = nn.ModuleList(
            _Block(before, after, first=i == 0, last=i == last, sn=params.sn)
            for i, (before, after) in enumerate(zip([inputs, *widths], widths, strict=False))
        )
        self.conv = _convolution(widths[-1], 1, 1, sn=params.sn)
        self.kp_variance = params.kp_variance
        self.use_kp = params.use_kp

    def forward(self, image: Tensor, keypoints: Tensor) -> Judgement:
        """Judge images.

        Args:
            image: RGB in [0, 1], shape (B, 3, H, W).
            keypoints: positions (B, K, 2).
        """
        out = image
        if self.use_kp:
            height, width = image.shape[2:]
            heatmaps = gaussian_heatmaps(keypoints, height, width, self.kp_variance)
            out = torch.cat((out, heatmaps.to(out.dtype)), dim=1)
        features = []
        for block in self.down_blocks:
            out = block(out)
            features.append(out)
        return Judgement(features, self.conv(out))


class MultiScaleDiscriminator(nn.Module):
    """A discriminator for each scale, each on the image at that scale."""

    def __init__(self, common: CommonParams, params: DiscriminatorParams) -> None:
        super().__init__()
        self.scales = params.scales
        # a module's name may hold no dot; the scale 1 gives "1" and 1.0 gives "1-0", as published
        self.discs = nn.ModuleDict({_key(scale): Discriminator(common, params) for scale in params.scales})

    def forward(self, pyramid: dict[float, Tensor], keypoints: Tensor) -> list[Judgement]:
        """Judge the images of a `Pyramid` that holds these scales."""
        return [self.discs[_key(scale)](pyramid[scale], keypoints) for scale in self.scales]


class Pyramid(nn.Module):
    """Images at several scales, (B, 3, H, W) -> {scale: (B, 3, scale H, scale W)}."""

    def __init__(self, channels: int, scales: tuple[float, ...]) -> None:
        super().__init__()
        self.scales = scales
        self.downs = nn.ModuleList(downsampling(channels, scale) for scale in scales)

    def forward(self, image: Tensor) -> dict[float, Tensor]:
        """Scale an image down."""
        return {scale: down(image) for scale, down in zip(self.scales, self.downs, strict=True)}


def _key(scale: float) -> str:
    return str(scale).replace(".", "-")


def _convolution(in_features: int, out_features: int, size: int, *, sn: bool) -> nn.Module:
    convolution = nn.Conv2d(in_features, out_features, size)
    # the older of torch's two: the newer one has other tensor names
    return spectral_norm(convolution) if sn else convolution
