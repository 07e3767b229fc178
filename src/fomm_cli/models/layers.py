"""Define the blocks of the three networks. Attribute names are the tensor names of the published checkpoints."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AntiAliasDownsample(nn.Module):
    """Gaussian blur, then every n-th pixel, n = int(1 / scale_factor).

    Shape: (B, C, H, W) -> (B, C, ceil(H / n), ceil(W / n)).
    """

    weight: Tensor

    def __init__(self, channels: int, scale_factor: float) -> None:
        super().__init__()
        sigma = (1 / scale_factor - 1) / 2
        radius = round(sigma * 4)
        # where a model is only outlined, on the meta device, arange imports a compiler: 70 MB and half a second
        distance = torch.arange(-radius, radius + 1, dtype=torch.float32, device="cpu")
        line = torch.exp(-distance.square() / (2 * sigma**2))
        kernel = torch.outer(line, line)
        # a buffer, because the published checkpoints contain it
        self.register_buffer("weight", (kernel / kernel.sum()).expand(channels, 1, -1, -1).clone())
        self.stride = int(1 / scale_factor)
        self.radius = radius

    def forward(self, image: Tensor) -> Tensor:
        """Blur and down-sample."""
        return F.conv2d(image, self.weight, stride=self.stride, padding=self.radius, groups=self.weight.shape[0])


def downsampling(channels: int, scale_factor: float) -> nn.Module:
    """Make the layer that brings an image to the working size of a network."""
    return nn.Identity() if scale_factor == 1 else AntiAliasDownsample(channels, scale_factor)


def lay_channels_last(*layers: nn.Module) -> None:
    """Lay weights, and so what comes out of the layers, out as most convolutions are computed fastest."""
    for layer in layers:
        layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def head(in_features: int, out_features: int, kernel_size: int) -> nn.Conv2d:
    """Make the last convolution of a network: (B, C, H, W) -> (B, C', H, W)."""
    return nn.Conv2d(in_features, out_features, kernel_size, padding=kernel_size // 2)


class SameBlock(nn.Module):
    """Convolution, batch norm, ReLU: (B, C, H, W) -> (B, C', H, W)."""

    def __init__(self, in_features: int, out_features: int, kernel_size: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_features, out_features, kernel_size, padding=kernel_size // 2)
        self.norm = nn.BatchNorm2d(out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        out: Tensor = self.norm(self.conv(x))
        return F.relu(out, inplace=True)


class DownBlock(SameBlock):
    """A `SameBlock`, then 2x2 average pooling: (B, C, H, W) -> (B, C', H / 2, W / 2)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        return F.avg_pool2d(super().forward(x), 2)


class UpBlock(SameBlock):
    """Nearest-neighbour doubling, then a `SameBlock`: (B, C, H, W) -> (B, C', 2 H, 2 W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        return super().forward(F.interpolate(x, scale_factor=2))


class ResBlock(nn.Module):
    """Pre-activation residual block: (B, C, H, W) -> the same shape."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(features)
        self.norm2 = nn.BatchNorm2d(features)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        out = self.conv1(F.relu(self.norm1(x), inplace=True))
        residual: Tensor = self.conv2(F.relu(self.norm2(out), inplace=True))
        return x + residual


def hourglass_features(block_expansion: int, max_features: int, level: int) -> int:
    """Return the channels of an hourglass `level` halvings below its input."""
    return min(max_features, block_expansion << level)


class Encoder(nn.Module):
    """The way down of an hourglass; returns the input and the output of every level."""

    def __init__(self, in_features: int, block_expansion: int, max_features: int, num_blocks: int) -> None:
        super().__init__()
        widths = [hourglass_features(block_expansion, max_features, level + 1) for level in range(num_blocks)]
        self.down_blocks = nn.ModuleList(
            DownBlock(before, after) for before, after in zip([in_features, *widths], widths, strict=False)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return feature maps (B, C_i, H / 2^i, W / 2^i) for i = 0 .. num_blocks."""
        levels = [x]
        for block in self.down_blocks:
            levels.append(block(levels[-1]))
        return levels


class Decoder(nn.Module):
    """The way up of an hourglass, with a skip connection at every level."""

    def __init__(self, in_features: int, block_expansion: int, max_features: int, num_blocks: int) -> None:
        super().__init__()
        blocks = []
        for level in reversed(range(num_blocks)):
            skipped = 1 if level == num_blocks - 1 else 2
            wide = skipped * hourglass_features(block_expansion, max_features, level + 1)
            blocks.append(UpBlock(wide, hourglass_features(block_expansion, max_features, level)))
        self.up_blocks = nn.ModuleList(blocks)
        self.out_features = block_expansion + in_features

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Decode the encoder's levels to (B, out_features, H, W)."""
        out = levels[-1]
        for block, skip in zip(self.up_blocks, reversed(levels[:-1]), strict=True):
            out = torch.cat((block(out), skip), dim=1)
        return out


class Hourglass(nn.Module):
    """U-Net: (B, in_features, H, W) -> (B, out_features, H, W); H and W divisible by 2^num_blocks."""

    def __init__(self, in_features: int, block_expansion: int, max_features: int, num_blocks: int) -> None:
        super().__init__()
        self.encoder = Encoder(in_features, block_expansion, max_features, num_blocks)
        self.decoder = Decoder(in_features, block_expansion, max_features, num_blocks)
        self.out_features = self.decoder.out_features

    def forward(self, x: Tensor) -> Tensor:
        """Apply the network."""
        out: Tensor = self.decoder(self.encoder(x))
        return out
