"""Measure checkpoints where there is no truth: portraits moved by other people's clips.

python recipes/mini-256/measure_transfer.py cache before.safetensors after.pth.tar

Twelve stills take over the motion of twelve held-out people, up to 100 frames each. Identity: how far ratios of the
face's lengths depart from the portrait's. Flicker: how much the background changes from frame to frame. Blobs: share
of frames with a region much darker or brighter than anything in the portrait. Transfer: slopes and correlations of
changes of mouth, lids and yaw. Needs mediapipe.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from collect import EXPRESSION, expression
from measure import fit_through_zero, head_box, table
from training_data import Faces

from fomm_cli.animation.animator import Animator
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.face import FaceDetector

PAIRS, FRAMES = 12, 100
LENGTHS = ((33, 263), (10, 152), (234, 454), (6, 2), (2, 152), (61, 291))
"""Landmarks: eyes apart, height and width of the face, nose, lower face, mouth."""
BLOB_PIXELS, BEYOND = 40, 0.08  # least size, and how much darker or brighter


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path, help="folder that collect.py wrote")
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--frames", type=int, default=FRAMES)
    arguments = parser.parse_args(argv)
    faces = Faces.open(arguments.cache)
    figures = {}
    for path in arguments.checkpoints:
        animator = Animator.load(path, device="cpu")
        rows, changes = [], []
        with open_detector("mediapipe", landmarks=True) as detector:
            for portrait, frames in pairs(faces, arguments.pairs, arguments.frames):
                results = list(animator.animate(faces.frames[portrait], list(faces.frames[frames])))
                row, change = measured(faces, portrait, frames, results, detector)
                rows.append(row)
                changes += change
        figures[str(path)] = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} | _transfer(
            changes
        )
    sys.stdout.write(table(figures))


def pairs(faces: Faces, count: int, frames: int) -> list[tuple[int, np.ndarray]]:
    """Choose portraits, and for each the frames that drive it, by their numbers."""
    stills, test = faces.of("stills"), faces.of("test")
    chosen = []
    for portrait, person in zip(
        stills[:: len(stills) // count or 1], np.unique(faces.identities[test])[:count], strict=False
    ):
        clip = faces.clips[test[faces.identities[test] == person]][0]
        chosen.append((int(portrait), test[faces.clips[test] == clip][:frames]))
    return chosen


Change = tuple[np.ndarray, np.ndarray]
"""Expressions since the start, of the result and of the driving clip."""


def measured(
    faces: Faces, portrait: int, frames: np.ndarray, results: list[np.ndarray], detector: FaceDetector
) -> tuple[dict[str, float], list[Change]]:
    """Measure one pair."""
    source = faces.frames[portrait]
    marks = ((faces.landmarks[portrait] + 1) * 255 / 2 + 0.5).numpy()
    departures, changes, hulls, lost = [], [], [head_box(marks)], 0
    for frame, result in zip(frames, results, strict=True):
        face = next(iter(detector.detect(result)), None)
        if face is None or face.landmarks is None:
            lost += 1
            continue
        departures.append(np.abs(np.log(_ratios(np.asarray(face.landmarks)) / _ratios(marks))).mean())
        hulls.append(head_box(np.asarray(face.landmarks)))
        changes.append(
            (
                np.array(expression(face)) - faces.expressions[portrait],
                faces.expressions[frame] - faces.expressions[frames[0]],
            )
        )
    background = ~np.any(hulls, axis=0)
    steps = [np.abs(one.astype(float) - other)[background].mean() / 255 for one, other in itertools.pairwise(results)]
    return {
        "identity departure": float(np.mean(departures)) if departures else float("nan"),
        "flicker": float(np.nanmean(steps)) if background.any() else 0.0,
        "blobs": float(np.mean([_has_blob(result, source) for result in results])),
        "no face": lost / len(results),
    }, changes


def _ratios(marks: np.ndarray) -> np.ndarray:
    lengths = np.array([np.linalg.norm(marks[one] - marks[other]) for one, other in LENGTHS])
    ratios: np.ndarray = lengths / np.exp(np.log(lengths).mean())
    return ratios


def _has_blob(result: np.ndarray, source: np.ndarray) -> bool:
    """Return whether a connected region is beyond the range of the source's brightness."""
    import cv2

    grey, known = (cv2.blur(image.mean(2) / 255, (5, 5)) for image in (result, source))
    beyond = (grey < known.min() - BEYOND) | (grey > known.max() + BEYOND)
    sizes = cv2.connectedComponentsWithStats(beyond.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    return bool((sizes >= BLOB_PIXELS).any())


def _transfer(changes: list[Change]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name in ("jaw", "lids", "yaw"):
        index = EXPRESSION.index(name)
        ours, true = (np.array([change[side][index] for change in changes]) for side in (0, 1))
        figures[f"{name} slope"], figures[f"{name} r"] = fit_through_zero(ours, true)
    return figures


if __name__ == "__main__":
    main()
