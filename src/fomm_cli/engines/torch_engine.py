"""The default engine: PyTorch on any device."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fomm_cli.engines.engine import Engine, Model, Painter, each_alone, workers_on_cpu
from fomm_cli.engines.winograd import WinogradConv2d, suits
from fomm_cli.keypoints import KeyPoints
from fomm_cli.models.generator import Generator

BATCH_SIZES = {"cpu": 1, "cuda": 32, "mps": 8}  # batches gain nothing on a CPU, and round differently
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TorchEngine(Engine):
    """Encodes the source once, and computes most layers in the precision asked for."""

    name = "torch"

    def __init__(self, model: Model, precision: str) -> None:
        """Change the generator of `model`, not reversibly."""
        self.precision = precision
        self.batch_size = BATCH_SIZES[model.device.type]
        self.workers = workers_on_cpu() if model.device.type == "cpu" else 1
        self._generator = model.networks.generator
        if precision in _TYPES:
            _lower(self._generator, _TYPES[precision])
        elif model.device.type == "cpu":
            _multiply_less(self._generator, model.config.dataset_params.frame_shape[:2])
            _merge_doubling(self._generator)
            # the bottleneck gains nothing by it
            _lay_channels_last(self._generator.up_blocks, self._generator.final)

    def start(self, source: Tensor, key_points: KeyPoints) -> Painter:
        """Encode the source."""
        encoded = self._generator.encode(source)
        return lambda pose: self._generator.decode(encoded, self._generator.motion(encoded, key_points, pose))


def _lower(generator: Generator, dtype: torch.dtype) -> None:
    """Compute the layers that take the time in another type.

    The dense-motion network stays float32, since what it loses moves pixels, and so does the last layer.
    """
    for block in (generator.bottleneck, *generator.up_blocks):
        for layer in block.modules():
            if isinstance(layer, nn.Conv2d):  # batch norms work on either type and keep their digits
                layer.to(dtype)
        block.register_forward_pre_hook(_converting_inputs(dtype))
    generator.final.register_forward_pre_hook(_converting_inputs(torch.float32))
    _lay_channels_last(generator.bottleneck, generator.up_blocks, generator.final)


def _lay_channels_last(*blocks: nn.Module) -> None:
    """Lay weights, and so what comes out of the layers, out as most convolutions are computed fastest."""
    for block in blocks:
        block.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _multiply_less(generator: Generator, frame: tuple[int, int]) -> None:
    """Compute the bottleneck, where most of the products are, by Winograd's algorithm."""
    height, width = (side >> len(generator.down_blocks) for side in frame)
    for block in generator.bottleneck:
        for name, layer in block.named_children():
            if suits(layer, height, width):
                setattr(block, name, WinogradConv2d(layer))


def _merge_doubling(generator: Generator) -> None:
    """Make one layer of each doubling and the convolution behind it: four ninths of the products, the same sums."""
    generator.up_blocks = nn.ModuleList(_DoublingBlock(block) for block in generator.up_blocks)


class _DoublingBlock(nn.Module):
    """An `UpBlock` with folded batch norm as a transposed convolution: each input pixel is spread over 4x4 others."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        conv = block.conv
        if not isinstance(conv, nn.Conv2d):
            raise TypeError("no convolution")
        self.conv = nn.ConvTranspose2d(conv.in_channels, conv.out_channels, 4, stride=2, padding=1)
        self.requires_grad_(False)
        spread = conv.weight.transpose(0, 1).flip(2, 3)  # (C, C', 3, 3)
        shifts = [F.pad(spread, (x, 1 - x, y, 1 - y)) for x in (0, 1) for y in (0, 1)]
        self.conv.weight.data = torch.stack(shifts).sum(dim=0)  # (C, C', 4, 4)
        if conv.bias is not None:
            self.conv.bias = conv.bias

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x), inplace=True)


class ReferenceEngine(Engine):
    """Does what the original does: float32, frame by frame, everything anew for each."""

    name = "reference"
    precision = "fp32"

    def __init__(self, model: Model) -> None:
        self._generator = model.networks.generator

    def start(self, source: Tensor, key_points: KeyPoints) -> Painter:
        """Encode nothing yet."""
        return each_alone(lambda pose: self._frame(source, key_points, pose))

    def _frame(self, source: Tensor, key_points: KeyPoints, pose: KeyPoints) -> Tensor:
        encoded = self._generator.encode(source)
        motion = self._generator.motion(encoded, key_points, pose)
        self._generator.warp(source, motion)  # the original shows it, wanted or not
        return self._generator.decode(encoded, motion)


def _converting_inputs(dtype: torch.dtype) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    return lambda _module, inputs: tuple(tensor.to(dtype) for tensor in inputs)
