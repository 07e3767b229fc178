"""Teach motion and painting at 256 x 256 pixels, with only windows around mouths and eyes decoded.

python recipes/mini-256/teach_windows.py cache perceptual.safetensors detector.pth.tar round --minutes 90

Encoders, motion and bottleneck see whole frames; the layers that cost the most see a mouth and a pair of eyes of each,
now and then any part. Sources and driving frames are drawn so that they differ (pairs.py), and either of a pair is the
other's source. Where both frames are equal the flow is to stand still. The keypoint detector is not trained here.

Writes into the folder `round`: state.pt, from which a killed run goes on, and model.pth.tar, the moving average of the
weights. Both are replaced every few minutes; --minutes counts the time of all runs together. On a CPU
that others use too one thread is the best: two wait for each other.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from pairs import Batch, Pairs, ahead
from patches import PatchDiscriminator, judged, matched, texture_difference
from teach_motion import agreed, average_gradients, flow_errors
from torch import Tensor, nn
from training_data import Faces
from widen import write_checkpoint
from windows import Kind, decode, place, prepare

from fomm_cli.config.schema import Config
from fomm_cli.keypoints import KeyPoints
from fomm_cli.models.checkpoint import read_checkpoint
from fomm_cli.models.coordinates import coordinate_grid
from fomm_cli.models.dense_motion import DenseMotion
from fomm_cli.models.generator import Generator
from fomm_cli.models.networks import Networks, load_networks
from fomm_cli.training.perceptual import PerceptualNetwork, load_perceptual

logger = logging.getLogger("teach")

SIDE = 256
PAIRS, STILLS = 4, 0.15  # pairs a step; share of the steps in which one of them is a portrait and its moved copy
RATE, NEW_RATE = 2e-4, 8e-4  # the higher one for layers that start from nothing
JUDGE_RATE = 5e-4  # of the discriminator; it does not fade, or it falls behind
NEW_LAYERS = ("guide", "hints", "hint_layers", "bottleneck.r4", "bottleneck.r5")
GRADIENT_LIMIT = 1000.0
ANYWHERE = 3  # one step in so many decodes any part instead of mouth and eyes
DECAY = 0.99  # of the moving average
SAVE_SECONDS = 240
LATE = 0.35  # share of the time after which mouths are masked and the discriminator joins
COLOURS, FLOW, GAPS, STILL, MASK = 500.0, 800.0, 1200.0, 1500.0, 8.0
BLOCKS = (1.0, 1.5, 3.0, 6.0)  # weights of the perceptual network's
EDGES = 500.0
ADVERSARIAL, MATCHING, TEXTURE = 6.0, 20.0, 600.0
EQUAL = 0.03  # colours that differ less count as the same
HIDDEN = 0.3  # the occlusion map inside a mouth that opens is to be no higher
OPENED = 0.04  # of the face's height, by which a mouth has to open to be masked
CLOSED = 0.02  # of the face's height; a source whose mouth is open wider shows teeth to take over
INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)


def main(argv: Sequence[str] | None = None) -> None:
    """Train for a time, or go on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path, help="folder that collect.py wrote")
    parser.add_argument("perceptual", help=".safetensors that pack_training.py wrote")
    parser.add_argument("checkpoint", type=Path, help="to start from; holds its config")
    parser.add_argument("target", type=Path, help="folder to write, or to go on with")
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--until", type=float, help="seconds since 1970 at which to stop; the rate fades towards it")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    checkpoint = read_checkpoint(arguments.checkpoint)
    if checkpoint.config is None:
        parser.error("the checkpoint must hold its config")
    networks = load_networks(checkpoint, checkpoint.config)
    if dist.is_torchelastic_launched():
        dist.init_process_group("gloo")
    run = Run.begin(networks, checkpoint.config, arguments.target, torch.device(arguments.device))
    likeness = Likeness(load_perceptual(arguments.perceptual)).to(run.device)
    minutes = arguments.minutes
    if arguments.until is not None:
        minutes = (arguments.until - time.time() + run.seconds) / 60
    teach(run, Faces.open(arguments.cache), likeness, minutes, arguments.pairs)


