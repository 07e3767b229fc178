"""Check and choose the precision that an engine computes in."""

from __future__ import annotations

import logging
import platform

from fomm_cli.errors import InputError

logger = logging.getLogger(__name__)

PRECISIONS = {
    "auto": ("fp32", "bf16", "fp16", "int8"),
    "torch": ("fp32", "bf16", "fp16"),
    "onnxruntime": ("fp32",),
    "openvino": ("fp32", "bf16", "int8"),
    "reference": ("fp32",),
}
"""The precisions of each engine; `reference` computes as the original does, for comparison."""

_AMX = ("_is_amx_tile_supported",)
_BF16 = ("_is_avx512_bf16_supported", *_AMX)
_INT8 = ("_is_vnni_supported",)


def check_precision(engine: str, precision: str) -> None:
    """Raise InputError unless an engine computes in a precision.

    Raises:
        InputError: the engine does not compute in that precision.
    """
    if precision != "auto" and precision not in PRECISIONS[engine]:
        able = [name for name, has in PRECISIONS.items() if precision in has and name != "auto"]
        raise InputError(
            f"--engine {engine} does not compute in {precision}",
            f"Use --precision {' or '.join(PRECISIONS[engine])}, or --engine {' or '.join(able)}",
        )


def engine_of(engine: str, precision: str) -> str:
    """Return what `--engine auto` means where that follows from the precision; anything else means itself."""
    if engine != "auto" or precision == "auto":
        return engine
    return "openvino" if precision == "int8" else "torch"


def choose_precision(engine: str, precision: str, device_type: str) -> str:
    """Resolve `auto`: bf16 where the hardware is faster in it, otherwise fp32; return anything else as it is.

    PyTorch on a CPU needs a matrix unit (AMX) for that: its float32 saves products that its bf16 does not.

    Raises:
        InputError: OpenVINO would quietly compute in fp32 instead.
    """
    if precision == "auto":
        is_faster = _has(_AMX) if (engine, device_type) == ("torch", "cpu") else has_bf16(device_type)
        return "bf16" if "bf16" in PRECISIONS[engine] and is_faster else "fp32"
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
    return device_type == "cpu" and _has(_BF16)


def has_int8() -> bool:
    """Return whether the processor multiplies int8 faster than float32 (VNNI)."""
    return _has(_INT8)


def _has(queries: tuple[str, ...]) -> bool:
    """Return whether PyTorch finds one of several abilities in this processor; not every version has all queries."""
    import torch

    is_x86 = platform.machine().lower() in {"x86_64", "amd64"}
    return is_x86 and any(getattr(torch.cpu, query, bool)() for query in queries)
