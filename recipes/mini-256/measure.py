"""Measure checkpoints on people that training never saw, each rebuilt from the first frame of a clip.

python recipes/mini-256/measure.py cache perceptual.safetensors before.safetensors after.pth.tar --sheet sheet.png

Of every held-out person one clip counts: frames spread evenly, the widest mouth and the most closed eyes. The first row
is a copy of the source. `--sheet` draws source, truth and results of the widest mouths and the most closed eyes, to be
looked at: slopes alone call a smeared eye closed. The sheet shows the people of the clips, so it must not be published.
Needs mediapipe.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from collect import EXPRESSION, expression
from PIL import Image
from scipy.spatial import ConvexHull
from torch import Tensor
from training_data import Faces

from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.face import FaceDetector
from fomm_cli.models.checkpoint import read_checkpoint
from fomm_cli.models.networks import Networks, load_networks
from fomm_cli.scoring.rubric import filled_polygon
from fomm_cli.training.perceptual import PerceptualNetwork, load_perceptual

SPREAD = 6  # frames of a clip beside the two extremes
GROWN = (1.7, 1.9)  # width and height of what counts as the head, by those of the landmarks' hull
BOXES = {
    "eyes": (33, 133, 159, 145, 362, 263, 386, 374),
    "mouth": (61, 291, 0, 17, 13, 14),
}
MARGIN = 0.25  # of a box's width, added on every side


@dataclass(frozen=True)
class Sample:
    """A frame to rebuild.

    Attributes:
        source: number of the clip's first frame in the cache.
        driving: number of the frame.
    """

    source: int
    driving: int


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table, and write the figures as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path, help="folder that collect.py wrote")
    parser.add_argument("perceptual", help=".safetensors that pack_training.py wrote")
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--people", type=int, help="measure only so many")
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--sheet", type=Path, help="image to write")
    arguments = parser.parse_args(argv)
    faces, perceptual = Faces.open(arguments.cache), load_perceptual(arguments.perceptual)
    chosen = samples(faces, arguments.people)
    figures, results = {"copy": measure(faces, chosen, copied(faces, chosen), perceptual)}, []
    for path in arguments.checkpoints:
        rebuilt = rebuild(_networks(path), faces, chosen)
        figures[str(path)] = measure(faces, chosen, rebuilt, perceptual)
        results.append(rebuilt)
    sys.stdout.write(table(figures))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=1))
    if arguments.sheet is not None:
        draw_sheet(faces, chosen, results, arguments.sheet)


def samples(faces: Faces, people: int | None) -> list[Sample]:
    """Choose frames from one clip of each held-out person; those that move the most are always among them."""
    chosen = []
    test = faces.of("test")
    for person in np.unique(faces.identities[test])[:people]:
        clip = faces.clips[test[faces.identities[test] == person]][0]
        frames = test[faces.clips[test] == clip]
        jaw, lids = (faces.expressions[frames, EXPRESSION.index(name)] for name in ("jaw", "lids"))
        spread = np.linspace(1, len(frames) - 1, SPREAD).astype(int)
        # extremes first, for the sheet
        picked = dict.fromkeys([int(jaw.argmax()), int(lids.argmax()), *map(int, spread)])
        chosen += [Sample(int(frames[0]), int(frames[index])) for index in picked if index]
    return chosen


def copied(faces: Faces, chosen: list[Sample]) -> np.ndarray:
    """Return the sources in place of results."""
    return np.stack([faces.frames[sample.source] for sample in chosen])


@torch.inference_mode()
def rebuild(networks: Networks, faces: Faces, chosen: list[Sample]) -> np.ndarray:
    """Rebuild the frames, uint8 (N, 256, 256, 3)."""
    results = []
    for sample in chosen:
        source, driving = (faces.images(np.array([number])) for number in (sample.source, sample.driving))
        frame = networks.generator(source, networks.kp_detector(source), networks.kp_detector(driving))
        results.append((frame[0].permute(1, 2, 0) * 255).round().byte().numpy())
    return np.stack(results)


def _networks(path: Path) -> Networks:
    checkpoint = read_checkpoint(path)
    if checkpoint.config is None:
        raise SystemExit(f"{path} holds no config")
    networks = load_networks(checkpoint, checkpoint.config)
    networks.prepare_inference(torch.device("cpu"))
    return networks


def measure(faces: Faces, chosen: list[Sample], results: np.ndarray, perceptual: PerceptualNetwork) -> dict[str, float]:
    """Compare results with the truth; distances in pixels, colours from 0 to 1."""
    rows: list[dict[str, float]] = []
    changes: list[tuple[np.ndarray, np.ndarray]] = []
    with open_detector("mediapipe", landmarks=True) as detector:
        for sample, result in zip(chosen, results, strict=True):
            rows.append(_compared(faces, sample, result, perceptual))
            found = _found(detector, result)
            if found is None:
                rows[-1]["no face"] = 1.0
                continue
            marks, shapes = found
            true = _pixels(faces.landmarks[sample.driving])
            rows[-1] |= {"no face": 0.0, "landmarks": float(np.linalg.norm(marks - true, axis=1).mean())}
            start = faces.expressions[sample.source]
            changes.append((shapes - start, faces.expressions[sample.driving] - start))
    names = dict.fromkeys(name for row in rows for name in row)
    figures = {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
    for name in ("eyes sharpness", "mouth sharpness"):
        figures[name] = float(np.exp(figures[name]))
    return figures | _slopes(changes)


def _slopes(changes: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Compare changes since the source with the true ones: slopes through zero, and correlations."""
    figures = {}
    for name in ("lids", "jaw"):
        index = EXPRESSION.index(name)
        ours, true = (np.array([pair[side][index] for pair in changes]) for side in (0, 1))
        figures[f"{name} slope"], figures[f"{name} r"] = fit_through_zero(ours, true)
    return figures


