"""Make the model and the media that the cases share."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np

from support.fuzzing.mutations import mutated_bytes, special_file

PARITY = Path(__file__).parents[2] / "parity"
MODEL = ("--config", str(PARITY / "tiny_zero_order.yaml"), "--checkpoint", str(PARITY / "tiny_zero_order.pth.tar"))
PLAIN = ("--cpu", "--threads", "1", "--precision", "fp32", "--crop", "none", "--max_frames", "1")
PORTRAIT, MOTION, FACE = "portrait.png", "motion.mp4", "face.png"


def portrait() -> np.ndarray:
    """Return a face, uint8 (64, 64, 3)."""
    return np.ascontiguousarray(_inputs("source")[20:276:4, 20:276:4])


def moving(count: int = 4) -> np.ndarray:
    """Return frames of another face that moves, uint8 (N, 64, 64, 3)."""
    return np.ascontiguousarray(_inputs("driving")[np.arange(count) % 4, ::4, ::4])


def _inputs(name: str) -> np.ndarray:
    with np.load(PARITY / "inputs.npz") as file:
        return np.asarray(file[name])


def write_portrait(path: Path) -> None:
    """Write an undamaged image."""
    from PIL import Image

    Image.fromarray(portrait()).save(path)


def write_face(path: Path) -> None:
    """Write an undamaged image that is large enough for the face detectors."""
    from PIL import Image

    Image.fromarray(_inputs("source")).save(path)


def write_video(
    path: Path, frames: np.ndarray, codec: str = "libx264", pixels: str = "yuv420p", **options: str
) -> None:
    """Write an undamaged video without audio."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], pixels
        stream.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


class Originals:
    """Undamaged files in a folder, copied into cases and mutated there."""

    def __init__(self, folder: Path) -> None:
        """Hold the files of this folder."""
        self.folder = folder

    def copy(self, name: str, case: Path, new: str | None = None) -> str:
        """Copy a file or folder as it is; returns its name in the case."""
        target = case / (new or name)
        original = self.folder / name
        shutil.copytree(original, target) if original.is_dir() else shutil.copy(original, target)
        return target.name

    def mutate(self, dice: random.Random, name: str, case: Path, new: str | None = None) -> tuple[str, str]:
        """Write a damaged copy, or now and then something that is no file at all; returns its name and the damage."""
        target = case / (new or name)
        if dice.random() < 0.04:
            return target.name, special_file(dice, target)
        data, what = mutated_bytes(dice, (self.folder / name).read_bytes())
        target.write_bytes(data)
        return target.name, f"{name}: {what}"
