"""Measure how good the fine detail of larger results is, against clips of higher resolution than the model.

    python tests/tools/measure_detail.py CLIP... [--size 512] [--box X,Y,SIDE] [--sheet OUT.png]

Each clip is rebuilt from its first frame by the small model (or --checkpoint). Printed per clip, as the mean over its
frames: gradient energy by that of the true frames, SSIM and L1 of the result with detail, and of the plain bicubic
up-sampling. Without --box the largest centred square of the frames is taken; it should hold a face about half as high.

Clips of 256 x 256, which are all that many data sets have, hold no truth at 512. With --emulate the model is shown
what is left of them at 128 x 128, its frames are reduced to that, and the results compared at 256: the face is as
large for the flow, but the detail is an octave coarser than at 512.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage.metrics import structural_similarity

from fomm_cli.animation.animation import to_images
from fomm_cli.animation.animator import Animator
from fomm_cli.animation.detail import DetailTransfer
from fomm_cli.animation.flow import FlowSampling
from fomm_cli.media.resize import fit_frame, fit_source
from fomm_cli.media.video.reader import open_clip

Row = tuple[float, float, float]
"""Gradient energy by that of the truth, SSIM, L1."""


def main() -> None:
    """Measure every clip and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--box", help="X,Y,SIDE in pixels of the clip")
    parser.add_argument("--emulate", action="store_true", help="for clips of 256 x 256")
    parser.add_argument("--sheet", type=Path, help="write truth, plain and detailed frames of the last clip")
    arguments = parser.parse_args()
    animator = Animator.load(arguments.checkpoint, device="cpu")
    total = []
    sys.stdout.write(f"{'clip':24}  {'energy':>14}  {'SSIM':>16}  {'L1':>16}  ms a frame\n")
    for clip in arguments.clips:
        size = 256 if arguments.emulate else arguments.size
        truth = [fit_frame(frame, (size, size), "crop") for frame in _frames(clip, arguments)]
        total.append(_measured(clip.stem, truth, animator, arguments))
    mean = np.array(total).mean(axis=0)
    sys.stdout.write(_line(f"mean of {len(total)}", mean))


def _frames(clip: Path, arguments: argparse.Namespace) -> list[np.ndarray]:
    images = (frame.image for frame in open_clip(clip).frames())
    some = list(islice(images, 0, arguments.frames * arguments.every, arguments.every))
    if arguments.box is None:
        return some
    x, y, side = map(int, arguments.box.split(","))
    return [image[y : y + side, x : x + side] for image in some]


def _measured(name: str, truth: list[np.ndarray], animator: Animator, arguments: argparse.Namespace) -> list[float]:
    """Rebuild the frames after the first one; returns the means of plain and detailed results, and milliseconds."""
    frames, flows, maps, shown = _decoded(truth, animator, emulate=arguments.emulate)
    generator = animator.networks.generator
    transfer = DetailTransfer(truth[0], shown, FlowSampling(generator.skips, generator.align_corners))
    side = truth[0].shape[0]
    rows, pictures, began = [], [], time.thread_time()
    detailed = [
        transfer(frame, transfer.warp.of(flow), occlusion)
        for frame, flow, occlusion in zip(frames, flows, maps, strict=True)
    ]
    spent = 1000 * (time.thread_time() - began) / len(frames)
    for true, frame, result in zip(truth[1:], frames, detailed, strict=True):
        plain = cv2.resize(frame, (side, side), interpolation=cv2.INTER_CUBIC)
        rows.append([*_row(plain, true), *_row(result, true)])
        pictures.append(np.hstack([true, plain, result]))
    if arguments.sheet is not None:
        cv2.imwrite(str(arguments.sheet), np.vstack(pictures[:: max(1, len(pictures) // 4)])[..., ::-1])
    means = [*np.array(rows).mean(axis=0), spent]
    sys.stdout.write(_line(name, means))
    return means


def _decoded(
    truth: list[np.ndarray], animator: Animator, *, emulate: bool
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Frames, flows and occlusion maps for all but the first of the true frames, and what the model saw of that."""
    seen = [cv2.resize(_halved(image), (256, 256), interpolation=cv2.INTER_CUBIC) for image in truth] if emulate else [
        fit_frame(image, animator.size, "stretch") for image in truth
    ]  # fmt: skip
    source = seen[0].astype(np.float32) / 255 if emulate else fit_source(truth[0], animator.size, "stretch")
    animation = animator.start(source, seen[0], relative=False)
    frames, flows, maps = [], [], []
    with torch.inference_mode():
        for image in seen[1:]:
            decoded = animation.decode(animator.detect(image[None]))
            frames.append(to_images(decoded.frames)[0])
            flows.append(decoded.flow[0].numpy())
            maps.append(np.ones(flows[-1].shape[:2], np.float32) if decoded.occlusion_map is None else
                        decoded.occlusion_map[0, 0].numpy())  # fmt: skip
    if emulate:
        return [_halved(frame) for frame in frames], flows, maps, _halved(truth[0]).astype(np.float32) / 255
    return frames, flows, maps, source


def _halved(image: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(image, (128, 128), interpolation=cv2.INTER_AREA))


def _row(result: np.ndarray, truth: np.ndarray) -> Row:
    energy = _gradient_energy(result) / _gradient_energy(truth)
    similar = structural_similarity(truth, result, channel_axis=2)  # type: ignore[no-untyped-call]
    return energy, float(similar), float(np.abs(result.astype(np.float32) - truth).mean() / 255)


def _gradient_energy(image: np.ndarray) -> float:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(np.square(np.diff(gray, axis=0)).mean() + np.square(np.diff(gray, axis=1)).mean())


def _line(name: str, means: list[float] | np.ndarray) -> str:
    energy, similar, l1, more, closer, less, spent = means
    return (
        f"{name:24}  {energy:.3f} -> {more:.3f}  {similar:.4f} -> {closer:.4f}  {l1:.4f} -> {less:.4f}  {spent:6.1f}\n"
    )


if __name__ == "__main__":
    main()
