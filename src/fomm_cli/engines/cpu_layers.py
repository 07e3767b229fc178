"""3x3 convolutions with a quarter of the multiplications, for CPUs."""

from __future__ import annotations

from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST_CHANNELS = 128  # fewer gain nothing
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
    """What a 3x3 convolution with a border of one pixel computes, rounded otherwise: (1, C, H, W) -> (1, C', H, W).

    H and W are multiples of 4. The weights take four times the memory.
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
        """Convolve one picture."""
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


def suits(conv: nn.Module, height: int, width: int) -> TypeGuard[nn.Conv2d]:
    """Whether a convolution of features of this size can be computed so, and faster."""
    return (
        isinstance(conv, nn.Conv2d)
        and (conv.kernel_size, conv.stride, conv.padding) == ((3, 3), (1, 1), (1, 1))
        and min(conv.in_channels, conv.out_channels) >= LEAST_CHANNELS
        and height % _TILE == width % _TILE == 0
    )
