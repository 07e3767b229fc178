"""Open an engine by its name."""

from __future__ import annotations

from fomm_cli.engines.engine import Engine
from fomm_cli.engines.torch import ReferenceEngine, TorchEngine
from fomm_cli.models.loading import LoadedModel
from fomm_cli.runtime.precision import check_precision, choose_precision


def open_engine(name: str, precision: str, model: LoadedModel) -> Engine:
    """Open an engine.

    Args:
        name: torch, onnxruntime, openvino or reference.
        precision: auto or one that the engine has.
        model: what it is to run, on a device that it runs on.

    Raises:
        InputError: it is not installed, or has no such precision here.
    """
    check_precision(name, precision)
    precision = choose_precision(name, precision, model.device.type)
    if model.device.type == "cuda":
        import torch

        torch.backends.cudnn.allow_tf32 = False  # it would round float32 to ten bits
    if name == "reference":
        return ReferenceEngine(model)
    if name == "onnxruntime":
        from fomm_cli.engines.onnx import OnnxEngine

        return OnnxEngine(model)
    if name == "openvino":
        from fomm_cli.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(model, precision)
    return TorchEngine(model, precision)
