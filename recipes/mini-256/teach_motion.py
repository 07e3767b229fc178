"""Teach the small model where a face's features are and how they move, before teach_painting.py.

python recipes/mini-256/teach_motion.py .faces recipes/mini-256/mini-128.yaml motion.pth.tar

The paper finds keypoints and motion without being told any, which takes days on a GPU. On a CPU we show the networks
MediaPipe's landmarks: a keypoint is the mean of a few of them, its Jacobian the affine map that takes them from
their mean places in the data to the image, and the flow at every landmark of a driving frame has to lead to the
same landmark of the source. A few more keypoints are only placed around the face at first; where they help most they
find out as the paper has it: the warped source is to look like the driving frame, and keypoints have to move with the
image. Needs mediapipe.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from fomm_cli.config.reading import load_config
from fomm_cli.config.schema import Config
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.keypoints import KeyPoints
from fomm_cli.media.formats import IMAGES_READ
from fomm_cli.media.image import read_image
from fomm_cli.media.resize import fit_frame
from fomm_cli.media.video.reader import open_clip
from fomm_cli.models.checkpoint import read_checkpoint
from fomm_cli.models.coordinates import coordinate_grid
from fomm_cli.models.dense_motion import DenseMotionNetwork
from fomm_cli.models.keypoint_detector import KPDetector
from fomm_cli.models.networks import Networks, load_networks
from fomm_cli.training.dataset import find_videos

logger = logging.getLogger("teach")

SIDE = 128
FULL_SIDE = 256  # whose pixels distances are told in
FRAMES_A_CLIP = 36
LEARNING_RATE = 1e-3
PAIRS = 12  # in a step
GRADIENT_LIMIT = 10.0
GUIDED = 0.3  # share of the steps in which the loose keypoints are led to their places

Pairs = tuple[np.ndarray, np.ndarray]
"""Numbers of source frames and of driving frames."""

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
    """A keypoint.

    Attributes:
        place: the landmarks whose mean it is.
        shape: those whose affine map is its Jacobian.
        mirror: its number in the mirrored face.
        rigid: how much the whole face counts beside `shape` in the affine map.
        weight: of its place in the loss.
        shape_weight: of its Jacobian.
    """

    place: tuple[int, ...]
    shape: tuple[int, ...]
    mirror: int
    rigid: float = 0.3
    weight: float = 1
    shape_weight: float = 1


# of an eye, the place tells the gaze, and the Jacobian how open it is
FEATURES = (
    Feature(IRISES[0], EYES[0], 1, rigid=0.02, weight=2, shape_weight=6),
    Feature(IRISES[1], EYES[1], 0, rigid=0.02, weight=2, shape_weight=6),
    Feature(BROWS[0], BROWS[0], 3),
    Feature(BROWS[1], BROWS[1], 2),
    Feature(NOSE, NOSE, 4),
    Feature(CORNERS[0], CORNERS[0], 6),
    Feature(CORNERS[1], CORNERS[1], 5),
    Feature(UPPER_LIP, UPPER_LIP, 7, rigid=0.1, weight=3, shape_weight=2),
    Feature(LOWER_LIP, LOWER_LIP, 8, rigid=0.1, weight=3, shape_weight=2),
    Feature(CHIN, CHIN, 9),
    Feature(JAWS[0], JAWS[0], 11),
    Feature(JAWS[1], JAWS[1], 10),
    Feature(FOREHEAD, FOREHEAD, 12),
)
# further keypoints: where they would be beside the mean face, and their numbers in the mirrored face
LOOSE = ((0.0, -0.75), (-0.68, -0.25), (0.68, -0.25), (0.0, 0.85), (-0.7, 0.9), (0.7, 0.9))
MIRROR = [feature.mirror for feature in FEATURES] + [13, 15, 14, 16, 18, 17]
EYE_GAPS = ((159, 145), (386, 374))
MOUTH_GAP = (13, 14)
GAPS = (*EYE_GAPS, (158, 153), (160, 144), (385, 380), (387, 373), MOUTH_GAP, (82, 87), (312, 317))


def main() -> None:
    """Collect landmarks, teach, write a checkpoint of the whole model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that pack_training.py wrote")
    parser.add_argument("config", help="of the model")
    parser.add_argument("target", type=Path, help=".pth.tar to write")
    parser.add_argument("--checkpoint", type=Path, help="to go on from")
    parser.add_argument("--keypoint_minutes", type=float, default=20)
    parser.add_argument("--motion_minutes", type=float, default=40)
    parser.add_argument("--cache", type=Path, default=Path("landmarks.npz"), help="keeps what MediaPipe found")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    if not arguments.cache.exists():
        collect(arguments.data, arguments.cache)
    data = opened_data(arguments.cache)
    config = load_config(arguments.config)
    torch.manual_seed(0)
    networks = Networks.build(config)
    if arguments.checkpoint is not None:
        networks = load_networks(read_checkpoint(arguments.checkpoint), config)
    teach_keypoints(networks.kp_detector, data, arguments.keypoint_minutes)
    teach_motion(networks, data, arguments.motion_minutes)
    write_checkpoint(networks, config, arguments.target)