@dataclass
class Run:
    """A training that can be interrupted.

    Attributes:
        networks: what is trained; the detector only helps.
        config: of the networks.
        discriminator: of windows.
        average: moving average of the generator's weights.
        optimizers: of the generator and of the discriminator.
        folder: where it is kept.
        device: where it runs.
        step: steps done.
        seconds: time taken.
    """

    networks: Networks
    config: Config
    discriminator: PatchDiscriminator
    average: dict[str, Tensor]
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer]
    folder: Path
    device: torch.device
    step: int = 0
    seconds: float = 0.0

    @classmethod
    def begin(cls, networks: Networks, config: Config, folder: Path, device: torch.device) -> Run:
        """Start, or go on from what is kept in the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for network in networks.parts().values():
            network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        networks.kp_detector.requires_grad_(False)
        torch.manual_seed(0)
        discriminator = PatchDiscriminator().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizers = (
            torch.optim.Adam(_groups(networks.generator), RATE, betas=(0.5, 0.999)),
            torch.optim.Adam(discriminator.parameters(), JUDGE_RATE, betas=(0.5, 0.999)),
        )
        state = {key: value.clone() for key, value in networks.generator.state_dict().items()}
        run = cls(networks, config, discriminator, state, optimizers, folder, device)
        if (folder / "state.pt").exists():
            run._restore(torch.load(folder / "state.pt", map_location=device, weights_only=True))
        return run

    def _restore(self, state: dict[str, Any]) -> None:
        self.networks.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average = state["average"]
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.step, self.seconds = state["step"], state["seconds"]

    @property
    def halved(self) -> bool:
        """Whether to compute in bfloat16, which processors without it only emulate."""
        return self.device.type != "cpu" or torch.cpu.get_capabilities().get("avx512_bf16", False)

    def save(self) -> None:
        """Replace what is kept in the folder."""
        state = {
            "generator": self.networks.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "seconds": self.seconds,
        }
        torch.save(state, self.folder / "state.new")
        (self.folder / "state.new").replace(self.folder / "state.pt")
        current = {key: value.clone() for key, value in self.networks.generator.state_dict().items()}
        self.networks.generator.load_state_dict(self.average)
        write_checkpoint(self.networks, self.config, self.folder / "model.new")
        self.networks.generator.load_state_dict(current)
        (self.folder / "model.new").replace(self.folder / "model.pth.tar")

    def follow(self) -> None:
        """Let the moving average follow the weights."""
        share = min(DECAY, (self.step + 1) / (self.step + 10))
        follow(self.average, self.networks.generator, share)


@torch.no_grad()
def follow(average: dict[str, Tensor], network: nn.Module, share: float) -> None:
    """Let a moving average of a network's weights keep `share` of itself and take the rest from the network."""
    for key, value in network.state_dict().items():
        if value.is_floating_point():
            average[key].lerp_(value, 1 - share)


def _groups(generator: Generator) -> list[dict[str, Any]]:
    """Parameters for the optimizer: those of old layers, and those of new ones with a rate of their own."""
    named = dict(generator.named_parameters())
    new = [key for key in named if any(f"{layer}." in f"{key}." for layer in NEW_LAYERS)]
    return [
        {"params": [named[key] for key in named if key not in new], "rate": RATE},
        {"params": [named[key] for key in new], "rate": NEW_RATE},
    ]


class Likeness(nn.Module):
    """How far windows are from the truth: in a perceptual network's features at half size, in edges at full size."""

    def __init__(self, network: PerceptualNetwork) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)

    def forward(self, painted: Tensor, wanted: Tensor) -> Tensor:
        """Compare RGB in [0, 1], (B, 3, H, W) each."""
        with torch.no_grad():
            told = self.network(F.avg_pool2d(wanted, 2))
        found = self.network(F.avg_pool2d(painted, 2))
        features = [w * F.l1_loss(a.float(), b.float()) for w, a, b in zip(BLOCKS, found, told, strict=True)]
        difference = painted - wanted
        edges = difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()
        return torch.stack(features).sum() + EDGES * edges


