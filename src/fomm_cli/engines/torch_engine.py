"""The default engine: PyTorch on any device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from fomm_cli.engines.engine import Engine, Model, Painter, each_alone
from fomm_cli.keypoints import KeyPoints

BATCH_SIZES = {"cpu": 1, "cuda": 32, "mps": 8}  # batches gain nothing on a CPU, and round differently
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TorchEngine(Engine):
    """Encodes the source once, and computes most layers in the precision asked for."""

    name = "torch"

    def __init__(self, model: Model, precision: str) -> None:
        """Change the generator of `model` to that precision, not reversibly."""
        self.precision = precision
        self.batch_size = BATCH_SIZES[model.device.type]
        self._generator = model.networks.generator
        if precision in _TYPES:
            self._lower(_TYPES[precision])

    def _lower(self, dtype: torch.dtype) -> None:
        """Compute the layers that take the time in another type.

        The dense-motion network stays float32, since what it loses moves pixels, and so does the last layer.
        """
        generator = self._generator
        for block in (generator.bottleneck, *generator.up_blocks):
            for layer in block.modules():
                if isinstance(layer, nn.Conv2d):  # batch norms work on either type and keep their digits
                    layer.to(dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            block.register_forward_pre_hook(_converting_inputs(dtype))
        generator.final.register_forward_pre_hook(_converting_inputs(torch.float32))

    def start(self, source: Tensor, key_points: KeyPoints) -> Painter:
        """Encode the source."""
        encoded = self._generator.encode(source)
        return lambda pose: self._generator.decode(encoded, self._generator.motion(encoded, key_points, pose))


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
