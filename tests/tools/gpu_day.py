"""Run everything that needs a GPU, in one command of at most ten minutes.

    python tests/tools/gpu_day.py [--device cuda] [--minutes 10] [--output gpu-day.md]

Runs the tests marked gpu, then times the networks of vox-256 (random weights) and the small model at several batch
sizes, as the reference, in each precision, channels-last, as a CUDA graph and by torch.compile. The tables for
docs/performance.md are written after every row, so that nothing is lost when time is up. With --device cpu the same
runs in miniature.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fomm_cli.animation.animator import Animator
from fomm_cli.config.reading import load_config
from fomm_cli.media.difference import psnr
from fomm_cli.media.resize import fit_frame
from fomm_cli.media.video.reader import open_clip
from fomm_cli.models.bundled import sample
from fomm_cli.models.loading import LoadedModel, load_model
from fomm_cli.models.networks import Networks

TESTS = Path(__file__).parents[1]
BATCHES = {"cuda": (1, 8, 32), "cpu": (1,)}  # the layers for CPUs take one frame at a time
SHARE_OF_TESTS = 0.5  # of the time
HEAD = "| model | batch | variant | frames/s | ratio | peak MB | PSNR dB |\n|-|-|-|-|-|-|-|\n"

Step = Callable[[Tensor], Tensor]
"""From driving frames (B, 3, H, W) to animated ones."""


@dataclass(frozen=True)
class Variant:
    """A way to compute the networks."""

    name: str
    engine: str = "torch"
    precision: str = "fp32"
    channels_last: bool = False
    wrap: Callable[[Step, Tensor], Step] | None = None


@dataclass
class Report:
    """The page that is written, and when to stop."""

    path: Path
    deadline: float
    lines: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Show and keep a line."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        self.lines.append(text)
        self.path.write_text("\n".join(self.lines) + "\n", encoding="utf-8")

    @property
    def left(self) -> float:
        """Return the seconds until the time is up."""
        return self.deadline - time.monotonic()


def graphed(step: Step, frames: Tensor) -> Step:
    """Record a step as a CUDA graph for frames of this shape."""
    static = frames.clone()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(static)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = step(static)

    def replay(images: Tensor) -> Tensor:
        static.copy_(images)
        graph.replay()
        return result

    return replay


def compiled(step: Step, frames: Tensor) -> Step:
    """Compile a step; on a CPU only its tracing is tried, since the compiler takes minutes there."""
    made: Step = torch.compile(step, backend="inductor" if frames.is_cuda else "eager")
    return made


def variants(device: torch.device, batch: int) -> Iterator[Variant]:
    """Yield what is compared, the reference first; the compiler takes a minute, so it has the largest batch only."""
    yield Variant("reference", "reference")
    yield Variant("float32")
    for precision in ("bf16", "fp16") if device.type == "cuda" else ("bf16",):
        yield Variant(precision, precision=precision)
    best = "bf16" if device.type == "cuda" else "fp32"
    yield Variant(f"{best}, channels-last", precision=best, channels_last=True)
    if device.type == "cuda":
        yield Variant(f"{best}, CUDA graph", precision=best, wrap=graphed)
        yield Variant(f"{best}, channels-last, CUDA graph", precision=best, channels_last=True, wrap=graphed)
    if batch == max(BATCHES[device.type]):
        yield Variant(f"{best}, torch.compile", precision=best, wrap=compiled)


def models(device: torch.device) -> dict[str, Callable[[], LoadedModel]]:
    """Return how to get each model."""

    def vox() -> LoadedModel:
        torch.manual_seed(0)
        config = load_config("vox-256")
        if device.type == "cpu":  # a miniature
            small = config.dataset_params.model_copy(update={"frame_shape": (128, 128, 3)})
            config = config.model_copy(update={"dataset_params": small})
        return LoadedModel(Networks.build(config), config, device)

    return {"small": lambda: load_model(None, None, device), "vox-256": vox}


def driving_frames(size: tuple[int, int], count: int, device: torch.device) -> Tensor:
    """Return the sample's driving frames, repeated as needed, (count, 3, H, W)."""
    frames = [fit_frame(frame.image, size, "stretch") for frame in open_clip(sample()[1], max_frames=count).frames()]
    images = np.stack([frames[index % len(frames)] for index in range(count)])
    return (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255).to(device).contiguous()


