"""Locate the small model and the samples in the package."""

from __future__ import annotations

from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent / "assets"


def bundled_checkpoint() -> Path:
    """Return the checkpoint that runs without a download; its config is inside."""
    return ASSETS / "mini-256.safetensors"


def weights_licence() -> Path:
    """Return the licence of the bundled checkpoint, which differs from that of the code."""
    return ASSETS / "WEIGHTS-LICENSE.md"


def sample() -> tuple[Path, Path]:
    """Return an image (Eileen Collins, NASA) and a driving video (Grace Hopper, made with fomm), both of 256 pixels."""
    return ASSETS / "samples" / "source.png", ASSETS / "samples" / "driving.mp4"


def first_run() -> tuple[Path, Path]:
    """Return an image of 512 pixels (Grace Hopper, U.S. Navy) and a driving video (Eileen Collins, made with fomm)."""
    return ASSETS / "samples" / "portrait.jpg", ASSETS / "samples" / "turning.mp4"
