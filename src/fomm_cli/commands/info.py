"""`fomm info`: versions, devices and what is missing, for bug reports."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from fomm_cli.commands.shared import Commands, add_command, print_result
from fomm_cli.extras import ENGINE_EXTRAS, EXTRAS
from fomm_cli.version import __version__

PACKAGES = (
    *("torch", "numpy", "scipy", "scikit-image", "imageio", "imageio-ffmpeg", "av", "pillow"),
    *("pyyaml", "pydantic", "safetensors", "tqdm", "face-alignment"),
)
OPTIONAL = {**ENGINE_EXTRAS, "mediapipe": "faces"}
"""Optional packages, and the extra of each."""


def add_to(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "info", "Print versions, devices and what is missing, for bug reports.", _run)


def _run(options: argparse.Namespace) -> None:
    facts = describe()
    lines = [
        f"{name + ':':<28}{', '.join(value) if isinstance(value, list) else value}" for name, value in facts.items()
    ]
    print_result(options, facts, "\n".join(lines))


def describe() -> dict[str, object]:
    """Return versions, devices, and what is missing, in the order to print."""
    return dict(_facts())


def _facts() -> Iterator[tuple[str, object]]:
    import torch

    from fomm_cli.config.reading import config_names
    from fomm_cli.models.bundled import bundled_checkpoint, weights_licence

    yield "fomm", __version__
    yield "Python", f"{platform.python_version()} ({sys.executable})"
    yield "system", f"{platform.platform()}, {os.cpu_count()} CPU cores"
    for package in PACKAGES:
        yield package, _version(package)
    for package, extra in OPTIONAL.items():
        yield package, _version(package, absent=f"not installed: pip install {' '.join(EXTRAS[extra])}")
    yield "CUDA", _cuda()
    yield "Apple GPU", "available" if torch.backends.mps.is_available() else "none"
    yield "bf16 in hardware", ", ".join(name for name in ("cpu", "cuda") if _computes_bf16(name)) or "no"
    yield "torch threads", torch.get_num_threads()
    yield "ffmpeg", _ffmpeg()
    yield "configs", config_names()
    yield "bundled model", _presence(bundled_checkpoint())
    yield "terms of its weights", f"research and demonstration only: {weights_licence()}"
    yield from _landmark_weights()


def _version(package: str, absent: str = "") -> str:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return absent or f"MISSING: pip install {package}"


def _computes_bf16(device_type: str) -> bool:
    import torch

    from fomm_cli.runtime.precision import has_bf16

    return (device_type != "cuda" or torch.cuda.is_available()) and has_bf16(device_type)


def _cuda() -> str:
    import torch

    if not torch.cuda.is_available():
        return f"none (torch is built for {torch.version.cuda or 'the CPU only'})"
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ", ".join(f"cuda:{index} {name}" for index, name in enumerate(names))


def _ffmpeg() -> str:
    import imageio_ffmpeg

    try:
        return f"{imageio_ffmpeg.get_ffmpeg_version()} ({imageio_ffmpeg.get_ffmpeg_exe()})"
    except RuntimeError as error:
        return f"MISSING, so --audio will not work: {error}"


def _landmark_weights() -> Iterator[tuple[str, str]]:
    from fomm_cli.faces.detectors.face_alignment import WEIGHTS, weights_path
    from fomm_cli.faces.detectors.mediapipe import MODEL
    from fomm_cli.files.cache import cache_folder

    yield MODEL, _presence(cache_folder() / MODEL, absent="not downloaded yet; MediaPipe does it on first use")
    for name in WEIGHTS:
        yield name, _presence(weights_path(name), absent="not downloaded yet; --find_best_frame does it on first use")


def _presence(path: Path, absent: str = "MISSING") -> str:
    return f"{path} ({path.stat().st_size:,} bytes)" if path.is_file() else absent