def fit_through_zero(ours: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Fit a line through zero; returns its slope and the correlation, zero where ours never change."""
    slope = float(ours @ true / (true @ true))
    return slope, float(np.corrcoef(ours, true)[0, 1]) if ours.std() > 0 else 0.0


def _found(detector: FaceDetector, result: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    face = next(iter(detector.detect(result)), None)
    if face is None or face.landmarks is None:
        return None
    return np.asarray(face.landmarks), np.array(expression(face))


def _pixels(landmarks: Tensor) -> np.ndarray:
    """Convert landmarks in [-1, 1] to pixels as MediaPipe counts them."""
    return ((landmarks + 1) * 255 / 2 + 0.5).numpy()


def _compared(faces: Faces, sample: Sample, result: np.ndarray, perceptual: PerceptualNetwork) -> dict[str, float]:
    true = faces.frames[sample.driving].astype(np.float32) / 255
    ours = result.astype(np.float32) / 255
    marks, before = (_pixels(faces.landmarks[number]) for number in (sample.driving, sample.source))
    difference = np.abs(ours - true).mean(2)
    row = {"L1": float(difference.mean())}
    outside, face = ~(head_box(marks) | head_box(before)), convex_hull(marks)
    row["face"], row["around the face"] = float(difference[face].mean()), float(difference[~face & ~outside].mean())
    if outside.any():
        row["background"] = float(difference[outside].mean())
    for name, numbers in BOXES.items():
        box = _box(marks[list(numbers)])
        row[f"{name} L1"] = float(difference[box].mean())
        row[f"{name} sharpness"] = float(np.log(_energy(ours[box]) / _energy(true[box])))
        if name == "mouth":
            row["mouth features"] = _feature_distance(perceptual, ours[box], true[box])
    return row


@torch.inference_mode()
def _feature_distance(perceptual: PerceptualNetwork, ours: np.ndarray, true: np.ndarray) -> float:
    """Return the distance of features relative to their size at 64 x 64 pixels, a mean over blocks."""
    both = torch.from_numpy(np.stack((ours, true))).permute(0, 3, 1, 2)
    features = perceptual(F.interpolate(both, size=(64, 64), mode="bilinear", align_corners=False))
    shares = [(block[0] - block[1]).abs().mean() / block[1].abs().mean() for block in features]
    return float(torch.stack(shares).mean())


def _energy(image: np.ndarray) -> float:
    """Return the mean squared gradient."""
    grey = image.mean(2)
    return float(np.square(np.diff(grey, axis=0)).mean() + np.square(np.diff(grey, axis=1)).mean() + 1e-6)


def head_box(marks: np.ndarray) -> np.ndarray:
    """Return a mask of the head, the grown box of the landmarks, boolean (256, 256)."""
    low, high = marks.min(0), marks.max(0)
    centre, half = (low + high) / 2, (high - low) / 2 * np.array(GROWN)
    rows, columns = np.mgrid[:256, :256]
    inside: np.ndarray = (np.abs(columns - centre[0]) <= half[0]) & (np.abs(rows - centre[1]) <= half[1])
    return inside


def convex_hull(marks: np.ndarray) -> np.ndarray:
    """Return a mask of the landmarks' convex hull, boolean (256, 256)."""
    return filled_polygon(marks[ConvexHull(marks).vertices], (256, 256))


def _box(marks: np.ndarray) -> tuple[slice, slice]:
    """Return the box around landmarks with a margin, as slices of rows and columns."""
    margin = MARGIN * np.ptp(marks[:, 0])
    (left, top), (right, bottom) = np.clip((marks.min(0) - margin, marks.max(0) + margin), 0, 256).round().astype(int)
    return slice(top, max(bottom, top + 8)), slice(left, max(right, left + 8))


def table(figures: dict[str, dict[str, float]]) -> str:
    """Return a Markdown table, a row for each figure."""
    lines = ["| | " + " | ".join(Path(name).name for name in figures) + " |", "|-|" + "-|" * len(figures)]
    for name in dict.fromkeys(key for each in figures.values() for key in each):
        lines.append(
            f"| {name} | " + " | ".join(f"{each.get(name, float('nan')):.4f}" for each in figures.values()) + " |"
        )
    return "\n".join(lines) + "\n"


def draw_sheet(faces: Faces, chosen: list[Sample], results: list[np.ndarray], target: Path) -> None:
    """Draw a row for each person's two extremes: source, truth, then each result."""
    rows, seen = [], dict.fromkeys(sample.source for sample in chosen)
    for source in seen:
        for index in [index for index, sample in enumerate(chosen) if sample.source == source][:2]:
            frames = (faces.frames[source], faces.frames[chosen[index].driving], *(each[index] for each in results))
            rows.append(np.concatenate(frames, axis=1))
    Image.fromarray(np.concatenate(rows)).save(target)


if __name__ == "__main__":
    main()
