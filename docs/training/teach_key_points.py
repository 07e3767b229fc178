"""Teach the key-point detector of the small model where a face's features are, before `fomm train` teaches the rest.

python docs/training/teach_key_points.py .faces docs/training/mini-128.yaml key_points.pth.tar --minutes 10

The paper finds key points without being told any, which takes days on a GPU. On a CPU we show the detector
MediaPipe's landmarks: a key point is the mean of a few of them, its Jacobian the affine map that takes them from
their mean places in the data to the picture. Needs mediapipe.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fomm_cli.config import TransformParams, load_config
from fomm_cli.faces.finder import open_finder
from fomm_cli.media.image import read_image
from fomm_cli.media.resize import fit_frame
from fomm_cli.media.video_reader import open_clip
from fomm_cli.models.networks import Networks
from fomm_cli.training.dataset import PICTURE_SUFFIXES, find_videos
from fomm_cli.training.transform import Warp

logger = logging.getLogger("teach")

SIDE = 256
FRAMES_A_CLIP = 36

# landmarks by their numbers in MediaPipe's face mesh, the person's right and left
EYES = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
)
IRISES = ((468, 469, 470, 471, 472), (473, 474, 475, 476, 477))
BROWS = ((70, 63, 105, 66, 107, 55, 65, 52, 53, 46), (300, 293, 334, 296, 336, 285, 295, 282, 283, 276))
NOSE = (1, 4, 5, 2, 98, 327, 195)
CORNERS = ((61, 185, 146, 76, 62, 57, 43), (291, 409, 375, 306, 292, 287, 273))
UPPER_LIP = (0, 37, 39, 267, 269, 13, 82, 81, 312, 311)
LOWER_LIP = (17, 84, 181, 314, 405, 14, 87, 178, 317, 402)
CHIN = (152, 148, 176, 377, 400, 175, 199)
JAWS = ((172, 136, 150, 58, 132, 215), (397, 365, 379, 288, 361, 435))
FOREHEAD = (10, 109, 338, 67, 297, 151, 108, 337)


@dataclass(frozen=True)
class Feature:
    """A key point.

    Attributes:
        place: the landmarks whose mean it is.
        shape: those whose affine map is its Jacobian.
        mirror: its number in the mirrored face.
        rigid: how much the whole face counts beside `shape` in the affine map.
    """

    place: tuple[int, ...]
    shape: tuple[int, ...]
    mirror: int
    rigid: float = 0.3


FEATURES = (
    Feature(IRISES[0], EYES[0], 1, rigid=0.02),  # the place tells the gaze, the Jacobian how open the eye is
    Feature(IRISES[1], EYES[1], 0, rigid=0.02),
    Feature(BROWS[0], BROWS[0], 3),
    Feature(BROWS[1], BROWS[1], 2),
    Feature(NOSE, NOSE, 4),
    Feature(CORNERS[0], CORNERS[0], 6),
    Feature(CORNERS[1], CORNERS[1], 5),
    Feature(UPPER_LIP, UPPER_LIP, 7, rigid=0.1),
    Feature(LOWER_LIP, LOWER_LIP, 8, rigid=0.1),
    Feature(CHIN, CHIN, 9),
    Feature(JAWS[0], JAWS[0], 11),
    Feature(JAWS[1], JAWS[1], 10),
    Feature(FOREHEAD, FOREHEAD, 12),
)
MIRROR = [feature.mirror for feature in FEATURES]


def main() -> None:
    """Collect landmarks, teach, write a checkpoint of the whole (otherwise untrained) model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that pack_training.py wrote")
    parser.add_argument("config", help="of the model")
    parser.add_argument("target", type=Path, help=".pth.tar to write")
    parser.add_argument("--minutes", type=float, default=10, help="of training")
    parser.add_argument("--cache", type=Path, default=Path("landmarks.npz"), help="keeps what MediaPipe found")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    if not arguments.cache.exists():
        collect(arguments.data, arguments.cache)
    with np.load(arguments.cache) as data:
        frames, landmarks, held_out = data["frames"], data["landmarks"], data["held_out"]
    value, jacobian = targets(landmarks)
    config = load_config(arguments.config)
    torch.manual_seed(0)
    networks = Networks.build(config)
    teach(networks, frames, value, jacobian, held_out, arguments.minutes)
    state = {name: network.state_dict() for name, network in networks.parts().items()}
    torch.save({**state, "config": config.model_dump_json()}, arguments.target)


