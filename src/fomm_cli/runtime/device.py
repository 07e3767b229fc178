"""Choose and describe the device that the networks run on."""

from __future__ import annotations

import ctypes
import logging
import sys
from contextlib import suppress

import torch

from fomm_cli.errors import InputError

logger = logging.getLogger(__name__)

_GLIBC_HEAP = {  # options of mallopt, as malloc.h numbers them
    -8: 1,  # M_ARENA_MAX
    -3: 32 << 20,  # M_MMAP_THRESHOLD: larger blocks are pages of their own
    -1: 128 << 20,  # M_TRIM_THRESHOLD: so much may stay unused
}


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a `--device` value.

    Args:
        name: auto, cpu, cuda, cuda:N or mps. Auto takes a GPU where there is one.

    Raises:
        InputError: the name is unknown, or this machine or this torch has no such device.
    """
    if name == "auto":
        return _best_device()
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in {"cpu", "cuda", "mps"}:
        raise InputError(f"--device {name} is unknown", "Use auto, cpu, cuda, cuda:N or mps")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"--device {name} cannot be used: {_why_no_cuda()}", "Use --device auto or --cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise InputError(f"there is no --device {name}", f"This machine has {count}: cuda:0 to cuda:{count - 1}")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InputError("--device mps cannot be used: no Apple GPU is available", "Use --device auto or --cpu")
    return device


def choose_engine_device(engine: str, name: str = "auto") -> torch.device:
    """Return the device of a `--device` value for an engine: PyTorch runs on all of them, the others on the CPU.

    Raises:
        InputError: as `choose_device`, or the engine does not run there.
    """
    if engine in {"auto", "torch", "reference"}:
        return choose_device(name)
    if name not in {"auto", "cpu"}:
        raise InputError(f"--engine {engine} runs on the CPU, not on {name}", "Use --cpu, or --engine torch")
    return torch.device("cpu")


def prepare_process(threads: int | None) -> None:
    """Limit torch to some threads (None: no limit), and let all threads use one heap.

    Call it before other threads start: glibc gives each a heap of its own, which keeps its peak size. With one heap the
    published networks take 60 MB less, and memory is not returned to the system after each frame and requested again.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    for option, value in _GLIBC_HEAP.items():
        _tell_glibc("mallopt", option, value)


def trim_memory() -> None:
    """Return unused memory to the system: glibc keeps what loading a model took, 100 MB and more."""
    _tell_glibc("malloc_trim", 0)


def _tell_glibc(function: str, *arguments: int) -> None:
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            getattr(ctypes.CDLL(None), function)(*arguments)


def describe_device(device: torch.device) -> str:
    """Describe the device in words, such as ``CPU, 8 threads`` or ``cuda:0, NVIDIA H100``."""
    if device.type == "cuda":
        return f"{device}, {torch.cuda.get_device_name(device)}"
    return f"CPU, {torch.get_num_threads()} threads" if device.type == "cpu" else "Apple GPU"


def _best_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    if torch.backends.mps.is_available():
        return torch.device("mps")
    device = torch.device("cpu")
    logger.debug("running on the %s (%s)", describe_device(device), _why_no_cuda())
    return device


def _why_no_cuda() -> str:
    if torch.version.cuda is None and torch.version.hip is None:
        return f"torch {torch.__version__} is built without CUDA"
    return "no CUDA device found"
