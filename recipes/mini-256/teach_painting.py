r"""Teach the small model to paint, after teach_motion.py and before `fomm train` goes on at full size.

torchrun --nproc_per_node 2 recipes/mini-256/teach_painting.py \
    .faces recipes/mini-256/mini-128.yaml in.pth.tar out.pth.tar

As `fomm train`, but the landmarks go on telling where the flow has to lead, and eyes and mouths count more than the
rest of an image: they are small, and what one looks at. The keypoints stand still. Processes share the gradients.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from teach_motion import (
    Data,
    Partners,
    descend,
    expressions,
    flow_errors,
    moved,
    opened_data,
    report_motion,
    steps,
    write_checkpoint,
)
from torch import Tensor

from fomm_cli.config.reading import load_config
from fomm_cli.keypoints import KeyPoints
from fomm_cli.models.checkpoint import read_checkpoint
from fomm_cli.models.coordinates import gaussian_heatmaps
from fomm_cli.models.networks import Networks, load_networks
from fomm_cli.training.perceptual import PerceptualNetwork, load_perceptual

logger = logging.getLogger("teach")

LEARNING_RATE = 8e-4
GRADIENT_LIMIT = 1000.0
PAIRS = 8  # in a step of each process
STILL = 0.7  # share of the pairs that are not moved
LOOKED_AT = (468, 473, 13, 14, 61, 291)  # landmarks: irises, lips, corners of the mouth
WEIGHTS = (1, 1.5, 3, 6)  # of the perceptual network's blocks


def main() -> None:
    """Train, and write a checkpoint of the whole model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that pack_training.py wrote")
    parser.add_argument("config", help="of the model, for frames of 128 x 128 pixels")
    parser.add_argument("checkpoint", type=Path, help="to go on from")
    parser.add_argument("target", type=Path, help=".pth.tar to write")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--cache", type=Path, default=Path("landmarks.npz"), help="that teach_motion.py wrote")
    arguments = parser.parse_args()
    if "RANK" in os.environ:
        dist.init_process_group("gloo")
    leading = not dist.is_initialized() or dist.get_rank() == 0
    logging.basicConfig(level=logging.INFO if leading else logging.ERROR, format="%(message)s", stream=sys.stdout)
    config = load_config(arguments.config)
    networks = load_networks(read_checkpoint(arguments.checkpoint), config)
    perceptual = load_perceptual(str(arguments.data / "perceptual.safetensors"))
    teach_painting(networks, opened_data(arguments.cache), perceptual, arguments.minutes)
    if leading:
        write_checkpoint(networks, config, arguments.target)


def teach_painting(networks: Networks, data: Data, perceptual: PerceptualNetwork, minutes: float) -> None:
    """Train the generator, dense-motion network included, in place; it is left in evaluation mode."""
    generator = networks.generator
    networks.kp_detector.eval().requires_grad_(False)
    perceptual.requires_grad_(False)
    optimizer = torch.optim.Adam(generator.parameters(), LEARNING_RATE, betas=(0.5, 0.999))
    random = torch.Generator().manual_seed(dist.get_rank() if dist.is_initialized() else 0)
    partners = Partners(data)
    often = 0.5 + expressions(data.landmarks[partners.seen])
    fixed = partners.pairs(np.flatnonzero(data.held_out)[::13], torch.Generator().manual_seed(2))
    for step, seconds, _ in steps(optimizer, LEARNING_RATE, minutes):
        chosen = partners.seen[torch.multinomial(often, PAIRS, generator=random).numpy()]
        both = np.concatenate(partners.pairs(chosen, random))
        still = torch.rand(PAIRS, generator=random).repeat(2) < STILL
        images, move = moved(data.images(both), random, still=still)
        marks = move.points(data.landmarks[both])
        generator.train()
        descend(optimizer, _loss(networks, perceptual, images, marks), GRADIENT_LIMIT)
        if step % 50 == 0:
            report_motion(networks, data, fixed, step, seconds)
            _report_painting(networks, data, fixed)
    generator.eval()


def _loss(networks: Networks, perceptual: PerceptualNetwork, images: Tensor, marks: Tensor) -> Tensor:
    generator, half = networks.generator, len(images) // 2
    source, driving = images[:half], images[half:]
    with torch.no_grad():
        found: KeyPoints = networks.kp_detector(images)
        wanted = perceptual(F.avg_pool2d(driving, 2))
    encoded = generator.encode(source)
    motion = generator.motion(encoded, found[:half], found[half:])
    painted = generator.decode(encoded, motion)
    colours = ((painted - driving).abs() * _interest(marks[half:], driving)).mean()
    features = zip(WEIGHTS, perceptual(F.avg_pool2d(painted, 2)), wanted, strict=False)
    likeness = torch.stack([weight * F.l1_loss(one, other) for weight, one, other in features]).sum()
    errors = flow_errors(motion.deformation.permute(0, 3, 1, 2), images, marks)
    return 500 * colours + likeness + 800 * errors.landmarks + 1200 * errors.gaps


def _interest(marks: Tensor, like: Tensor) -> Tensor:
    """Return the weight of each pixel, (B, 1, H, W): eyes and mouth count five times."""
    places = gaussian_heatmaps(marks[:, list(LOOKED_AT)], like.shape[2], like.shape[3], variance=0.006)
    return 1 + 4 * places.amax(1, keepdim=True)


@torch.no_grad()
def _report_painting(networks: Networks, data: Data, pairs: tuple[np.ndarray, np.ndarray]) -> None:
    generator = networks.generator.eval()
    rows = []
    for source, driving in zip(*(part[::4] for part in pairs), strict=True):
        image, wanted = (data.images(np.array([number])) for number in (source, driving))
        encoded = generator.encode(image)
        motion = generator.motion(encoded, networks.kp_detector(image), networks.kp_detector(wanted))
        results = (generator.decode(encoded, motion), generator.warp(image, motion), image)
        rows.append([float((result - wanted).abs().mean()) for result in results])
    painted, warped, copied = np.mean(rows, axis=0)
    logger.info("painting: L1 %.4f, warped %.4f, copied %.4f, ratio %.3f", painted, warped, copied, painted / copied)


if __name__ == "__main__":
    main()
