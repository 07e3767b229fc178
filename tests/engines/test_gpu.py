"""What needs a GPU. FOMM_TEST_DEVICE=cpu runs the same in miniature, so that nothing is first run on the day."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fomm_cli.animation.animator import Animator
from fomm_cli.media.difference import psnr
from fomm_cli.models.bundled import sample
from fomm_cli.models.networks import Networks
from fomm_cli.training.perceptual import load_perceptual
from fomm_cli.training.step import Trainer
from support.parity_data import PARITY, TINY, recording
from support.training_help import config_of, sample_frames, write_perceptual

DEVICE = torch.device(os.environ.get("FOMM_TEST_DEVICE", "cuda"))
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        DEVICE.type == "cuda" and not torch.cuda.is_available(), reason="needs a CUDA device (or FOMM_TEST_DEVICE=cpu)"
    ),
    pytest.mark.skipif(DEVICE.type == "cpu" and "FOMM_TEST_DEVICE" not in os.environ, reason="needs a CUDA device"),
]
on_cuda = pytest.mark.skipif(DEVICE.type != "cuda", reason="a CPU has no memory of its own to run out of")


def frames_of(name: str, engine: str = "torch", precision: str = "fp32") -> torch.Tensor:
    """Decode a recorded pose on the device."""
    path = PARITY / f"{name}.pth.tar"
    animator = Animator.load(
        path, path.with_name(f"{name}.yaml"), device=str(DEVICE), engine=engine, precision=precision
    )
    recorded = recording(name)
    keypoints, pose = (recorded.keypoints(kind).to(DEVICE) for kind in ("kp_source", "kp_transferred/relative_adapt/2"))
    with torch.inference_mode():
        return animator.engine.encode(recorded["source"].to(DEVICE), keypoints)(pose).frames.float().cpu()


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("engine", ["torch", "reference"])
def test_float32_is_the_original(name: str, engine: str) -> None:
    expected = recording(name)["align_corners=True/relative_adapt/2/prediction"]
    torch.testing.assert_close(frames_of(name, engine), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_looks_the_same(name: str, precision: str) -> None:
    expected = recording(name)["align_corners=True/relative_adapt/2/prediction"]
    assert psnr(float((frames_of(name, precision=precision) - expected).square().mean())) >= 40


@on_cuda
def test_a_batch_too_large_for_the_memory_is_halved(caplog: pytest.LogCaptureFixture) -> None:
    animator = Animator.load(device=str(DEVICE))
    frames = [np.full((256, 256, 3), level, np.uint8) for level in range(64)]
    expected = list(animator.animate(frames[0], frames))
    total = torch.cuda.get_device_properties(DEVICE).total_memory
    animator.batch_size = 64
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + (400 << 20)) / total)
    try:
        animated = list(animator.animate(frames[0], frames))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "out of memory on the device" in caplog.text
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(animated, expected, strict=True)) <= 1


def test_two_processes_share_one_device(tmp_path: Path) -> None:
    source, driving = map(str, sample())
    command = [
        sys.executable,
        "-m",
        "fomm_cli",
        "animate",
        "-s",
        source,
        "-d",
        driving,
        "--crop=none",
        "--max_frames=4",
    ]
    runs = [
        subprocess.Popen([*command, f"--device={DEVICE}", "--precision=fp32", "-q", "-o", str(tmp_path / f"{run}.mp4")])
        for run in range(2)
    ]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    assert (tmp_path / "0.mp4").read_bytes() == (tmp_path / "1.mp4").read_bytes()


def losses_of(folder: Path, precision: str, *, distributed: bool = False) -> dict[str, float]:
    """Train a step from the same start."""
    write_perceptual(folder / "perceptual.safetensors")
    perceptual = load_perceptual(str(folder / "perceptual.safetensors"))
    config = config_of(train_params__precision=precision)
    torch.manual_seed(0)
    trainer = Trainer(config, Networks.build(config), None, perceptual, DEVICE, distributed=distributed)
    step = trainer.step(np.stack([np.stack(sample_frames(2))] * 2), 0, epoch=0, seed=(0,))
    assert not step.skipped
    return {name: float(loss) for name, loss in step.losses.items()}


def test_a_training_step_in_bf16_is_close_to_float32(tmp_path: Path) -> None:
    assert losses_of(tmp_path, "bfloat16") == pytest.approx(losses_of(tmp_path, "float32"), rel=0.1, abs=0.05)


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed")
def test_distributed_training_on_one_device(tmp_path: Path) -> None:
    expected = losses_of(tmp_path, "float32")
    torch.distributed.init_process_group(
        "nccl" if DEVICE.type == "cuda" else "gloo", f"file://{tmp_path / 'meeting'}", rank=0, world_size=1
    )
    try:
        assert losses_of(tmp_path, "float32", distributed=True) == pytest.approx(expected, rel=1e-2)
    finally:
        torch.distributed.destroy_process_group()