def collect(folder: Path, cache: Path) -> None:
    """Frames of every clip and all stills with a face: uint8 (N, 256, 256, 3), landmarks (N, 478, 2) in [-1, 1]."""
    frames, landmarks, held_out = [], [], []
    with open_finder("mediapipe", landmarks=True) as finder:
        for part in ("train", "test", "stills"):
            for path in find_videos(folder / part):
                for picture in _some_frames(path):
                    faces = finder.find(picture)
                    if faces and faces[0].landmarks is not None:
                        frames.append(picture)
                        landmarks.append(2 * (faces[0].landmarks - 0.5) / (SIDE - 1) - 1)
                        held_out.append(part == "test")
            logger.info("%s: %d faces so far", part, len(frames))
    np.savez(cache, frames=np.stack(frames), landmarks=np.stack(landmarks).astype(np.float32), held_out=held_out)


def _some_frames(path: Path) -> list[np.ndarray]:
    if path.suffix in PICTURE_SUFFIXES:
        return [fit_frame(read_image(path), (SIDE, SIDE), "stretch")]
    frames = [fit_frame(frame.image, (SIDE, SIDE), "stretch") for frame in open_clip(path).frames()]
    return [frames[index] for index in np.unique(np.linspace(0, len(frames) - 1, FRAMES_A_CLIP).astype(int))]


def targets(landmarks: np.ndarray) -> tuple[Tensor, Tensor]:
    """Key points (N, K, 2) and Jacobians (N, K, 2, 2) out of landmarks (N, 478, 2)."""
    marks = torch.from_numpy(landmarks)
    mean = marks.mean(0)  # (478, 2): the reference frame of the Jacobians
    face = sorted({mark for feature in FEATURES for mark in feature.shape})
    values, jacobians = [], []
    for feature in FEATURES:
        values.append(marks[:, list(feature.place)].mean(1))
        near, near_mean = _centred(marks, feature.shape), _centred(mean[None], feature.shape)
        far, far_mean = _centred(marks, face), _centred(mean[None], face)
        # the whole face steadies the map where the landmarks nearby lie almost on a line
        weight = feature.rigid * near_mean.square().mean() / far_mean.square().mean()
        a = near_mean.mT @ near_mean / len(feature.shape) + weight * far_mean.mT @ far_mean / len(face)
        b = near_mean.mT @ near / len(feature.shape) + weight * far_mean.mT @ far / len(face)
        jacobians.append(torch.linalg.solve(a, b).mT)
    return torch.stack(values, 1), torch.stack(jacobians, 1)


def _centred(marks: Tensor, numbers: tuple[int, ...] | list[int]) -> Tensor:
    chosen = marks[:, list(numbers)]
    return chosen - chosen.mean(1, keepdim=True)


