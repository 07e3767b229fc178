"""Check and choose the precision that an engine computes in."""

from __future__ import annotations

import logging
import platform

from fomm_cli.errors import InputError

logger = logging.getLogger(__name__)

PRECISIONS = {
    "torch": ("fp32", "bf16", "fp16"),
    "onnxruntime": ("fp32",),
    "openvino": ("fp32", "bf16", "int8"),
    "reference": ("fp32",),
}
"""The precisions of each engine; `reference` computes as the original does, for comparison."""


def check_precision(engine: str, precision: str) -> None:
    """Raise InputError unless an engine computes in a precision.

    Raises:
        InputError: the engine does not compute in that precision.
    """
    if precision != "auto" and precision not in PRECISIONS[engine]:
        able = [name for name, precisions in PRECISIONS.items() if precision in precisions]
        raise InputError(
            f"--engine {engine} does not compute in {precision}",
            f"Use --precision {' or '.join(PRECISIONS[engine])}, or --engine {' or '.join(able)}",
        )


def choose_precision(engine: str, precision: str, device_type: str) -> str:
    """Resolve `auto`: bf16 where the hardware computes in it, otherwise fp32.

    Raises:
        InputError: OpenVINO would quietly compute in fp32 instead.
    """
    if precision == "auto":
        return "bf16" if "bf16" in PRECISIONS[engine] and has_bf16(device_type) else "fp32"
    if precision == "bf16" and not has_bf16(device_type):
        if engine == "openvino":
            raise InputError("this processor does not compute in bf16", "Use --precision fp32 or int8")
        logger.warning("this %s only emulates bf16, which is slower than --precision fp32", device_type)
    if precision == "fp16" and device_type == "cpu":
        logger.warning("most processors only emulate fp16, which is slower than --precision fp32")
    return precision


def has_bf16(device_type: str) -> bool:
    """Return whether a device (cpu, cuda or mps) computes in bf16 rather than emulating it."""
    import torch

    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device_type == "cpu" and platform.machine().lower() in {"x86_64", "amd64"}:
        # not every supported version of torch has both queries
        queries = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, query, bool)() for query in queries)
    return False
