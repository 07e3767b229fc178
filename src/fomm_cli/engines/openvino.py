"""Run the layers in OpenVINO on the CPU (extra `openvino`), in float32, bf16 or int8; coordinates stay in PyTorch."""

from __future__ import annotations

import io
import logging
import math
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fomm_cli.engines.cpu_layers import DoublingBlock, SplitHeadConv2d, is_heavy_head
from fomm_cli.engines.engine import Decoded, Decoder, Engine, free_layers, one_by_one, workers_on_cpu
from fomm_cli.engines.store import is_whole, kept, make_once, read_kept
from fomm_cli.extras import EXTRAS, require
from fomm_cli.keypoints import KeyPoints
from fomm_cli.media.difference import psnr
from fomm_cli.models.dense_motion import DenseMotion, DenseMotionNetwork
from fomm_cli.models.generator import EncodedSource, Generator
from fomm_cli.models.loading import LoadedModel

logger = logging.getLogger(__name__)

GOOD_PSNR = 40.0  # dB against float32: a difference of less than three grey levels, which nobody sees
_FILES = ("estimate", "paint")  # names in the caches of every version
_TRACED_PART = 4  # of the side: the layers are the same at every size


def _openvino() -> Any:
    """Import the package without its telemetry."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


class _Estimate(nn.Module):
    """The layers of the dense-motion network."""

    def __init__(self, network: DenseMotionNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network.estimate(inputs)


class _Decode(nn.Module):
    """The layers of the generator after the warping."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, *warped: Tensor) -> Tensor:
        return self.generator.decode_warped(*warped)


def _lighten(generator: Generator) -> None:
    """Replace layers of the decoder by equivalents with fewer products.

    The first doubling stays: values of either sign come out of the residual blocks, and OpenVINO computes a transposed
    convolution of those in float32.
    """
    if is_heavy_head(generator.final):
        generator.final = SplitHeadConv2d(generator.final)
    generator.up_blocks = nn.ModuleList([*generator.up_blocks[:1], *map(DoublingBlock, generator.up_blocks[1:])])


Layers = Callable[..., Tensor]


@dataclass(frozen=True)
class _Sample:
    """The inputs of the layers for one frame, and the frame that float32 makes of them."""

    pose: KeyPoints
    candidates: np.ndarray
    warped: list[np.ndarray]
    frame: Tensor


