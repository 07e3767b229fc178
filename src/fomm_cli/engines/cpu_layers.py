"""Replace layers by equivalents that compute the same with less work on a CPU, one image at a time."""

from __future__ import annotations

from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fomm_cli.models.layers import ResBlock, UpBlock, lay_channels_last

WIDE_CHANNELS = 128  # with fewer, the equivalents take as long as the layers
_HEAVY_CHANNELS = 512  # with few pixels and so many channels, reading the weights takes most of the time
_FEW_PIXELS = 12 * 12
_LARGE_KERNEL = 7  # rows of a smaller one, or of fewer channels, gain nothing
_HEAD_CHANNELS = 16
_TILE = 4  # pixels of a side that are computed at once
_SEEN = _TILE + 2  # and that they depend on

# F(4x4, 3x3) of Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016
_INPUT = torch.tensor(
    [
        [4.0, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
_KERNEL = torch.tensor([[6.0, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_OUTPUT = torch.tensor([[1.0, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])


class WinogradConv2d(nn.Module):
    """A 3x3 convolution with a border of one pixel by Winograd's algorithm, (1, C, H, W) -> (1, C', H, W).

    It rounds differently than the usual sum. H and W are multiples of 4. The weights take four times the memory.
    """

    weight: Tensor
    to_products: Tensor
    from_products: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        kernel = torch.kron(_KERNEL, _KERNEL) @ conv.weight.flatten(2).permute(2, 0, 1).flatten(1)  # (36, C' * C)
        self.register_buffer("weight", kernel.view(-1, *conv.weight.shape[:2]))
        self.bias = conv.bias
        self.register_buffer("to_products", torch.kron(_INPUT, _INPUT))  # (36, 36)
        self.register_buffer("from_products", torch.kron(_OUTPUT, _OUTPUT))  # (16, 36)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve one image."""
        height, width = x.shape[2] // _TILE, x.shape[3] // _TILE
        # one name for all of it, so that each step frees the memory of the one before
        out = F.pad(x[0], (1, 1, 1, 1)).unfold(1, _SEEN, _TILE).unfold(2, _SEEN, _TILE)  # (C, h, w, 6, 6)
        out = out.permute(0, 3, 4, 1, 2).reshape(x.shape[1], _SEEN**2, height * width)
        out = self.to_products @ out  # (C, 36, h * w)
        out = torch.bmm(self.weight, out.transpose(0, 1))  # (36, C', h * w)
        out = self.from_products @ out.transpose(0, 1)  # (C', 16, h * w)
        if self.bias is not None:
            out += self.bias[:, None, None]
        out = out.view(-1, _TILE, _TILE, height, width).permute(0, 3, 1, 4, 2)  # (C', h, 4, w, 4)
        return out.reshape(1, -1, *x.shape[2:])


class MatrixConv2d(nn.Module):
    """A 3x3 convolution with a border of one pixel as one matrix product: (1, C, H, W) -> (1, C', H, W).

    PyTorch converts the layout of a convolution's weights in every call. For a few pixels that is most of the work. A
    matrix product uses the weights as they are, and its sums lose one digit less.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight = nn.Parameter(conv.weight.flatten(1), requires_grad=False)  # (C', C * 9)
        self.bias = conv.bias

    def forward(self, x: Tensor) -> Tensor:
        """Convolve one image."""
        out = self.weight @ F.unfold(x, 3, padding=1)[0]  # (C', H * W)
        if self.bias is not None:
            out += self.bias[:, None]
        return out.view(1, -1, *x.shape[2:])


class HeadConv2d(nn.Module):
    """A convolution to few channels, (1, C, H, W) -> (1, C', H, W), in half the time.

    The k x k convolution to C' channels becomes a 1 x k convolution to k * C' channels, which fills the vector units
    of a processor; the rows are then shifted and summed.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        rows = conv.weight.permute(2, 0, 1, 3).flatten(0, 1)[:, :, None]  # (7 * C', C, 1, 7)
        self.weight = nn.Parameter(rows, requires_grad=False)
        self.bias = conv.bias
        lay_channels_last(self)
        self.channels = conv.out_channels
        self.border = conv.kernel_size[0] // 2

    def forward(self, x: Tensor) -> Tensor:
        """Convolve one image."""
        found = F.conv2d(x, self.weight, padding=(0, self.border)).contiguous()
        rows = torch.split(found, self.channels, dim=1)
        out: Tensor = rows[self.border].clone() if self.bias is None else rows[self.border] + self.bias[:, None, None]
        for shift in range(1, self.border + 1):
            out[:, :, shift:] += rows[self.border - shift][:, :, :-shift]
            out[:, :, :-shift] += rows[self.border + shift][:, :, shift:]
        return out


class SplitHeadConv2d(HeadConv2d):
    """A `HeadConv2d` that shifts and sums the rows by a second convolution, as OpenVINO does it fastest."""

    columns: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__(conv)
        rows = 2 * self.border + 1
        columns = torch.eye(rows * self.channels).view(-1, rows, self.channels)
        self.register_buffer("columns", columns.permute(2, 0, 1)[..., None].contiguous())  # (C', 7 * C', 7, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve one image."""
        found = F.conv2d(x, self.weight, padding=(0, self.border))
        return F.conv2d(found, self.columns, self.bias, padding=(self.border, 0))


class DoublingBlock(nn.Module):
    """An `UpBlock` as a transposed convolution: each pixel is spread over 4x4 others; (1, C, H, W) -> (1, C', 2H, 2W).

    The same sums with four ninths of the products.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        if not isinstance(block, UpBlock):
            raise TypeError("no block that doubles")
        conv = block.conv if isinstance(block.norm, nn.Identity) else fuse_conv_bn_eval(block.conv, block.norm)
        self.conv = nn.ConvTranspose2d(conv.in_channels, conv.out_channels, 4, stride=2, padding=1)
        self.requires_grad_(False)
        spread = conv.weight.transpose(0, 1).flip(2, 3)  # (C, C', 3, 3)
        shifts = [F.pad(spread, (x, 1 - x, y, 1 - y)) for x in (0, 1) for y in (0, 1)]
        self.conv.weight.data = torch.stack(shifts).sum(dim=0)  # (C, C', 4, 4)
        if conv.bias is not None:
            self.conv.bias = conv.bias
        lay_channels_last(self)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        return F.relu(self.conv(x), inplace=True)


def lightened(block: nn.Module, height: int, width: int) -> nn.Module:
    """Return the fastest CPU equivalent of a block (may modify it in place).

    Args:
        block: a block of a network, or its head.
        height: rows that its convolutions compute.
        width: columns that they compute.
    """
    if is_heavy_head(block):
        return HeadConv2d(block)
    if isinstance(block, UpBlock) and _is_wide(block.conv) and height * width > _FEW_PIXELS:
        return DoublingBlock(block)
    for name, layer in block.named_children():
        if not _is_wide(layer):
            continue
        if layer.in_channels >= _HEAVY_CHANNELS and height * width <= _FEW_PIXELS:
            setattr(block, name, MatrixConv2d(layer))
        elif isinstance(block, ResBlock) and height % _TILE == width % _TILE == 0:
            setattr(block, name, WinogradConv2d(layer))  # only residual blocks tolerate the lost precision
        else:
            lay_channels_last(layer)
    return block


def is_heavy_head(block: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Return whether a block is a convolution that gains from being a `HeadConv2d`."""
    return (
        isinstance(block, nn.Conv2d) and min(block.kernel_size) >= _LARGE_KERNEL and block.in_channels >= _HEAD_CHANNELS
    )


def _is_wide(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    return (
        isinstance(layer, nn.Conv2d)
        and (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (1, 1), (1, 1))
        and layer.in_channels >= WIDE_CHANNELS
    )
