"""Run the generator in PyTorch on any device: the default engine."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from fomm_cli.engines.cpu_layers import DoublingBlock, lightened
from fomm_cli.engines.engine import Decoded, Decoder, Engine, one_by_one, workers_on_cpu
from fomm_cli.keypoints import KeyPoints
from fomm_cli.models.dense_motion import DenseMotionNetwork
from fomm_cli.models.generator import Generator
from fomm_cli.models.layers import lay_channels_last
from fomm_cli.models.loading import LoadedModel

BATCH_SIZES = {"cpu": 1, "cuda": 32, "mps": 8}  # batches gain nothing on a CPU, and round differently
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TorchEngine(Engine):
    """Encode the source once, and compute most layers in the precision asked for."""

    name = "torch"

    def __init__(self, model: LoadedModel, precision: str) -> None:
        """Prepare the generator of `model` in place, for good."""
        self.precision = precision
        self.batch_size = BATCH_SIZES[model.device.type]
        on_cpu = model.device.type == "cpu"
        self.workers = workers_on_cpu() if on_cpu else 1
        self._generator = model.networks.generator
        height, width, channels = model.config.dataset_params.frame_shape
        if on_cpu:
            _lighten_motion(self._generator.dense_motion_network, torch.zeros(1, channels, height, width))
        if precision in _TYPES:
            _lower(self._generator, _TYPES[precision])
        elif on_cpu:
            _lighten_decoder(self._generator, height, width)

    def encode(self, source: Tensor, keypoints: KeyPoints) -> Decoder:
        """Encode the source."""
        encoded = self._generator.encode(source)

        def decode(pose: KeyPoints) -> Decoded:
            motion = self._generator.motion(encoded, keypoints, pose)
            return Decoded.of(self._generator.decode(encoded, motion), motion)

        return decode


def _lower(generator: Generator, dtype: torch.dtype) -> None:
    """Compute the expensive layers in another type.

    The dense-motion network stays float32, since rounding there moves pixels, and so does the last layer.
    """
    for block in (generator.bottleneck, *generator.up_blocks):
        for layer in block.modules():
            if isinstance(layer, nn.Conv2d):  # batch norms work on either type and keep their digits
                layer.to(dtype)
        block.register_forward_pre_hook(_converting_inputs(dtype))
    generator.final.register_forward_pre_hook(_converting_inputs(torch.float32))
    lay_channels_last(generator.bottleneck, generator.up_blocks, generator.final)


def _lighten_decoder(generator: Generator, height: int, width: int) -> None:
    """Replace the layers that decode frames of this size by their fastest CPU equivalents."""
    shrunk = len(generator.down_blocks)
    for name, block in generator.bottleneck.named_children():
        setattr(generator.bottleneck, name, lightened(block, height >> shrunk, width >> shrunk))
    generator.up_blocks = nn.ModuleList(map(DoublingBlock, generator.up_blocks))
    generator.final = lightened(generator.final, height, width)
    lay_channels_last(generator.final)


def _lighten_motion(network: DenseMotionNetwork, image: Tensor) -> None:
    """Replace the layers that estimate the motion of an image (1, C, H, W) by their fastest CPU equivalents."""
    height, width = network.down(image).shape[2:]
    encoder, decoder = network.hourglass.encoder, network.hourglass.decoder
    for level, blocks in enumerate(zip(encoder.down_blocks, decoder.up_blocks[::-1], strict=True)):
        down, up = (lightened(block, height >> level, width >> level) for block in blocks)
        encoder.down_blocks[level], decoder.up_blocks[-1 - level] = down, up


class ReferenceEngine(Engine):
    """Compute as the original implementation does: float32, frame by frame, the source encoded again for each."""

    name = "reference"
    precision = "fp32"

    def __init__(self, model: LoadedModel) -> None:
        self._generator = model.networks.generator

    def encode(self, source: Tensor, keypoints: KeyPoints) -> Decoder:
        """Encode nothing yet: the original encodes the source again for every frame."""
        return one_by_one(lambda pose: self._decode(source, keypoints, pose))

    def _decode(self, source: Tensor, keypoints: KeyPoints, pose: KeyPoints) -> Decoded:
        encoded = self._generator.encode(source)
        motion = self._generator.motion(encoded, keypoints, pose)
        self._generator.warp(source, motion)  # the original does, whether it is shown or not
        return Decoded.of(self._generator.decode(encoded, motion), motion)


def _converting_inputs(dtype: torch.dtype) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    return lambda _module, inputs: tuple(tensor.to(dtype) for tensor in inputs)
