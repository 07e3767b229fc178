"""Check optional packages, and say what to type where one is missing."""

from __future__ import annotations

from importlib.util import find_spec

from fomm_cli.errors import InputError

EXTRAS = {
    "faces": ("mediapipe",),
    "charts": ("matplotlib",),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "openvino": ("openvino", "nncf"),
    "ray": ("ray",),
    "c2pa": ("c2pa", "cryptography"),
    "web": ("starlette", "uvicorn", "websockets", "python_multipart"),
}
"""Packages by extra."""
ENGINE_EXTRAS = {"onnxruntime": "onnx", "openvino": "openvino"}
"""The extra of each engine that needs one; its package has the engine's name."""


def is_installed(extra: str) -> bool:
    """Tell whether all packages of an extra are installed."""
    return not _missing(extra)


def require(extra: str) -> None:
    """Make sure that all packages of an extra are installed.

    Raises:
        InputError: a package is missing; the message says what to type.
    """
    if missing := _missing(extra):
        verb = "is" if len(missing) == 1 else "are"
        raise InputError(
            f"{' and '.join(missing)} {verb} not installed", f"Type: pip install {' '.join(EXTRAS[extra])}"
        )


def _missing(extra: str) -> list[str]:
    return [package for package in EXTRAS[extra] if find_spec(package) is None]
