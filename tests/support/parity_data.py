"""Read the recorded numbers of the original implementation (see parity/README.md)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch

from fomm_cli.config.reading import load_config
from fomm_cli.config.schema import Config
from fomm_cli.keypoints import KeyPoints
from fomm_cli.models.checkpoint import read_checkpoint
from fomm_cli.models.networks import Networks, load_networks

PARITY = Path(__file__).parents[1] / "parity"
TINY = ("tiny_first_order", "tiny_single_jacobian", "tiny_zero_order", "tiny_no_downscale")
TOLERANCE = 2e-5


class Recording:
    """One .npz file, as tensors."""

    def __init__(self, name: str) -> None:
        self.arrays = dict(np.load(PARITY / f"{name}.npz"))

    def __getitem__(self, key: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays[key])

    def __contains__(self, key: str) -> bool:
        return key in self.arrays

    def keypoints(self, prefix: str) -> KeyPoints:
        has_jacobian = f"{prefix}/jacobian" in self
        return KeyPoints(self[f"{prefix}/value"], self[f"{prefix}/jacobian"] if has_jacobian else None)


@cache
def recording(name: str) -> Recording:
    return Recording(name)


def config_of(name: str) -> Config:
    return load_config(str(PARITY / f"{name}.yaml"))


def networks_of(name: str, *, align_corners: bool = True) -> Networks:
    checkpoint = read_checkpoint(PARITY / f"{name}.pth.tar")
    networks = load_networks(checkpoint, config_of(name), align_corners=align_corners)
    networks.prepare_inference(torch.device("cpu"))
    return networks


def assert_close(actual: torch.Tensor | None, expected: torch.Tensor, tolerance: float = TOLERANCE) -> None:
    assert actual is not None
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance)


def assert_same_points(actual: KeyPoints, expected: KeyPoints) -> None:
    assert_close(actual.value, expected.value)
    assert (actual.jacobian is None) == (expected.jacobian is None)
    if expected.jacobian is not None:
        assert_close(actual.jacobian, expected.jacobian)
