"""Animate a portrait with the motion of a video: the First Order Motion Model as a library and a command line."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from fomm_cli.errors import FommError, InputError
from fomm_cli.version import __version__

if TYPE_CHECKING:
    from fomm_cli.animation.animator import Animator as Animator
    from fomm_cli.config.reading import load_config as load_config
    from fomm_cli.keypoints import KeyPoints as KeyPoints

__all__ = ["Animator", "FommError", "InputError", "KeyPoints", "__version__", "load_config"]

_IMPORTED_ON_USE = {"Animator": "animation.animator", "KeyPoints": "keypoints", "load_config": "config.reading"}


def __getattr__(name: str) -> object:
    """Import a public name on first use: most of them need torch, which `fomm --help` must not wait for."""
    if name in _IMPORTED_ON_USE:
        return getattr(import_module(f"fomm_cli.{_IMPORTED_ON_USE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