def write_checkpoint(networks: Networks, config: Config, target: Path) -> None:
    """Write a model as `fomm` reads it."""
    state = {name: network.state_dict() for name, network in networks.parts().items()}
    torch.save({**state, "config": config.model_dump_json()}, target)


@dataclass(frozen=True)
class Data:
    """Images with faces.

    Attributes:
        frames: uint8 (N, 128, 128, 3).
        landmarks: (N, 478, 2) in [-1, 1].
        clips: number of the clip or still that each frame is of, (N,).
        held_out: whether it is kept for measuring, (N,).
    """

    frames: np.ndarray
    landmarks: Tensor
    clips: np.ndarray
    held_out: np.ndarray

    def images(self, chosen: np.ndarray) -> Tensor:
        """Read frames as RGB in [0, 1], shape (B, 3, 128, 128)."""
        return torch.from_numpy(self.frames[chosen]).permute(0, 3, 1, 2).float() / 255


def opened_data(cache: Path) -> Data:
    """Open what `collect` kept."""
    with np.load(cache) as stored:
        return Data(stored["frames"], torch.from_numpy(stored["landmarks"]), stored["clips"], stored["held_out"])


def collect(folder: Path, cache: Path) -> None:
    """Find the landmarks in some frames of every clip and in all stills, and keep both in a file."""
    frames, landmarks, clips, held_out = [], [], [], []
    number = 0
    with open_detector("mediapipe", landmarks=True) as detector:
        for part in ("train", "test", "stills"):
            for path in find_videos(folder / part):
                number += 1
                for image in _some_frames(path):
                    faces = detector.detect(image)
                    if faces and faces[0].landmarks is not None:
                        frames.append(fit_frame(image, (SIDE, SIDE), "stretch"))
                        landmarks.append(2 * (faces[0].landmarks - 0.5) / (FULL_SIDE - 1) - 1)
                        clips.append(number)
                        held_out.append(part == "test")
            logger.info("%s: %d faces so far", part, len(frames))
    points = np.stack(landmarks).astype(np.float32)
    np.savez(cache, frames=np.stack(frames), landmarks=points, clips=clips, held_out=held_out)


def _some_frames(path: Path) -> list[np.ndarray]:
    if path.suffix in IMAGES_READ:
        return [fit_frame(read_image(path), (FULL_SIDE, FULL_SIDE), "stretch")]
    frames = [fit_frame(frame.image, (FULL_SIDE, FULL_SIDE), "stretch") for frame in open_clip(path).frames()]
    return [frames[index] for index in np.unique(np.linspace(0, len(frames) - 1, FRAMES_A_CLIP).astype(int))]


