"""Write the networks as ONNX files, for any program that runs them (extra `onnx`)."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fomm_cli.errors import FommError
from fomm_cli.extras import require
from fomm_cli.keypoints import KeyPoints
from fomm_cli.models.generator import EncodedSource, Generator
from fomm_cli.models.keypoint_detector import KPDetector
from fomm_cli.models.loading import LoadedModel
from fomm_cli.version import __version__

NETWORKS = ("kp_detector", "encoder", "generator")
TOLERANCE = 1e-3
"""Largest difference from PyTorch: a quarter of a grey level of images, and as much of keypoints."""

_BATCH = {0: torch.export.Dim.DYNAMIC}


class _Detector(nn.Module):
    """Map an image to keypoints; the Jacobians are left out where there are none."""

    def __init__(self, detector: KPDetector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tensors_of(self.detector(image))


class _Encoder(nn.Module):
    """Map an image to what every frame needs of it."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        encoded = self.generator.encode(image)
        return (encoded.features, encoded.thumbnail, *encoded.skips)


class _Frame(nn.Module):
    """Map an encoded source, its keypoints and the wanted ones to a frame, the flow and the occlusion map."""

    def __init__(self, generator: Generator, parts: int) -> None:
        super().__init__()
        self.generator = generator
        self.parts = parts  # tensors of each keypoints: 1 or, with Jacobians, 2

    def forward(self, features: Tensor, thumbnail: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        skips, points = others[: -2 * self.parts], others[-2 * self.parts :]
        source = EncodedSource(features, thumbnail, skips)
        kp_source, kp_driving = KeyPoints(*points[: self.parts]), KeyPoints(*points[self.parts :])
        motion = self.generator.motion(source, kp_source, kp_driving)
        frame = self.generator.decode(source, motion)
        return (frame, motion.deformation, *(() if motion.occlusion_map is None else (motion.occlusion_map,)))


def export_onnx(model: LoadedModel, paths: dict[str, Path]) -> float:
    """Write the networks and compare what ONNX Runtime makes of them with PyTorch.

    Args:
        model: on the CPU.
        paths: where to write which of `NETWORKS`.

    Returns:
        The largest difference, in [0, 1] for images and [-1, 1] for keypoints.

    Raises:
        InputError: a package is missing.
        FommError: the difference is larger than `TOLERANCE`.
    """
    require("onnx")
    generator, detector = model.networks.generator, model.networks.kp_detector
    with torch.no_grad():
        source, driving = _probe(model, 0.0), torch.cat([_probe(model, 0.3), _probe(model, 0.6)])
        encoded = _Encoder(generator)(source)
        kp_source, kp_driving = _Detector(detector)(source), _Detector(detector)(driving)
    parts = ("value", "jacobian")[: len(kp_source)]
    source_names = ["features", "thumbnail", *(f"skip_{level}" for level in range(len(encoded) - 2))]
    point_names = [f"{whose}_{part}" for whose in ("source", "driving") for part in parts]
    networks = {
        "kp_detector": _Network(_Detector(detector), (driving,), ["picture"], parts, 0),
        "encoder": _Network(_Encoder(generator), (source,), ["picture"], source_names, 1),
        "generator": _Network(
            _Frame(generator, len(parts)),
            (*encoded, *kp_source, *kp_driving),
            [*source_names, *point_names],
            ["prediction", "flow", "occlusion_map"][: 2 + (generator.dense_motion_network.occlusion is not None)],
            len(encoded) + len(kp_source),
        ),
    }
    metadata = {
        "checkpoint_sha256": model.sha256,
        "config": model.config.model_dump_json(),
        "align_corners": str(generator.align_corners).lower(),
        "fomm": __version__,
    }
    differences = []
    for name, path in paths.items():
        _save(networks[name], path, metadata)
        differences.append(_difference(networks[name], path))
    if not max(differences) <= TOLERANCE:
        raise FommError(
            f"ONNX Runtime differs from PyTorch by {max(differences):.2g}, more than {TOLERANCE:g}",
            "Nothing was written; try other versions of torch and onnxruntime",
        )
    return max(differences)


@dataclass(frozen=True)
class _Network:
    """A network to export.

    Attributes:
        module: the network.
        inputs: what to trace and try it with, the batch at least 2 where it may vary.
        names: of the inputs.
        outputs: names of the outputs.
        fixed: how many of the inputs, the first ones, have a batch of 1; that of the others may vary.
    """

    module: nn.Module
    inputs: tuple[Tensor, ...]
    names: Sequence[str]
    outputs: Sequence[str]
    fixed: int


def _save(network: _Network, path: Path, metadata: dict[str, str]) -> None:
    shapes: tuple[Any, ...] = tuple({} if index < network.fixed else _BATCH for index in range(len(network.inputs)))
    if isinstance(network.module, _Frame):
        shapes = (*shapes[:2], shapes[2:])  # variable arguments count as one
    with _silenced():
        program = torch.onnx.export(
            network.module.eval(),
            tuple(tensor.clone() for tensor in network.inputs),  # inference tensors cannot be traced
            dynamo=True,
            verbose=False,
            input_names=network.names,
            output_names=network.outputs,
            dynamic_shapes=shapes,
        )
    if program is None:
        raise FommError("torch gave no ONNX model", "Report this, please")
    program.model.metadata_props.update(metadata)
    program.save(path)


@torch.no_grad()
def _difference(network: _Network, path: Path) -> float:
    """Return the largest difference of ONNX Runtime from PyTorch, relative for values beyond 1."""
    wanted = network.module(*network.inputs)
    return max(
        float((one - other).abs().max() / max(1.0, float(other.abs().max())))
        for one, other in zip(
            run_onnx(open_onnx(path), network.inputs), wanted if isinstance(wanted, tuple) else (wanted,), strict=True
        )
    )


def open_onnx(path: Path, workers: int = 1) -> Any:
    """Open an ONNX Runtime session on the CPU, with PyTorch's number of threads divided among its users."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, torch.get_num_threads() // workers)
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_onnx(session: Any, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Run a session on inputs in the order of the file."""
    names = [each.name for each in session.get_inputs()]
    feed = {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in zip(names, inputs, strict=True)}
    return [torch.from_numpy(output) for output in session.run(None, feed)]


def tensors_of(points: KeyPoints) -> tuple[Tensor, ...]:
    """Return the positions and, if there are any, the Jacobians."""
    return (points.value,) if points.jacobian is None else (points.value, points.jacobian)


def _probe(model: LoadedModel, shift: float) -> Tensor:
    """Make a smooth test image (1, 3, H, W); `shift` moves what is in it."""
    height, width, channels = model.config.dataset_params.frame_shape
    y = torch.linspace(0, 2 * math.pi, height)[:, None]
    x = torch.linspace(0, 2 * math.pi, width)
    waves = [torch.sin((channel + 1) * x + y + shift) * torch.cos(y - channel - shift) for channel in range(channels)]
    return (0.5 + 0.45 * torch.stack(waves))[None]


@contextmanager
def _silenced() -> Iterator[None]:
    """Silence the exporter's notes about packages that are not needed here."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
