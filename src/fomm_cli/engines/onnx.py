"""Run the generator in ONNX Runtime on the CPU (extra `onnx`), in the form that `fomm export` writes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from fomm_cli.engines.engine import Decoded, Decoder, Engine, free_layers, one_by_one, workers_on_cpu
from fomm_cli.engines.onnx_export import export_onnx, open_onnx, run_onnx, tensors_of
from fomm_cli.engines.store import kept, make_once
from fomm_cli.extras import require
from fomm_cli.keypoints import KeyPoints
from fomm_cli.models.loading import LoadedModel


class OnnxEngine(Engine):
    """Run the generator as an ONNX file, which is kept in the cache folder."""

    name = "onnxruntime"
    precision = "fp32"

    def __init__(self, model: LoadedModel) -> None:
        """Export the model unless it is kept; `model` loses its layers.

        Raises:
            InputError: a package is missing.
            FommError: the exported model is not the same.
        """
        require("onnx")
        self.workers = workers_on_cpu()
        self._generator = model.networks.generator
        if model.sha256:
            folder = kept(model, "onnx-flow", ("torch", "onnx", "onnxruntime", "onnxscript"))
            self._session = make_once(folder, lambda part: _export(model, part), self._open)
        else:
            with TemporaryDirectory() as part:
                _export(model, Path(part))
                self._session = self._open(Path(part))
        free_layers(self._generator)

    def _open(self, folder: Path) -> Any:
        return open_onnx(folder / "generator.onnx", self.workers)

    def encode(self, source: Tensor, keypoints: KeyPoints) -> Decoder:
        """Encode the source in PyTorch."""
        encoded = self._generator.encode(source)
        inputs = (encoded.features, encoded.thumbnail, *encoded.skips, *tensors_of(keypoints))

        def decode(pose: KeyPoints) -> Decoded:
            frames, flow, *occlusion_map = run_onnx(self._session, (*inputs, *tensors_of(pose)))
            return Decoded(frames, flow, occlusion_map[0] if occlusion_map else None)

        return one_by_one(decode)


def _export(model: LoadedModel, folder: Path) -> None:
    export_onnx(model, {"generator": folder / "generator.onnx"})