def targets(marks: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Compute keypoints (N, K, 2) and Jacobians (N, K, 2, 2) from landmarks, the loose ones last.

    Args:
        marks: shape (N, 478, 2).
        mean: of the whole data, the reference frame of the Jacobians, shape (478, 2).
    """
    face = sorted({mark for feature in FEATURES for mark in feature.shape})
    far, far_mean = _centred(marks, face), _centred(mean[None], face)
    far_square, far_product = far_mean.mT @ far_mean / len(face), far_mean.mT @ far / len(face)
    values, jacobians = [], []
    for feature in FEATURES:
        values.append(marks[:, list(feature.place)].mean(1))
        near, near_mean = _centred(marks, feature.shape), _centred(mean[None], feature.shape)
        # the whole face steadies the map where the landmarks nearby lie almost on a line
        weight = feature.rigid * near_mean.square().mean() / far_mean.square().mean()
        a = near_mean.mT @ near_mean / len(feature.shape) + weight * far_square
        b = near_mean.mT @ near / len(feature.shape) + weight * far_product
        jacobians.append(torch.linalg.solve(a, b).mT)
    rigid = torch.linalg.solve(far_square.expand_as(far_product), far_product).mT
    for place in LOOSE:
        offset = torch.tensor(place) - mean[face].mean(0)
        values.append((marks[:, face].mean(1) + rigid @ offset).clamp(-0.95, 0.95))
        jacobians.append(rigid)
    return torch.stack(values, 1), torch.stack(jacobians, 1)


def expressions(marks: Tensor) -> Tensor:
    """Return how far eyes and mouths are from half open, in standard deviations; (N, 478, 2) to (N,)."""
    size = (marks[:, 10] - marks[:, 152]).norm(dim=-1)
    gaps = [(marks[:, upper] - marks[:, lower]).norm(dim=-1) / size for upper, lower in (*EYE_GAPS, MOUTH_GAP)]
    eyes, mouth = (gaps[0] + gaps[1]) / 2, gaps[2]
    return sum(((gap - gap.mean()) / gap.std()).abs() for gap in (eyes, mouth))


def _centred(marks: Tensor, numbers: tuple[int, ...] | list[int]) -> Tensor:
    chosen = marks[:, list(numbers)]
    return chosen - chosen.mean(1, keepdim=True)


def teach_keypoints(detector: KPDetector, data: Data, minutes: float) -> None:
    """Train the detector alone, in place; it is left in evaluation mode."""
    value, jacobian = targets(data.landmarks, data.landmarks.mean(0))
    optimizer = torch.optim.Adam(detector.parameters(), LEARNING_RATE)
    seen, unseen = np.flatnonzero(~data.held_out), np.flatnonzero(data.held_out)[::11]
    random = torch.Generator().manual_seed(0)
    often = 0.3 + expressions(data.landmarks[seen])  # most frames of most people show half-open eyes, closed mouths
    for step, seconds, _ in steps(optimizer, LEARNING_RATE, minutes):
        chosen = seen[torch.multinomial(often, 2 * PAIRS, generator=random).numpy()]
        images, wanted = mirrored(data.images(chosen), KeyPoints(value[chosen], jacobian[chosen]), random)
        images, move = moved(tinted(images, random), random)
        loss = misplaced(detector.train()(images), move.keypoints(wanted), guidance=0.3)
        descend(optimizer, loss, GRADIENT_LIMIT)
        if step % 100 == 0:
            _report_keypoints(detector.eval(), data, value, jacobian, unseen, step, seconds)
    detector.eval()


def misplaced(found: KeyPoints, wanted: KeyPoints, *, guidance: float) -> Tensor:
    """Return the error of keypoints, B of either.

    Args:
        found: by the detector.
        wanted: what it is told.
        guidance: how much the loose ones count.
    """
    loose = [guidance] * len(LOOSE)
    weight = torch.tensor([feature.weight for feature in FEATURES] + loose)
    shape_weight = torch.tensor([feature.shape_weight for feature in FEATURES] + loose)
    off = ((found.value - wanted.value).abs().mean((0, 2)) * weight.to(found.value.device)).mean()
    bent = ((found.jacobian - wanted.jacobian).abs().mean((0, 2, 3)) * shape_weight.to(found.value.device)).mean()
    return 10 * off + 2 * bent


@torch.no_grad()
def _report_keypoints(
    detector: KPDetector, data: Data, value: Tensor, jacobian: Tensor, unseen: np.ndarray, step: int, seconds: float
) -> None:
    parts = np.array_split(unseen, max(1, len(unseen) // 32))
    found = KeyPoints.joined([detector(data.images(part)) for part in parts])
    distance = (found.value - value[unseen]).norm(dim=-1).mean(0) * FULL_SIDE / 2
    logger.info(
        "keypoints, step %d, %.0f s: %.2f pixels off on unseen people; each %s; correlation of heights %s",
        *(step, seconds, distance.mean(), " ".join(f"{pixel:.1f}" for pixel in distance)),
        " ".join(f"{_correlation(found.jacobian[:, k, 1, 1], jacobian[unseen, k, 1, 1]):.2f}" for k in (0, 1, 7, 8)),
    )


def _correlation(one: Tensor, other: Tensor) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def teach_motion(networks: Networks, data: Data, minutes: float) -> None:
    """Train the detector and the dense-motion network together, in place; they are left in evaluation mode."""
    detector, network = networks.kp_detector, networks.generator.dense_motion_network
    value, jacobian = targets(data.landmarks, data.landmarks.mean(0))
    optimizer = torch.optim.Adam([*detector.parameters(), *network.parameters()], LEARNING_RATE)
    random = torch.Generator().manual_seed(1)
    partners = Partners(data)
    often = 0.3 + expressions(data.landmarks[partners.seen])
    unseen = np.flatnonzero(data.held_out)
    fixed = partners.pairs(unseen[::13], torch.Generator().manual_seed(2))
    for step, seconds, done in steps(optimizer, LEARNING_RATE, minutes):
        guidance = 0.3 * max(0.0, 1 - done / GUIDED)
        chosen = partners.seen[torch.multinomial(often, PAIRS, generator=random).numpy()]
        both = np.concatenate(partners.pairs(chosen, random))
        images, marks, wanted = data.images(both), data.landmarks[both], KeyPoints(value[both], jacobian[both])
        still = torch.rand(PAIRS, generator=random).repeat(2) < 0.6  # so that the background learns to stay
        images, move = moved(images, random, still=still)
        marks, wanted = move.points(marks), move.keypoints(wanted)
        again, further = moved(tinted(images[PAIRS:], random), random)
        found = detector.train()(torch.cat((images, again)))
        told = KeyPoints.joined([wanted, further.keypoints(wanted[PAIRS:])])
        astray = misplaced(found, told, guidance=guidance)
        unsteady = inequivariance(found[2 * PAIRS :], further.keypoints(found[PAIRS : 2 * PAIRS]))
        flow = _flow(network.train(), images[:PAIRS], found[:PAIRS], found[PAIRS : 2 * PAIRS])
        errors = flow_errors(flow, images, marks)
        loss = 0.5 * astray + unsteady + 20 * errors.landmarks + 20 * errors.gaps + 8 * errors.colours
        descend(optimizer, loss, GRADIENT_LIMIT)
        if step % 100 == 0:
            _report_keypoints(detector.eval(), data, value, jacobian, unseen[::31], step, seconds)
            report_motion(networks, data, fixed, step, seconds)
    detector.eval().requires_grad_(False)
    network.eval()


def inequivariance(found: KeyPoints, moved: KeyPoints) -> Tensor:
    """Return how far loose keypoints fail to move with the image (equivariance, eq. 9 and 10 of the paper)."""
    loose = slice(len(FEATURES), None)
    off = (found.value - moved.value)[:, loose].abs().mean()
    bent = (found.jacobian - moved.jacobian)[:, loose].abs().mean()
    return 4 * off + 0.5 * bent


def _flow(network: DenseMotionNetwork, source: Tensor, kp_source: KeyPoints, kp_driving: KeyPoints) -> Tensor:
    """Estimate the flow (B, 2, h, w) from driving frames to sources (B, 3, H, W)."""
    return network(network.down(source), kp_source, kp_driving).deformation.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class _FlowErrors:
    """The errors of a flow.

    Attributes:
        landmarks: how far it leads past the landmarks of the source.
        gaps: how much it mistakes the opening of eyes and mouths.
        colours: how the warped source differs from the driving frame, at several sizes.
        opened: for every pair and gap, how much further it is open in the driving frame, by the flow and in truth.
    """

    landmarks: Tensor
    gaps: Tensor
    colours: Tensor
    opened: tuple[Tensor, Tensor]


def flow_errors(flow: Tensor, images: Tensor, marks: Tensor) -> _FlowErrors:
    """Compare a flow (B, 2, h, w) with what is known.

    Args:
        flow: from driving frames to sources.
        images: sources, then driving frames, shape (2 B, 3, H, W).
        marks: their landmarks, shape (2 B, N, 2).
    """
    half = len(flow)
    at_marks = F.grid_sample(flow, marks[half:, :, None], padding_mode="border", align_corners=True)[..., 0].mT
    off = (at_marks - marks[:half]).abs().mean((0, 2))
    upper, lower = ([gap[side] for gap in GAPS] for side in (0, 1))
    found, true = (points[:, lower] - points[:, upper] for points in (at_marks, marks[:half]))
    grid = F.interpolate(flow, size=images.shape[2:], mode="bilinear", align_corners=True).permute(0, 2, 3, 1)
    warped = F.grid_sample(images[:half], grid, padding_mode="border", align_corners=True)
    difference = warped - images[half:]
    colours = [F.avg_pool2d(difference, size).abs().mean() for size in (1, 2, 4, 8)]
    inside = (marks[half:, lower] - marks[half:, upper])[..., 1]
    return _FlowErrors(
        (off * _emphasis(off)).mean(),
        (found - true).abs().mean(),
        torch.stack(colours).mean(),
        (inside - found[..., 1], inside - true[..., 1]),
    )


def _emphasis(like: Tensor) -> Tensor:
    """Return the weight of each landmark: eyes and lips count as much as all the rest."""
    weight = torch.ones_like(like)
    weight[sorted({mark for group in (*EYES, *IRISES, UPPER_LIP, LOWER_LIP, *CORNERS) for mark in group})] = 5
    return weight / weight.mean()


@torch.no_grad()
def report_motion(networks: Networks, data: Data, pairs: Pairs, step: int, seconds: float) -> None:
    """Log how well the flow finds what moved in pairs of frames."""
    both = np.concatenate(pairs)
    images, marks = data.images(both), data.landmarks[both]
    found = KeyPoints.joined([networks.kp_detector(part) for part in images.split(32)])
    half, network = len(pairs[0]), networks.generator.dense_motion_network.eval()
    flow = _flow(network, images[:half], found[:half], found[half:])
    errors = flow_errors(flow, images, marks)
    still = flow_errors(
        coordinate_grid(flow.shape[2], flow.shape[3], flow).permute(2, 0, 1).expand_as(flow), images, marks
    )
    eyes, mouth = (
        np.polyfit(errors.opened[1][:, gaps].flatten().numpy(), errors.opened[0][:, gaps].flatten().numpy(), 1)[0]
        for gaps in (slice(0, 6), slice(6, None))
    )
    logger.info(
        "motion, step %d, %.0f s: on unseen people %.2f pixels off (%.2f without motion), colours %.4f (%.4f: %.3f), "
        "eyes open %.2f as far, mouths %.2f",
        *(step, seconds, errors.landmarks * FULL_SIDE / 2, still.landmarks * FULL_SIDE / 2, errors.colours),
        *(still.colours, errors.colours / still.colours, eyes, mouth),
    )


class Partners:
    """Find another frame of the same clip; a still is its own partner."""

    def __init__(self, data: Data) -> None:
        self.seen = np.flatnonzero(~data.held_out)
        first = np.flatnonzero(np.diff(data.clips, prepend=-1))
        length = np.diff(first, append=len(data.clips))
        self._first, self._length = np.repeat(first, length), np.repeat(length, length)

    def pairs(self, chosen: np.ndarray, random: torch.Generator) -> Pairs:
        """Read frames by their numbers, and a partner for each."""
        shares = torch.rand(len(chosen), generator=random).numpy()
        return chosen, self._first[chosen] + (shares * self._length[chosen]).astype(int)


def steps(optimizer: torch.optim.Optimizer, rate: float, minutes: float) -> Iterator[tuple[int, float, float]]:
    """Yield the number of the step, seconds and ratio of the time; the learning rate warms up and fades."""
    began, step = time.monotonic(), 0
    while (seconds := agreed(time.monotonic() - began)) < 60 * minutes:
        step += 1
        done = seconds / (60 * minutes)
        fade = 0.5 * (1 + math.cos(math.pi * done))
        optimizer.param_groups[0]["lr"] = rate * min(1, step / 50) * max(0.02, fade)
        yield step, seconds, done


def agreed(seconds: float) -> float:
    """Return the time by the clock of the first process."""
    if not dist.is_initialized():
        return seconds
    shared = torch.tensor(seconds)
    dist.broadcast(shared, 0)
    return float(shared)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor, limit: float) -> None:
    """Step down the gradient, averaged over all processes, its norm limited."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    parameters = [parameter for parameter in optimizer.param_groups[0]["params"] if parameter.grad is not None]
    average_gradients(parameters)
    torch.nn.utils.clip_grad_norm_(parameters, limit)
    optimizer.step()


def average_gradients(parameters: list[nn.Parameter]) -> None:
    """Give every process the mean of all processes' gradients, where there are several."""
    if not dist.is_initialized():
        return
    average = torch.cat([parameter.grad.flatten() for parameter in parameters if parameter.grad is not None])
    dist.all_reduce(average)
    average /= dist.get_world_size()
    sizes = [parameter.numel() for parameter in parameters]
    for parameter, grad in zip(parameters, average.split(sizes), strict=True):
        parameter.grad = grad.view_as(parameter)


@dataclass(frozen=True)
class Move:
    """Affine maps of points: linear parts (B, 2, 2) and shifts (B, 2)."""

    linear: Tensor
    shift: Tensor

    def points(self, points: Tensor) -> Tensor:
        """Map points (B, N, 2)."""
        return points @ self.linear.mT + self.shift[:, None]

    def keypoints(self, points: KeyPoints) -> KeyPoints:
        """Map keypoints."""
        return KeyPoints(self.points(points.value), self.linear[:, None] @ points.jacobian)


def mirrored(images: Tensor, wanted: KeyPoints, random: torch.Generator) -> tuple[Tensor, KeyPoints]:
    """Mirror half of the images (B, 3, H, W) with their keypoints."""
    flipped = torch.rand(len(images), generator=random) < 0.5
    return torch.where(flipped[:, None, None, None], images.flip(3), images), mirrored_keypoints(wanted, flipped)


def mirrored_keypoints(points: KeyPoints, flipped: Tensor) -> KeyPoints:
    """Mirror the keypoints of those frames that are `flipped` (B,)."""
    across = torch.tensor([-1.0, 1.0])
    turned = points.jacobian[:, MIRROR] * across[:, None] * across  # flipped before and after
    return KeyPoints(
        torch.where(flipped[:, None, None], points.value[:, MIRROR] * across, points.value),
        torch.where(flipped[:, None, None, None], turned, points.jacobian),
    )


def moved(images: Tensor, random: torch.Generator, *, still: Tensor | None = None) -> tuple[Tensor, Move]:
    """Scale, turn and shift images (B, 3, H, W), each in its own way; those that are `still` (B,) not at all."""
    count = len(images)
    much = torch.ones(count) if still is None else 0.5 * ~still

    def within(limit: float) -> Tensor:
        return much * limit * (2 * torch.rand(count, generator=random) - 1)

    angle, scale, squeeze = within(0.3), 1 + within(0.25), 1 + within(0.07)
    linear = torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos()), -1).view(count, 2, 2)
    linear = linear * (scale[:, None] * torch.stack((squeeze, 1 / squeeze), -1))[:, None]
    shift = torch.stack((within(0.2), within(0.2)), -1)
    inverse = torch.linalg.inv(linear)
    affine = torch.cat((inverse, -(inverse @ shift[..., None])), -1)
    grid = F.affine_grid(affine, list(images.shape), align_corners=True)
    moved = F.grid_sample(images, grid, padding_mode="reflection", align_corners=True)
    return moved, Move(linear, shift)


def tinted(images: Tensor, random: torch.Generator) -> Tensor:
    """Change brightness, contrast and tint of images (B, 3, H, W)."""
    gain = 0.7 + 0.6 * torch.rand(len(images), 1, generator=random)
    lift = 0.2 * torch.rand(len(images), 1, generator=random) - 0.1
    tint = 0.95 + 0.1 * torch.rand(len(images), 3, generator=random)
    return (images * (gain * tint)[..., None, None] + lift[..., None, None]).clamp(0, 1)


if __name__ == "__main__":
    main()
