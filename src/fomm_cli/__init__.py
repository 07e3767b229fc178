"""Animate a portrait with the motion of a video: the First Order Motion Model in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fomm_cli.animation.animator import Animator as Animator

__version__ = "0.1.0"
__all__ = ["Animator", "__version__"]


def __getattr__(name: str) -> object:
    """Import the library's front door on first use: it takes torch, which the command line must not wait for."""
    if name == "Animator":
        from fomm_cli.animation.animator import Animator

        return Animator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
