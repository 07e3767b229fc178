"""Find landmarks, expressions and head poses in the training data once, and keep them beside the frames.

python recipes/mini-256/collect.py .faces cache

Takes every third frame of each clip, so that blinks are caught, and all stills. Writes into `cache`: frames.npy, uint8
(N, 256, 256, 3), and faces.npz with landmarks (N, 478, 2) in [-1, 1], expressions and pose (N, 5) as in `EXPRESSION`,
clip and identity numbers (N,) and the part of the data (N,) as in `PARTS`. Needs mediapipe.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.face import Face, FaceDetector, Pose
from fomm_cli.media.formats import IMAGES_READ
from fomm_cli.media.image import read_image
from fomm_cli.media.resize import fit_frame
from fomm_cli.media.video.reader import open_clip
from fomm_cli.training.dataset import find_videos, identity_of

SIDE = 256
STRIDE = 3
PARTS = ("train", "test", "stills")
EXPRESSION = ("jaw", "lids", "yaw", "pitch", "roll")
"""Jaw opening and closing of the lids in [0, 1], then the angles of the head in degrees."""


@dataclass(frozen=True)
class Collected:
    """All frames of one file that hold a face.

    Attributes:
        path: of the clip or still.
        frames: uint8 (N, 256, 256, 3).
        landmarks: (N, 478, 2) in [-1, 1].
        expressions: (N, 5), see `EXPRESSION`.
    """

    path: Path
    frames: np.ndarray
    landmarks: np.ndarray
    expressions: np.ndarray


def main(argv: Sequence[str] | None = None) -> None:
    """Collect all parts of the data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that pack_training.py wrote")
    parser.add_argument("cache", type=Path, help="folder to write")
    arguments = parser.parse_args(argv)
    collect(arguments.data, arguments.cache)


def collect(data: Path, target: Path) -> None:
    """Find the faces in all files, on all cores, and write the cache."""
    files = [(part, path) for part in PARTS for path in find_videos(data / part)]
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(_collected, [path for _, path in files], chunksize=4))
    target.mkdir(parents=True, exist_ok=True)
    counts = [len(one.frames) for one in found]
    stored = np.lib.format.open_memmap(target / "frames.npy", "w+", np.uint8, (sum(counts), SIDE, SIDE, 3))
    for one, end in zip(found, np.cumsum(counts), strict=True):  # on disk: the frames take gigabytes
        stored[end - len(one.frames) : end] = one.frames
    stored.flush()
    names = [f"{part}/{identity_of(path)}" for part, path in files]
    np.savez(
        target / "faces.npz",
        landmarks=np.concatenate([one.landmarks for one in found]),
        expressions=np.concatenate([one.expressions for one in found]),
        clips=np.repeat(np.arange(len(files)), counts),
        identities=np.repeat(np.unique(names, return_inverse=True)[1], counts),
        parts=np.repeat([PARTS.index(part) for part, _ in files], counts),
    )


_opened = ExitStack()


@cache
def _detector() -> FaceDetector:
    """Open one detector a process, which keeps it to its end."""
    return _opened.enter_context(open_detector("mediapipe", landmarks=True))


def _collected(path: Path) -> Collected:
    """Find the face in every third frame of a file."""
    frames, landmarks, expressions = [], [], []
    for frame in _frames(path):
        face = next(iter(_detector().detect(frame)), None)
        if face is None or face.landmarks is None or face.blendshapes is None:
            continue
        frames.append(frame)
        landmarks.append(2 * (face.landmarks - 0.5) / (SIDE - 1) - 1)
        expressions.append(expression(face))
    return Collected(
        path,
        np.array(frames, np.uint8).reshape(-1, SIDE, SIDE, 3),
        np.array(landmarks, np.float32).reshape(-1, 478, 2),
        np.array(expressions, np.float32).reshape(-1, len(EXPRESSION)),
    )


def _frames(path: Path) -> list[np.ndarray]:
    if path.suffix in IMAGES_READ:
        return [fit_frame(read_image(path), (SIDE, SIDE), "stretch")]
    frames = [fit_frame(frame.image, (SIDE, SIDE), "stretch") for frame in open_clip(path).frames()]
    return frames[::STRIDE]


def expression(face: Face) -> tuple[float, float, float, float, float]:
    """Summarise a face as `EXPRESSION` says."""
    shapes, pose = face.blendshapes or {}, face.pose or Pose(0, 0, 0)
    lids = (shapes["eyeBlinkLeft"] + shapes["eyeBlinkRight"]) / 2
    return shapes["jawOpen"], lids, pose.yaw, pose.pitch, pose.roll


if __name__ == "__main__":
    main()
