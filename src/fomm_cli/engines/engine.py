"""What an engine is: it turns an encoded source and key points into frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from fomm_cli.keypoints import KeyPoints
from fomm_cli.models.generator import Generator

MOST_WORKERS = 4  # each needs memory

Painter = Callable[[KeyPoints], Tensor]
"""From the key points that a source is to take, B, to RGB in [0, 1], shape (B, 3, H, W)."""


class Engine(ABC):
    """Runs the generator of a model whose networks are on their device and ready for inference.

    Key points are found by PyTorch in float32, whatever the engine.

    Attributes:
        name: as in ``--engine``.
        precision: of the layers; coordinates are float32 in all of them.
        batch_size: frames that are best computed at once.
        workers: threads of which each had best compute frames of its own.
    """

    name: str
    precision: str
    batch_size: int = 1
    workers: int = 1

    @property
    def ready(self) -> bool:
        """Whether `start` may be called; otherwise `calibrate` comes first."""
        return True

    def calibrate(self, source: Tensor, key_points: KeyPoints, poses: Iterable[KeyPoints]) -> None:
        """Measure the range of every layer's values on real frames.

        Args:
            source: RGB in [0, 1], shape (1, 3, H, W).
            key_points: of the source, B = 1.
            poses: key points that it is to take, B = 1 each.
        """
        raise NotImplementedError(f"{self.name} is always ready")

    @abstractmethod
    def start(self, source: Tensor, key_points: KeyPoints) -> Painter:
        """Do what is done once for a source; arguments as in `calibrate`."""


def workers_on_cpu() -> int:
    """How many frames to compute side by side: layers are too small to keep all threads busy with one of them."""
    return min(torch.get_num_threads(), MOST_WORKERS)


def forget_layers(generator: Generator) -> None:
    """Let go of the layers that another engine computes; the source can still be encoded, and features be warped."""
    hourglass = generator.dense_motion_network.hourglass
    hourglass.encoder.down_blocks, hourglass.decoder.up_blocks = nn.ModuleList(), nn.ModuleList()
    generator.bottleneck, generator.up_blocks = nn.Sequential(), nn.ModuleList()


def each_alone(paint: Painter) -> Painter:
    """Paint the frames of a batch one after the other."""
    return lambda pose: torch.cat([paint(pose[index : index + 1]) for index in range(len(pose))])