def teach(run: Run, faces: Faces, likeness: Likeness, minutes: float, pairs: int) -> None:
    """Train until the time of all runs is up."""
    rank = dist.get_rank() if dist.is_initialized() else 0
    draw = Pairs(faces, seed=run.step + rank)
    random = torch.Generator().manual_seed(run.step + rank)
    began = time.monotonic() - run.seconds
    saved = time.monotonic()
    sums: dict[str, list[float]] = {}
    for batch in _ahead(draw, pairs, lambda: run.seconds < 60 * minutes):
        done = run.seconds / (60 * minutes)
        _set_rates(run, done)
        losses = _step(run, batch, likeness, random, late=done > LATE)
        run.step += 1
        run.seconds = agreed(time.monotonic() - began)
        run.follow()
        if rank:
            continue
        for name, value in losses.items():
            sums.setdefault(name, []).append(value)
        if run.step % 25 == 0:
            means = " ".join(f"{name} {np.mean(values):.2f}" for name, values in sums.items())
            logger.info("step %d, %.0f s: %s", run.step, run.seconds, means)
            sums = {}
        if time.monotonic() - saved > SAVE_SECONDS:
            run.save()
            saved = time.monotonic()
    if not rank:
        run.save()


def _ahead(draw: Pairs, pairs: int, go_on: Callable[[], bool]) -> Iterator[Batch]:
    """Draw each batch while the one before is learnt from, as long as `go_on`."""
    random = np.random.default_rng(draw.seed)

    def next_batch() -> Batch:
        stills = int(random.random() < STILLS and pairs > 1)
        return draw.draw(pairs - stills, stills)

    return ahead(next_batch, go_on)


def _set_rates(run: Run, done: float) -> None:
    """Warm up over 50 steps, then fade like a cosine."""
    share = min(1, (run.step + 1) / 50) * max(0.03, 0.5 * (1 + math.cos(math.pi * min(1.0, done))))
    for group in run.optimizers[0].param_groups:
        group["lr"] = share * group["rate"]


def _step(run: Run, batch: Batch, likeness: Likeness, random: torch.Generator, *, late: bool) -> dict[str, float]:
    """Take one step with the generator and, late, one with the discriminator; returns the weighted losses."""
    generator = run.networks.generator
    sources = _moved_to(batch, run.device)
    driving = sources.swapped()
    kinds: tuple[Kind, ...] = ("any",) if run.step % ANYWHERE == 0 else ("mouth", "eyes")
    with torch.autocast(run.device.type, torch.bfloat16, enabled=run.halved):
        with torch.no_grad(), torch.autocast(run.device.type, enabled=False):
            found: KeyPoints = run.networks.kp_detector(sources.images)
            encoded = generator.encode(sources.images)  # its layers are good, and the rest needs the time more
        motion = generator.motion(encoded, found, swapped_keypoints(found))
        losses = _motion_losses(motion, sources, driving, mask_mouths=late)
        prepared = prepare(generator, encoded, motion)
        seen: list[tuple[Tensor, Tensor]] = []
        for kind in kinds:
            windows = place(kind, driving.landmarks.cpu(), SIDE, random)
            painted, wanted = decode(generator, prepared, windows), windows.of(driving.images, SIDE)
            losses |= _window_losses(kind, painted, wanted, likeness)
            if kind != "any":
                seen.append((painted, wanted))
        if late and seen:
            real = [run.discriminator(wanted) for _, wanted in seen]
            fake = [run.discriminator(painted) for painted, _ in seen]
            losses["fooled"] = ADVERSARIAL * torch.stack([(1 - one.score).square().mean() for one in fake]).mean()
            losses["matched"] = MATCHING * matched(fake, real)
    _descend(run.optimizers[0], torch.stack(list(losses.values())).sum(), generator)
    if late and seen:
        with torch.autocast(run.device.type, torch.bfloat16, enabled=run.halved):
            losses["judged"] = judged(run.discriminator, seen)
        _descend(run.optimizers[1], losses["judged"], run.discriminator)
    return {name: value.item() for name, value in losses.items()}


