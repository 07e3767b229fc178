"""Public-domain portraits for the tests of faces, and what they are cut and moved into."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

PARITY = Path(__file__).parent / "parity"

ASTRONAUT_FACE = (181.0, 72.0, 270.0, 177.0)
"""Left, top, right, bottom of the face in `astronaut()`: hairline to chin, measured by eye."""
ASTRONAUT_EYES = ((203.75, 101.0), (247.5, 103.0))
HOPPER_FACE = (74.0, 84.0, 178.0, 202.0)
"""The same of the first frame of `hopper()`."""


def astronaut() -> np.ndarray:
    """Eileen Collins, uint8 (512, 512, 3)."""
    return np.asarray(data.astronaut())


def hopper() -> np.ndarray:
    """Grace Hopper, moved about by affine maps, uint8 (4, 256, 256, 3)."""
    return np.asarray(np.load(PARITY / "inputs.npz")["driving"])


def parity_source() -> np.ndarray:
    """The source of the recorded numbers, uint8 (300, 300, 3)."""
    return np.asarray(np.load(PARITY / "inputs.npz")["source"])


def resized(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def blurry_background(width: int, height: int) -> np.ndarray:
    """Soft coloured patches without anything like a face in them."""
    patches = np.random.default_rng(0).integers(60, 200, (6, 8, 3), dtype=np.uint8)
    return resized(patches, width, height).copy()


def placed(picture: np.ndarray, width: int, height: int, x: int, y: int) -> np.ndarray:
    """A picture laid onto a background, its upper left corner at (x, y), cut at the borders."""
    scene = blurry_background(width, height)
    left, top = max(0, x), max(0, y)
    right, bottom = min(width, x + picture.shape[1]), min(height, y + picture.shape[0])
    scene[top:bottom, left:right] = picture[top - y : bottom - y, left - x : right - x]
    return scene


def save_frames(folder: Path, frames: np.ndarray) -> Path:
    folder.mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{index:05d}.png")
    return folder


def load_frames(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))])