def teach(
    networks: Networks, frames: np.ndarray, value: Tensor, jacobian: Tensor, held_out: np.ndarray, minutes: float
) -> None:
    """Train the detector alone, in place."""
    detector = networks.kp_detector.train()
    optimizer = torch.optim.Adam(detector.parameters(), 1e-3, betas=(0.9, 0.999))
    seen, unseen = np.flatnonzero(~held_out), np.flatnonzero(held_out)[::11]
    random = torch.Generator().manual_seed(0)
    began, step, batch = time.monotonic(), 0, 24
    while (done := (time.monotonic() - began) / (60 * minutes)) < 1:
        optimizer.param_groups[0]["lr"] = 1e-3 * min(1, (step + 1) / 50) * max(0.02, 0.5 * (1 + math.cos(math.pi * done)))
        chosen = seen[torch.randint(len(seen), (batch,), generator=random).numpy()]
        pictures = torch.from_numpy(frames[chosen]).permute(0, 3, 1, 2).float() / 255
        pictures, wanted, wanted_jacobian = _augmented(pictures, value[chosen], jacobian[chosen], random)
        found = detector(pictures)
        assert found.jacobian is not None
        loss_value = (found.value - wanted).abs().mean()
        loss_jacobian = (found.jacobian - wanted_jacobian).abs().mean()
        optimizer.zero_grad(set_to_none=True)
        (10 * loss_value + 2 * loss_jacobian).backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 10)
        optimizer.step()
        step += 1
        if step % 50 == 0:
            _report(networks, frames, value, jacobian, unseen, step, time.monotonic() - began)
    _report(networks, frames, value, jacobian, unseen, step, time.monotonic() - began)
    detector.eval()


@torch.no_grad()
def _report(
    networks: Networks, frames: np.ndarray, value: Tensor, jacobian: Tensor, unseen: np.ndarray, step: int, seconds: float
) -> None:
    detector = networks.kp_detector.eval()
    pixels, shapes = [], []
    for chosen in np.array_split(unseen, max(1, len(unseen) // 32)):
        found = detector(torch.from_numpy(frames[chosen]).permute(0, 3, 1, 2).float() / 255)
        assert found.jacobian is not None
        pixels.append((found.value - value[chosen]).norm(dim=-1) * SIDE / 2)
        shapes.append((found.jacobian - jacobian[chosen]).abs().mean((-1, -2)))
    detector.train()
    distance = torch.cat(pixels).mean(0)
    logger.info(
        "step %d, %.0f s: %.2f pixels and %.3f off on unseen people; by key point %s",
        *(step, seconds, distance.mean(), torch.cat(shapes).mean()),
        " ".join(f"{each:.1f}" for each in distance),
    )


def _augmented(
    pictures: Tensor, value: Tensor, jacobian: Tensor, random: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Mirror half of them, then scale, turn and move all, then change their colours."""
    count = len(pictures)
    mirrored = torch.rand(count, generator=random) < 0.5
    pictures = torch.where(mirrored[:, None, None, None], pictures.flip(3), pictures)
    across = torch.tensor([-1.0, 1.0])
    value = torch.where(mirrored[:, None, None], value[:, MIRROR] * across, value)
    turned = jacobian[:, MIRROR] * across[:, None] * across  # mirrored before and after
    jacobian = torch.where(mirrored[:, None, None, None], turned, jacobian)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=random)

    angle, scale, squeeze = uniform(-0.3, 0.3), uniform(0.75, 1.25), uniform(0.93, 1.07)
    linear = torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos()), -1).view(count, 2, 2)
    linear = linear * (scale[:, None] * torch.stack((squeeze, 1 / squeeze), -1))[:, None]
    shift = torch.stack((uniform(-0.2, 0.2), uniform(-0.2, 0.2)), -1)
    inverse = torch.linalg.inv(linear)
    affine = torch.cat((inverse, -(inverse @ shift[..., None])), -1)
    grid = F.affine_grid(affine, list(pictures.shape), align_corners=True)
    pictures = F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=True)
    value = (linear[:, None] @ value[..., None])[..., 0] + shift[:, None]
    jacobian = linear[:, None] @ jacobian
    gain, lift = uniform(0.7, 1.3), uniform(-0.1, 0.1)
    tint = 1 + 0.1 * (torch.rand(count, 3, generator=random) - 0.5)
    pictures = (pictures * (gain[:, None] * tint)[..., None, None] + lift[:, None, None, None]).clamp(0, 1)
    return pictures, value, jacobian


if __name__ == "__main__":
    main()
