"""The small model in the package."""

from __future__ import annotations

from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent / "assets"


def bundled_checkpoint() -> Path:
    """The checkpoint that runs without a download; its config is inside."""
    return ASSETS / "mini-256.safetensors"


def weights_licence() -> Path:
    """The terms of the bundled checkpoint, which are not those of the code."""
    return ASSETS / "WEIGHTS-LICENSE.md"


def sample() -> tuple[Path, Path]:
    """An image (Eileen Collins, NASA) and a driving video (Grace Hopper, made with fomm) for a first run."""
    return ASSETS / "samples" / "source.png", ASSETS / "samples" / "driving.mp4"