class OpenVinoEngine(Engine):
    """Warp and combine in PyTorch, in float32; run the layers between in OpenVINO."""

    name = "openvino"

    def __init__(self, model: LoadedModel, precision: str) -> None:
        """Convert the layers, or read those that were calibrated before; `model` loses its own.

        Raises:
            InputError: OpenVINO is not installed.
        """
        require("openvino")
        self.precision = precision
        self.workers = workers_on_cpu()
        self._model = model
        self._generator = model.networks.generator
        self._kept = _kept_at(model)
        self._layers: tuple[Layers, Layers] | None = None
        if precision != "bf16":  # sums of rounded rows would be off by more
            _lighten(self._generator)
        if precision != "int8":
            estimate, decode = self._converted()
            # the motion stays float32: half the digits of a flow would be pixels
            self._use(_compiled(estimate), _compiled(decode, "f32" if precision == "fp32" else precision))
        elif model.sha256 and (layers := read_kept(self._kept, _read)) is not None:
            self._use(*layers)

    @property
    def ready(self) -> bool:
        """Return whether there are layers to run; int8 has none until it is calibrated."""
        return self._layers is not None

    def encode(self, source: Tensor, keypoints: KeyPoints) -> Decoder:
        """Encode the source in PyTorch."""
        if self._layers is None:
            raise ValueError("int8 is not calibrated")
        encoded, layers = self._generator.encode(source), self._layers
        return one_by_one(lambda pose: self._decode(encoded, keypoints, pose, layers))

    def _decode(
        self, source: EncodedSource, keypoints: KeyPoints, pose: KeyPoints, layers: tuple[Layers, Layers]
    ) -> Decoded:
        estimate, decode = layers
        _, motion = self._motion(source, keypoints, pose, estimate)
        return Decoded.of(decode(*self._generator.warped(source, motion)), motion)

    def _motion(
        self, source: EncodedSource, keypoints: KeyPoints, pose: KeyPoints, estimate: Layers
    ) -> tuple[Tensor, DenseMotion]:
        """Return what goes into the layers that estimate the motion of one frame, and the motion."""
        network = self._generator.dense_motion_network
        motions, candidates = network.candidates(source.thumbnail, keypoints, pose)
        return candidates, network.combine(motions, estimate(candidates))

    def calibrate(self, source: Tensor, keypoints: KeyPoints, poses: Iterable[KeyPoints]) -> None:
        """Quantise the layers to int8 as far as the frames stay good, and keep them in the cache folder."""
        if not self._model.sha256:
            self._use(*_compiled_both(self._quantised(source, keypoints, poses)))
            return
        layers = make_once(self._kept, lambda folder: _save(self._quantised(source, keypoints, poses), folder), _read)
        self._use(*layers)

    def _use(self, estimate: Layers, decode: Layers) -> None:
        """Run these layers, and free those in PyTorch that they replace."""
        self._layers = estimate, decode
        free_layers(self._generator)

    def _quantised(self, source: Tensor, keypoints: KeyPoints, poses: Iterable[KeyPoints]) -> list[Any]:
        """Return the layers with the fewest in float32 that still make good frames."""
        encoded = self._generator.encode(source)
        floats = self._converted()
        layers = _compiled_both(floats)
        samples = [self._sample(encoded, keypoints, pose, layers) for pose in poses]
        del layers  # they take as much memory as the model
        best: tuple[float, list[Any]] = (-math.inf, floats)
        for candidate in self._candidates(floats, samples):
            layers = _compiled_both(candidate)
            errors = [
                (self._decode(encoded, keypoints, sample.pose, layers).frames - sample.frame).square().mean()
                for sample in samples
            ]
            best = max(best, (psnr(float(np.mean(errors))), candidate), key=lambda one: one[0])
            if best[0] >= GOOD_PSNR:
                break
        log = logger.info if best[0] >= GOOD_PSNR else logger.warning
        log("calibrated int8 on %d frames: %.1f dB PSNR against fp32", len(samples), best[0])
        return best[1]

    def _sample(
        self, source: EncodedSource, keypoints: KeyPoints, pose: KeyPoints, layers: tuple[Layers, Layers]
    ) -> _Sample:
        estimate, decode = layers
        candidates, motion = self._motion(source, keypoints, pose, estimate)
        warped = self._generator.warped(source, motion)
        return _Sample(pose, candidates.numpy(), [tensor.numpy() for tensor in warped], decode(*warped))

    def _candidates(self, floats: list[Any], samples: list[_Sample]) -> Iterator[list[Any]]:
        """Yield pairs of layers, more and more of them in float32. First and last layers and heads always are."""
        estimate, decode = floats
        hourglass = 2 * len(self._generator.dense_motion_network.hourglass.encoder.down_blocks)
        heads, layers = _convolutions(estimate), _convolutions(decode)
        last = 2 if isinstance(self._generator.final, SplitHeadConv2d) else 1
        warped = [sample.warped for sample in samples]
        quantised = _quantise(decode, warped, layers[-last:])
        yield [
            _quantise(estimate, [[sample.candidates] for sample in samples], heads[:1] + heads[hourglass:]),
            quantised,
        ]
        yield [estimate, quantised]
        ups = len(self._generator.up_blocks)
        yield [estimate, _quantise(decode, warped, layers[-last - ups :])]
        yield [estimate, _quantise(decode, warped, layers[(len(layers) - last - ups) // 2 :])]

    def _converted(self) -> list[Any]:
        """Convert the layers of both networks to OpenVINO models, for one frame of the model's size."""
        candidates, warped = self._inputs()
        estimate = _convert(_Estimate(self._generator.dense_motion_network), [candidates], 1)
        return [estimate, _convert(_Decode(self._generator), warped, _TRACED_PART)]

    def _inputs(self) -> tuple[Tensor, list[Tensor]]:
        """Return inputs of the layers, for their shapes."""
        common, (height, width, channels) = self._model.config.model_params.common_params, self._frame_shape
        encoded = self._generator.encode(torch.zeros(1, channels, height, width))
        points = KeyPoints(torch.zeros(1, common.num_kp, 2))
        network = self._generator.dense_motion_network
        motions, candidates = network.candidates(encoded.thumbnail, points, points)
        channels = sum(head.out_channels for head in network.heads)
        motion = network.combine(motions, torch.zeros(1, channels, *motions.shape[2:4]))
        return candidates, list(self._generator.warped(encoded, motion))

    @property
    def _frame_shape(self) -> tuple[int, int, int]:
        return self._model.config.dataset_params.frame_shape


def is_calibrated(model: LoadedModel) -> bool:
    """Return whether the cache folder holds the int8 layers of a model."""
    return bool(model.sha256) and is_whole(_kept_at(model))


def _kept_at(model: LoadedModel) -> Path:
    return kept(model, "openvino-int8-2", (*EXTRAS["openvino"], "torch"))


def _convert(module: nn.Module, inputs: list[Tensor], part: int) -> Any:
    """Convert a module for inputs of these shapes; it is traced on a corner of them, in a fraction of the time."""
    corners = [tensor[..., : tensor.shape[2] // part, : tensor.shape[3] // part].contiguous() for tensor in inputs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it traces, which torch is about to give up
        return _openvino().convert_model(
            module.eval(), example_input=tuple(corners), input=[list(tensor.shape) for tensor in inputs]
        )


def _compiled_both(models: list[Any]) -> tuple[Layers, Layers]:
    return _compiled(models[0]), _compiled(models[1])


def _compiled(model: Any, precision: str = "f32") -> Layers:
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,  # left to itself it takes bf16 where it can
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": workers_on_cpu(),
        "ENABLE_CPU_PINNING": False,  # a core that others use too holds everything up
    }
    compiled = _openvino().Core().compile_model(model, "CPU", settings)
    of_thread = threading.local()

    def run(*inputs: Tensor) -> Tensor:
        if not hasattr(of_thread, "request"):
            of_thread.request = compiled.create_infer_request()
        arrays = [np.ascontiguousarray(tensor.numpy()) for tensor in inputs]
        return torch.from_numpy(of_thread.request.infer(arrays, share_inputs=True)[0])

    return run


def _convolutions(model: Any) -> list[str]:
    """Return the names of the convolutions, in the order of the data."""
    kinds = ("Convolution", "ConvolutionBackpropData")
    return [node.get_friendly_name() for node in model.get_ordered_ops() if node.get_type_name() in kinds]


def _quantise(model: Any, inputs: list[list[np.ndarray]], sensitive: list[str]) -> Any:
    """Quantise a model to int8, except for its sensitive convolutions."""
    _openvino()
    with redirect_stdout(io.StringIO()):  # it prints progress there
        # PyTorch tells everybody who has a CUDA toolkit and no GPU once nncf is imported
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
        import nncf

        logging.getLogger("nncf").setLevel(logging.ERROR)
        return nncf.quantize(
            model.clone(),
            nncf.Dataset(inputs),
            preset=nncf.QuantizationPreset.MIXED,  # values after a batch norm have either sign
            subset_size=len(inputs),
            ignored_scope=nncf.IgnoredScope(names=sensitive),
        )


def _save(models: list[Any], folder: Path) -> None:
    for name, model in zip(_FILES, models, strict=True):
        _openvino().save_model(model, folder / f"{name}.xml", compress_to_fp16=False)


def _read(folder: Path) -> tuple[Layers, Layers]:
    core = _openvino().Core()
    return _compiled_both([core.read_model(folder / f"{name}.xml") for name in _FILES])