def prepared(variant: Variant, model: LoadedModel, frames: Tensor) -> Step:
    """Return the networks from driving frames to animated ones, without copies from and to the device."""
    animator = Animator(model, engine=variant.engine, precision=variant.precision)
    image = (frames[0].permute(1, 2, 0).cpu().numpy() * 255).astype(np.uint8)
    animation = animator.start(image.astype(np.float32) / 255, image)
    if variant.channels_last:
        model.networks.generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        model.networks.kp_detector.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def step(images: Tensor) -> Tensor:
        if variant.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        keypoints = model.networks.kp_detector(images)
        return animation.decode(animation.transfer(keypoints)).frames

    return step if variant.wrap is None else variant.wrap(step, frames)


def rate(step: Step, frames: Tensor, seconds: float) -> float:
    """Return frames per second of whole batches, after one that is not counted."""
    step(frames)
    done, began = 0, wait_for(frames.device)
    while True:
        step(frames)
        done += len(frames)
        now = wait_for(frames.device)
        if now - began > seconds:
            return done / (now - began)


def wait_for(device: torch.device) -> float:
    """Wait until the device has done what it was given; returns the time."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@torch.inference_mode()
def time_networks(report: Report, device: torch.device) -> None:
    """Write a row for every model, batch size and variant that there is time for."""
    todo = [
        (name, batch, v) for name in models(device) for batch in BATCHES[device.type] for v in variants(device, batch)
    ]
    report.add(HEAD.rstrip())
    reference: dict[tuple[str, int], tuple[float, Tensor]] = {}
    for number, (name, batch, variant) in enumerate(todo):
        if report.left < 0:
            report.add(f"\nTime was up before {len(todo) - number} more rows.")
            return
        try:
            row = measured(variant, models(device)[name](), batch, device, report.left / (len(todo) - number) / 4)
        except Exception as error:  # noqa: BLE001 - the other rows are still wanted
            report.add(f"| {name} | {batch} | {variant.name} | {' '.join(str(error).split())[:80]} | | | |")
            continue
        speed, frames, peak = row
        first_speed, first_frames = reference.setdefault((name, batch), (speed, frames))
        quality = psnr(float((frames - first_frames).square().mean()))
        figures = f"{speed:.1f} | {speed / first_speed:.2f} | {peak:.0f} | {quality:.1f}"
        report.add(f"| {name} | {batch} | {variant.name} | {figures} |")


def measured(
    variant: Variant, model: LoadedModel, batch: int, device: torch.device, seconds: float
) -> tuple[float, Tensor, float]:
    """Return frames per second, the animated frames and the peak memory of the device in MB."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    frames = driving_frames(model.config.dataset_params.frame_shape[:2], batch, device)
    step = prepared(variant, model, frames)
    animated = step(frames).float().cpu()
    speed = rate(step, frames, max(0.0, min(seconds, 5.0)))
    return speed, animated, torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else 0.0


def run_tests(report: Report, device: torch.device) -> int:
    """Run the tests marked gpu; returns pytest's exit code."""
    environment = {**os.environ, "FOMM_TEST_DEVICE": str(device)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "-m",
        "gpu",
        str(TESTS / "engines" / "test_gpu.py"),
    ]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=report.left * SHARE_OF_TESTS
        )
    except subprocess.TimeoutExpired:
        report.add("tests: not finished in time\n")
        return 1
    failures = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    report.add("\n".join(["tests: " + done.stdout.strip().splitlines()[-1], *failures, ""]))
    return done.returncode


def main() -> int:
    """Run everything; returns 1 where a test failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--output", type=Path, default=Path("gpu-day.md"))
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device; --device cpu runs everything in miniature")
    torch.backends.cudnn.allow_tf32 = False
    report = Report(options.output, time.monotonic() + 60 * options.minutes)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU, in miniature"
    report.add(f"Measured on {date.today().isoformat()} on {where}, PyTorch {torch.__version__}.\n")
    code = run_tests(report, device)
    time_networks(report, device)
    return code


if __name__ == "__main__":
    sys.exit(main())
