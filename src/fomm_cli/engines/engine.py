"""Define the interface of the engines: an engine encodes a source and decodes frames of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fomm_cli.keypoints import KeyPoints
from fomm_cli.models.dense_motion import DenseMotion
from fomm_cli.models.generator import Generator

MOST_WORKERS = 4  # each needs memory


@dataclass(frozen=True)
class Decoded:
    """A batch of decoded frames, and the motion that the encoded source was warped by.

    Attributes:
        frames: RGB in [0, 1], shape (B, 3, H, W).
        flow: for each pixel of a frame, where it comes from in the source: (x, y) in [-1, 1], shape (B, h, w, 2).
        occlusion_map: 1 where the source shows what the frame needs, 0 where the generator had to paint it, shape
            (B, 1, h, w); None for networks that estimate none.
    """

    frames: Tensor
    flow: Tensor
    occlusion_map: Tensor | None

    @classmethod
    def of(cls, frames: Tensor, motion: DenseMotion) -> Decoded:
        """Join frames with the dense motion they were made by."""
        return cls(frames, motion.deformation, motion.occlusion_map)

    @classmethod
    def joined(cls, parts: Sequence[Decoded]) -> Decoded:
        """Join several batches, at least one, in their order."""
        maps = [part.occlusion_map for part in parts if part.occlusion_map is not None]
        return cls(
            torch.cat([part.frames for part in parts]),
            torch.cat([part.flow for part in parts]),
            torch.cat(maps) if maps else None,
        )


Decoder = Callable[[KeyPoints], Decoded]
"""From the keypoints that an encoded source is to take, B, to the frames in which it does."""


class Engine(ABC):
    """Run the generator of a model whose networks are on their device and ready for inference.

    Keypoints are detected by PyTorch in float32, whatever the engine.

    Attributes:
        name: as in ``--engine``.
        precision: of the layers; coordinates are float32 in all of them.
        batch_size: frames that are best decoded at once.
        workers: threads that decode side by side, each frames of its own.
    """

    name: str
    precision: str
    batch_size: int = 1
    workers: int = 1

    @property
    def ready(self) -> bool:
        """Return whether `encode` may be called; otherwise `calibrate` comes first."""
        return True

    def calibrate(self, source: Tensor, keypoints: KeyPoints, poses: Iterable[KeyPoints]) -> None:
        """Measure the range of every layer's values on real frames.

        Args:
            source: RGB in [0, 1], shape (1, 3, H, W).
            keypoints: of the source, B = 1.
            poses: keypoints that it is to take, B = 1 each.
        """
        raise NotImplementedError(f"{self.name} is always ready")

    @abstractmethod
    def encode(self, source: Tensor, keypoints: KeyPoints) -> Decoder:
        """Encode a source, once for all of its frames; the arguments are those of `calibrate`."""


def workers_on_cpu() -> int:
    """Return how many frames to decode side by side: one frame's layers are too small to keep all threads busy."""
    return min(torch.get_num_threads(), MOST_WORKERS)


def free_layers(generator: Generator) -> None:
    """Free the layers that ONNX Runtime or OpenVINO replaces; the source can still be encoded, and features warped."""
    hourglass = generator.dense_motion_network.hourglass
    hourglass.encoder.down_blocks, hourglass.decoder.up_blocks = nn.ModuleList(), nn.ModuleList()
    generator.bottleneck, generator.up_blocks = nn.Sequential(), nn.ModuleList()


def one_by_one(decoder: Decoder) -> Decoder:
    """Decode the frames of a batch one after the other."""
    return lambda poses: Decoded.joined([decoder(poses[index : index + 1]) for index in range(len(poses))])
