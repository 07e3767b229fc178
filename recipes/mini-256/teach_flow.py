"""Teach keypoints and flow together on whole frames, with optical flow as the teacher; nothing is decoded.

torchrun --nproc_per_node 2 recipes/mini-256/teach_flow.py cache wider.pth.tar flow.pth.tar --minutes 60

Landmarks tell nothing of hair, neck and shoulders. There OpenCV's optical flow (DIS) between driving frame and source
tells where every pixel comes from; it is believed where it agrees with the flow the other way. The loose keypoints,
which no landmark leads, learn what of it they can tell. The occlusion map is held to that of the checkpoint, since the
decoder is used to it. `flow.pth.tar` is replaced every few minutes, and a killed run can go on from it.
"""

from __future__ import annotations

import argparse
import copy
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from pairs import Batch, Pairs, ahead
from teach_motion import (
    FULL_SIDE,
    GRADIENT_LIMIT,
    Move,
    descend,
    flow_errors,
    inequivariance,
    mirrored_keypoints,
    misplaced,
    moved,
    steps,
    targets,
    tinted,
)
from teach_windows import follow, swapped_keypoints, unchanged
from torch import Tensor
from training_data import Faces
from widen import write_checkpoint

from fomm_cli.config.schema import Config
from fomm_cli.keypoints import KeyPoints
from fomm_cli.models.checkpoint import read_checkpoint
from fomm_cli.models.coordinates import coordinate_grid
from fomm_cli.models.networks import Networks, load_networks

logger = logging.getLogger("teach")

PAIRS, STILLS = 6, 0.3  # of a step and process; share of the steps in which one is a portrait and its moved copy
RATE = 7e-4
DECAY = 0.99  # of the moving average
SAVE_SECONDS, LOG_STEPS = 180, 25
ASTRAY, LANDMARKS, GAPS, COLOURS, TAUGHT, MIXTURE, STILL, OCCLUSION = 0.5, 20.0, 45.0, 12.0, 25.0, 1.0, 20.0, 2.0
FOLDED, LEAST_AREA = 1.0, 0.25  # Jacobians of smaller determinants, whose inverse is used, burst now and then
AGAIN = 4  # one frame in so many is shown a second time, moved
HELD = 4  # frames of a step whose occlusion map is compared with the checkpoint's
RIGHT, LEFT = 33, 263  # landmarks of the person's eyes
SPREAD = 0.016  # of the errors around a local motion, two pixels
DISAGREE = 1.5  # pixels by which optical flow there and back may end beside its start, and be believed


