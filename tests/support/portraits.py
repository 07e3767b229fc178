"""Make scenes from public-domain portraits for the tests of faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

PARITY = Path(__file__).parents[1] / "parity"

ASTRONAUT_FACE = (181.0, 72.0, 270.0, 177.0)
"""Left, top, right, bottom of the face in `astronaut()`: hairline to chin, measured by eye."""
ASTRONAUT_EYES = ((203.75, 101.0), (247.5, 103.0))
HOPPER_FACE = (74.0, 84.0, 178.0, 202.0)
"""The same of the first frame of `hopper()`."""


def astronaut() -> np.ndarray:
    """Return Eileen Collins, uint8 (512, 512, 3)."""
    return np.asarray(data.astronaut())


def hopper() -> np.ndarray:
    """Return Grace Hopper, moved by affine maps, uint8 (4, 256, 256, 3)."""
    return np.asarray(np.load(PARITY / "inputs.npz")["driving"])


def parity_source() -> np.ndarray:
    """Return the source of the recorded numbers, uint8 (300, 300, 3)."""
    return np.asarray(np.load(PARITY / "inputs.npz")["source"])


def resized(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def blurry_background(width: int, height: int) -> np.ndarray:
    """Return soft coloured patches without anything like a face in them."""
    patches = np.random.default_rng(0).integers(60, 200, (6, 8, 3), dtype=np.uint8)
    return resized(patches, width, height).copy()


def placed(picture: np.ndarray, width: int, height: int, x: int, y: int) -> np.ndarray:
    """Lay an image onto a background, its upper left corner at (x, y), cut at the borders."""
    scene = blurry_background(width, height)
    left, top = max(0, x), max(0, y)
    right, bottom = min(width, x + picture.shape[1]), min(height, y + picture.shape[0])
    scene[top:bottom, left:right] = picture[top - y : bottom - y, left - x : right - x]
    return scene


SCENES = {
    "small": (1000, 800, 470, 300),
    "corner": (800, 700, 544, 444),
    "outside": (640, 600, -40, 384),
    "cut": (640, 600, -90, 200),  # a face without its left edge, which the built-in detector overlooks
    "turned": (900, 600, 80, 120),
    "second": (900, 600, 80, 120),
}
"""What people take instead of a well cropped portrait of 256x256: width, height, and where the portrait is in it."""


def save_scene(name: str, portrait: np.ndarray, path: Path) -> None:
    """Write a scene as PNG: `turned` by EXIF, `second` with a smaller person beside the portrait."""
    scene, exif = placed(portrait, *SCENES[name]), Image.Exif()
    if name == "second":
        scene[200:380, 620:800] = resized(parity_source(), 180, 180)
    if name == "turned":
        scene, exif[0x0112] = np.rot90(scene), 6
    Image.fromarray(scene).save(path, exif=exif)


def faces_in_scene(
    name: str, face: tuple[float, float, float, float]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the rows and columns of a face (left, top, right, bottom) in the portrait and in the scene."""
    width, height, x, y = SCENES[name]
    left, top, right, bottom = (int(side) for side in face)
    left, top, right, bottom = max(left, -x), max(top, -y), min(right, width - x), min(bottom, height - y)
    return np.s_[top:bottom, left:right], np.s_[top + y : bottom + y, left + x : right + x]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(1e-6, np.square(a.astype(float) - b).mean())))


def save_frames(folder: Path, frames: np.ndarray) -> Path:
    folder.mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{index:05d}.png")
    return folder


def load_frames(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))])
