"""Train the keypoint detector further on where a face's features are, at 256 x 256 pixels.

python recipes/mini-256/teach_detector.py cache wider.pth.tar detector.pth.tar --minutes 12 \
    --teacher checkpoints/mini-256-training.safetensors

The landmarks tell 13 keypoints where to be. The loose ones stay where the weights that the generator has learnt with
(`--teacher`) find them.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from teach_motion import FEATURES, GRADIENT_LIMIT, descend, mirrored, misplaced, moved, steps, targets, tinted
from torch import Tensor
from training_data import Faces
from widen import write_checkpoint

from fomm_cli.keypoints import KeyPoints
from fomm_cli.models.checkpoint import read_checkpoint
from fomm_cli.models.keypoint_detector import KPDetector
from fomm_cli.models.networks import load_networks

logger = logging.getLogger("teach")

LEARNING_RATE = 1e-3
FRAMES = 32  # in a step
STEADY = 1.0  # weight of a loose keypoint


def main(argv: Sequence[str] | None = None) -> None:
    """Train the detector of a checkpoint and write the whole model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path, help="folder that collect.py wrote")
    parser.add_argument("checkpoint", type=Path, help="to go on from; holds its config")
    parser.add_argument("target", type=Path, help=".pth.tar to write")
    parser.add_argument("--teacher", type=Path, required=True, help="checkpoint whose loose keypoints to keep")
    parser.add_argument("--minutes", type=float, default=12)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    faces = Faces.open(arguments.cache)
    checkpoint, teacher = read_checkpoint(arguments.checkpoint), read_checkpoint(arguments.teacher)
    if checkpoint.config is None or teacher.config is None:
        parser.error("both checkpoints must hold their config")
    wanted = wanted_keypoints(faces, load_networks(teacher, teacher.config).kp_detector)
    networks = load_networks(checkpoint, checkpoint.config)
    teach(networks.kp_detector, faces, wanted, arguments.minutes)
    write_checkpoint(networks, checkpoint.config, arguments.target)


@torch.no_grad()
def wanted_keypoints(faces: Faces, teacher: KPDetector) -> KeyPoints:
    """Return the wanted keypoints of every frame: from the landmarks, and the loose ones from the teacher."""
    value, jacobian = targets(faces.landmarks, faces.landmarks.mean(0))
    teacher.eval()
    parts = np.array_split(np.arange(len(value)), max(1, len(value) // 64))
    found = KeyPoints.joined([teacher(faces.images(part)) for part in parts])
    loose = slice(len(FEATURES), None)
    value[:, loose] = found.value[:, loose]
    jacobian[:, loose] = found.jacobian[:, loose] if found.jacobian is not None else jacobian[:, loose]
    return KeyPoints(value, jacobian)


def teach(detector: KPDetector, faces: Faces, wanted: KeyPoints, minutes: float) -> None:
    """Train a detector in place; it is left in evaluation mode."""
    optimizer = torch.optim.Adam(detector.parameters(), LEARNING_RATE)
    seen = np.concatenate((faces.of("train"), faces.of("stills")))
    unseen = faces.of("test")[::7]
    random = torch.Generator().manual_seed(0)
    often = faces.rarity(seen)
    report(detector, faces, wanted, unseen, "before")
    for step, seconds, _ in steps(optimizer, LEARNING_RATE, minutes):
        chosen = seen[torch.multinomial(often, FRAMES, replacement=True, generator=random).numpy()]
        images, told = mirrored(faces.images(chosen), keypoints_at(wanted, chosen), random)
        images, move = moved(tinted(images, random), random)
        descend(optimizer, misplaced(detector.train()(images), move.keypoints(told), guidance=STEADY), GRADIENT_LIMIT)
        if step % 200 == 0:
            report(detector, faces, wanted, unseen, f"step {step}, {seconds:.0f} s")
    report(detector, faces, wanted, unseen, "after")
    detector.eval()


def keypoints_at(points: KeyPoints, chosen: np.ndarray) -> KeyPoints:
    """Pick keypoints by the numbers of their frames."""
    return KeyPoints(points.value[chosen], None if points.jacobian is None else points.jacobian[chosen])


@torch.no_grad()
def report(detector: KPDetector, faces: Faces, wanted: KeyPoints, chosen: np.ndarray, when: str) -> None:
    """Log the mean distance in pixels on unseen people, and how the heights of eyes and lips follow the truth."""
    detector.eval()
    parts = np.array_split(chosen, max(1, len(chosen) // 32))
    found, told = KeyPoints.joined([detector(faces.images(part)) for part in parts]), keypoints_at(wanted, chosen)
    distance = (found.value - told.value).norm(dim=-1).mean(0) * 255 / 2
    heights = [_fit(*_heights(found, told, slice(first, first + 2), faces.clips[chosen])) for first in (0, 7)]
    logger.info(
        "%s: %.2f pixels off (%.2f of the taught); heights of eyes: slope %.2f, r %.2f; of lips: %.2f, %.2f",
        *(when, distance.mean(), distance[: len(FEATURES)].mean(), *heights[0], *heights[1]),
    )


def _heights(found: KeyPoints, told: KeyPoints, which: slice, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far heights in Jacobians depart from their mean in the clip: detected, and true."""
    numbers = np.unique(clips, return_inverse=True)[1]
    both = []
    for points in (found, told):
        jacobian: Tensor = points.jacobian if points.jacobian is not None else torch.empty(0)
        heights = jacobian[:, which, 1, 1].mean(1).numpy()
        both.append(heights - (np.bincount(numbers, heights) / np.bincount(numbers))[numbers])
    return both[0], both[1]


def _fit(found: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Return the slope through zero, and the correlation."""
    return float(found @ true / (true @ true)), float(np.corrcoef(found, true)[0, 1])


if __name__ == "__main__":
    main()