def _moved_to(batch: Batch, device: torch.device) -> Batch:
    return Batch(
        batch.images.to(device, memory_format=torch.channels_last),
        batch.landmarks.to(device),
    )


def swapped_keypoints(points: KeyPoints) -> KeyPoints:
    """Return the keypoints of the driving frame of each frame, in the order of the frames."""
    order = torch.arange(len(points), device=points.value.device) ^ 1
    return KeyPoints(points.value[order], None if points.jacobian is None else points.jacobian[order])


def _window_losses(kind: Kind, painted: Tensor, wanted: Tensor, likeness: Likeness) -> dict[str, Tensor]:
    return {
        f"{kind} colours": COLOURS * F.l1_loss(painted, wanted),
        f"{kind} likeness": likeness(painted, wanted),
        f"{kind} texture": TEXTURE * texture_difference(painted, wanted),
    }


def _motion_losses(motion: DenseMotion, sources: Batch, driving: Batch, *, mask_mouths: bool) -> dict[str, Tensor]:
    """What is wrong with the flow: at landmarks, in gaps, in colours, and where nothing moves."""
    flow = motion.deformation.permute(0, 3, 1, 2)
    small = [F.avg_pool2d(batch.images, 2) for batch in (sources, driving)]
    errors = flow_errors(flow, torch.cat(small), torch.cat((sources.landmarks, driving.landmarks)))
    still = unchanged(small[0], small[1], flow.shape[2])
    identity = coordinate_grid(flow.shape[2], flow.shape[3], flow).permute(2, 0, 1)
    losses = {
        "flow": FLOW * errors.landmarks,
        "gaps": GAPS * errors.gaps,
        "warped": COLOURS * 0.5 * errors.colours,
        "still": STILL * ((flow - identity).abs() * still).mean(),
    }
    if mask_mouths and motion.occlusion_map is not None:
        opened = _opened_mouths(sources.landmarks, driving.landmarks, motion.occlusion_map)
        losses["masked"] = MASK * (F.relu(motion.occlusion_map.float() - HIDDEN) * opened).sum() / len(opened) / 50
    return losses


def unchanged(one: Tensor, other: Tensor, side: int) -> Tensor:
    """Where two images are the same and stay so around, shape (B, 1, side, side)."""
    differing = (one - other).abs().mean(1, keepdim=True)
    spread = F.max_pool2d(F.avg_pool2d(differing, 4), 5, stride=1, padding=2)
    return F.interpolate((spread < EQUAL).float(), size=(side, side))


def _opened_mouths(source: Tensor, driving: Tensor, like: Tensor) -> Tensor:
    """Mark the insides of closed mouths that open by far, shape (B, 1, h, w) like a map."""
    import cv2

    side = like.shape[2]
    masks = np.zeros((len(source), 1, side, side), np.float32)
    gaps = _mouth_gap(source)
    openings = _mouth_gap(driving) - gaps
    for mask, marks, opening, gap in zip(masks, driving.cpu(), openings.tolist(), gaps.tolist(), strict=True):
        if opening > OPENED and gap < CLOSED:
            polygon = ((marks[list(INNER_LIPS)] + 1) * (side - 1) / 2).round().int().numpy()
            cv2.fillPoly(mask[0], [polygon], 1.0)
    return torch.from_numpy(masks).to(like.device)


def _mouth_gap(landmarks: Tensor) -> Tensor:
    """Height of the open mouth as a share of the face's, (B,)."""
    return (landmarks[:, 14] - landmarks[:, 13]).norm(dim=-1) / (landmarks[:, 10] - landmarks[:, 152]).norm(dim=-1)


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor, network: nn.Module) -> None:
    """Step down the gradient, its norm limited; leave out a step whose gradient is not finite."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    average_gradients([parameter for parameter in network.parameters() if parameter.grad is not None])
    norm = nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_LIMIT)
    if torch.isfinite(norm):
        optimizer.step()


if __name__ == "__main__":
    main()