def main(argv: Sequence[str] | None = None) -> None:
    """Train for a time and write the whole model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path, help="folder that collect.py wrote")
    parser.add_argument("checkpoint", type=Path, help="to start from; holds its config")
    parser.add_argument("target", type=Path, help=".pth.tar to write")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    if dist.is_torchelastic_launched():
        dist.init_process_group("gloo")
    cv2.setNumThreads(1)
    checkpoint = read_checkpoint(arguments.checkpoint)
    if checkpoint.config is None:
        parser.error("the checkpoint must hold its config")
    networks, device = load_networks(checkpoint, checkpoint.config), torch.device(arguments.device)
    teach(networks, Faces.open(arguments.cache), checkpoint.config, arguments.target, arguments.minutes, device)


@dataclass(frozen=True)
class Taught:
    """Pairs of frames with what the networks are to find in them.

    Attributes:
        batch: the frames, 2 B.
        again: some of them a second time, moved and tinted, one in `AGAIN`.
        move: how those were moved.
        keypoints: of the frames, then of those moved.
        flow: from the driving frame of each frame to it, in coordinates of [-1, 1], shape (2 B, 2, 128, 128).
        believed: 1 where the flow agrees with that of the other direction, shape (2 B, 1, 128, 128).
    """

    batch: Batch
    again: Tensor
    move: Move
    keypoints: KeyPoints
    flow: Tensor
    believed: Tensor

    def to(self, device: torch.device) -> Taught:
        """Copy it to a device."""
        points = self.keypoints
        return Taught(
            Batch(self.batch.images.to(device), self.batch.landmarks.to(device)),
            self.again.to(device),
            Move(self.move.linear.to(device), self.move.shift.to(device)),
            KeyPoints(points.value.to(device), None if points.jacobian is None else points.jacobian.to(device)),
            self.flow.to(device),
            self.believed.to(device),
        )


def teach(networks: Networks, faces: Faces, config: Config, target: Path, minutes: float, device: torch.device) -> None:
    """Train detector and dense motion, in place, and write the moving average of the weights."""
    rank = dist.get_rank() if dist.is_initialized() else 0
    for part in networks.parts().values():
        part.eval().to(device)
    before, average = copy.deepcopy(networks), copy.deepcopy(networks)
    networks.generator.requires_grad_(False)
    dense_motion = networks.generator.dense_motion_network.requires_grad_(True)
    optimizer = torch.optim.Adam([*networks.kp_detector.parameters(), *dense_motion.parameters()], RATE)
    batches = _ahead(Pairs(faces, seed=rank), faces.landmarks.mean(0))
    saved = time.monotonic()
    sums: dict[str, float] = {}
    for (step, seconds, _), taught in zip(steps(optimizer, RATE, minutes), batches, strict=False):
        losses = _losses(networks, before, taught.to(device))
        descend(optimizer, torch.stack(list(losses.values())).sum(), GRADIENT_LIMIT)
        for name, part in networks.parts().items():
            follow(average.parts()[name].state_dict(), part, min(DECAY, step / (step + 10)))
        sums = {name: sums.get(name, 0.0) + value.item() for name, value in losses.items()}
        if step % LOG_STEPS == 0:
            means = " ".join(f"{name} {value / LOG_STEPS:.3f}" for name, value in sums.items())
            logger.info("step %d, %.0f s: %s", step, seconds, means)
            sums = {}
        if not rank and time.monotonic() - saved > SAVE_SECONDS:
            write_checkpoint(average, config, target)
            saved = time.monotonic()
    if not rank:
        write_checkpoint(average, config, target)


def _ahead(draw: Pairs, mean: Tensor) -> Iterator[Taught]:
    """Prepare each batch while the one before is learnt from."""
    optical = cv2.DISOpticalFlow.create(cv2.DISOpticalFlow_PRESET_MEDIUM)
    numbers, random = np.random.default_rng(draw.seed), torch.Generator().manual_seed(draw.seed)

    def next_batch() -> Taught:
        stills = int(numbers.random() < STILLS)
        batch = draw.draw(PAIRS - stills, stills)
        again, move = moved(tinted(batch.images[::AGAIN], random), random)
        told = keypoints(batch.landmarks, mean)
        told = KeyPoints.joined([told, move.keypoints(told[::AGAIN])])
        return Taught(batch, again, move, told, *optical_flow(optical, batch.images))

    return ahead(next_batch, lambda: True)


def optical_flow(optical: cv2.DISOpticalFlow, images: Tensor) -> tuple[Tensor, Tensor]:
    """Find where the pixels of each frame's partner come from, and whether to believe it; see `Taught`."""
    grey = (images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    grey = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in np.ascontiguousarray(grey)])
    shifts = torch.from_numpy(
        np.stack(
            [
                optical.calc(grey[index ^ 1], grey[index], np.zeros((*grey.shape[1:], 2), np.float32))
                for index in range(len(grey))
            ]
        )
    ).permute(0, 3, 1, 2)  # pixels, (2 B, 2, 256, 256)
    grid = coordinate_grid(FULL_SIDE, FULL_SIDE, shifts)
    flow = grid + shifts.permute(0, 2, 3, 1) * (2 / (FULL_SIDE - 1))
    order = torch.arange(len(images)) ^ 1
    back = F.grid_sample(shifts[order], flow, padding_mode="border", align_corners=True)
    believed = ((shifts + back).norm(dim=1, keepdim=True) < DISAGREE + 0.05 * shifts.norm(dim=1, keepdim=True)).float()
    small = F.interpolate(flow.permute(0, 3, 1, 2), size=FULL_SIDE // 2, mode="bilinear", align_corners=True)
    return small, F.interpolate(believed, size=FULL_SIDE // 2, mode="nearest")


def _losses(networks: Networks, before: Networks, taught: Taught) -> dict[str, Tensor]:
    """Return the weighted losses of keypoints, flow and occlusion map."""
    sources, driving = taught.batch, taught.batch.swapped()
    count = len(sources.images)
    with torch.no_grad():
        thumbnails = before.generator.dense_motion_network.down(sources.images)
        occlusion = _occlusion(before, thumbnails[:HELD], sources.images[:HELD])
    found = networks.kp_detector.train()(torch.cat((sources.images, taught.again)))
    network = networks.generator.dense_motion_network.train()
    motions, inputs = network.candidates(thumbnails, found[:count], swapped_keypoints(found[:count]))
    motion = network.combine(motions, network.estimate(inputs))
    flow = motion.deformation.permute(0, 3, 1, 2)
    small = [F.avg_pool2d(batch.images, 2) for batch in (sources, driving)]
    errors = flow_errors(flow, torch.cat(small), torch.cat((sources.landmarks, driving.landmarks)))
    still = unchanged(small[0], small[1], flow.shape[2])
    identity = coordinate_grid(flow.shape[2], flow.shape[3], flow).permute(2, 0, 1)
    believed = taught.believed * (1 - still)
    off = ((flow - taught.flow).square().sum(1, keepdim=True) + 1e-6).sqrt()
    return {
        "astray": ASTRAY * misplaced(found, taught.keypoints, guidance=0.0),
        "unsteady": inequivariance(found[count:], taught.move.keypoints(found[:count][::AGAIN])),
        "folded": FOLDED * F.relu(LEAST_AREA - torch.linalg.det(found.jacobian)).sum(1).mean(),
        "landmarks": LANDMARKS * errors.landmarks,
        "gaps": GAPS * errors.gaps,
        "colours": COLOURS * errors.colours,
        "taught": TAUGHT * (off * believed).mean(),
        "mixture": MIXTURE * surprise(motions, motion.mask, taught.flow, believed),
        "still": STILL * ((flow - identity).abs() * still).mean(),
        "occlusion": OCCLUSION * (motion.occlusion_map[:HELD] - occlusion).abs().mean(),
    }


def keypoints(landmarks: Tensor, mean: Tensor) -> KeyPoints:
    """Compute the keypoints of frames that may be mirrored, whose landmarks then kept their numbers."""
    across = torch.tensor([-1.0, 1.0])
    flipped = landmarks[:, RIGHT, 0] > landmarks[:, LEFT, 0]
    told = targets(torch.where(flipped[:, None, None], landmarks * across, landmarks), mean)
    return mirrored_keypoints(KeyPoints(*told), flipped)


def surprise(motions: Tensor, mask: Tensor, flow: Tensor, believed: Tensor) -> Tensor:
    """Return how unlikely a flow is where each pixel follows one of the local motions.

    The mask holds the probabilities of the motions, and errors around a motion have Laplace's distribution. Unlike the
    distance from the mean of all motions, this tells each motion, and so its keypoint, which pixels are its own.

    Args:
        motions: local motions, shape (B, K + 1, h, w, 2).
        mask: share of each, shape (B, K + 1, h, w).
        flow: shape (B, 2, H, W).
        believed: weights, shape (B, 1, H, W).
    """
    size = mask.shape[2:]
    flow = F.interpolate(flow, size=size, mode="bilinear", align_corners=True).permute(0, 2, 3, 1)[:, None]
    off = (motions - flow).abs().sum(-1)  # (B, K + 1, h, w)
    likely = torch.logsumexp((mask + 1e-4).log() - off / SPREAD, dim=1, keepdim=True)
    return -(likely * F.interpolate(believed, size=size, mode="nearest")).mean()


def _occlusion(networks: Networks, thumbnails: Tensor, sources: Tensor) -> Tensor:
    """Predict the occlusion maps of frames (B, 3, H, W) that are each other's driving frames."""
    found = networks.kp_detector(sources)
    motion = networks.generator.dense_motion_network(thumbnails, found, swapped_keypoints(found))
    occlusion: Tensor = motion.occlusion_map
    return occlusion


if __name__ == "__main__":
    main()
