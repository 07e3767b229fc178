"""The small model in the package: what it promises, on people it never saw."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from conftest import REPOSITORY
from fomm_cli.animation.animator import Animator
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.media.video.reader import open_clip
from fomm_cli.models.bundled import bundled_checkpoint
from fomm_cli.models.checkpoint import read_checkpoint
from fomm_cli.training.dataset import find_videos, identity_of

PACKING = runpy.run_path(str(REPOSITORY / "recipes" / "mini-256" / "pack_training.py"))
TRAINING = REPOSITORY / "checkpoints" / "mini-256-training.safetensors"


def test_it_is_small() -> None:
    networks = read_checkpoint(bundled_checkpoint()).networks
    assert sum(tensor.numel() for weights in networks.values() for tensor in weights.values()) < 6e6
    assert bundled_checkpoint().stat().st_size < 12 * 2**20


def test_its_training_goes_on_from_the_same_weights() -> None:
    model, training = read_checkpoint(bundled_checkpoint()), read_checkpoint(TRAINING)
    assert TRAINING.stat().st_size < 15 * 2**20
    assert training.steps == model.steps
    assert training.config == model.config
    for name, weights in model.networks.items():
        assert all((training.networks[name][key] == tensor).all() for key, tensor in weights.items())


@pytest.mark.usefixtures("with_mediapipe", "one_thread")
def test_people_it_never_saw_move_as_they_should(shared: Path) -> None:
    clips = find_videos(shared / "faces" / "train")
    unseen = set(sorted({identity_of(clip) for clip in clips})[:: PACKING["HELD_OUT"]])
    animator = Animator.load(device="cpu")
    rows = []
    with open_detector("mediapipe", landmarks=True) as detector:
        for clip in [clip for clip in clips if identity_of(clip) in unseen][::6]:
            first, *later = [frame.image for frame in open_clip(clip, max_frames=100).frames()][::16]
            rebuilt = animator.animate(first, later, initial=first, adapt_scale=False)
            for true, ours in zip(later, rebuilt, strict=True):
                marks = [detector.detect(picture)[0].landmarks for picture in (true, ours, first)]
                rows.append([*(distance(true, other) for other in (ours, first)), *(
                    distance(marks[0], other) for other in marks[1:])])  # fmt: skip
    colours, copied_colours, landmarks, copied_landmarks = np.mean(rows, axis=0)
    assert colours < 0.65 * copied_colours
    assert landmarks < 0.5 * copied_landmarks


def distance(one: np.ndarray | None, other: np.ndarray | None) -> float:
    assert one is not None
    assert other is not None
    return float(np.abs(one.astype(float) - other).mean())
