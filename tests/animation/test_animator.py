"""The library: arrays in, arrays out."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import REPOSITORY
from fomm_cli import Animator
from fomm_cli.engines.engine import MOST_WORKERS, Decoded
from fomm_cli.errors import FommError, InputError
from fomm_cli.models.bundled import bundled_checkpoint, sample
from support.parity_data import PARITY

INPUTS = np.load(PARITY / "inputs.npz")


def load() -> Animator:
    return Animator.load(PARITY / "tiny_first_order.pth.tar", PARITY / "tiny_first_order.yaml", device="cpu")


@pytest.fixture(scope="module")
def animator() -> Animator:
    return load()


def test_frames_equal_the_recorded_ones(animator: Animator) -> None:
    frames = np.stack(list(animator.animate(INPUTS["source"], INPUTS["driving"])))
    recorded = np.load(PARITY / "end_to_end.npz")["align_corners=True/relative_adapt"]
    difference = np.abs(frames.astype(int) - recorded)
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.003


def test_frames_are_read_as_they_are_needed(animator: Animator) -> None:
    taken = []

    def driving() -> Iterator[np.ndarray]:
        for index in range(1000):
            taken.append(index)
            yield INPUTS["driving"][index % 4]

    frames = animator.animate(INPUTS["source"], driving())
    next(frames)
    next(frames)
    assert len(taken) <= 2 + 2 * MOST_WORKERS


def test_another_initial_frame_and_any_size(animator: Animator) -> None:
    wide = np.asarray(Image.fromarray(INPUTS["driving"][1]).resize((640, 360)))
    frames = list(animator.animate(INPUTS["source"], [wide, wide], initial=wide, fit="crop"))
    assert [frame.shape for frame in frames] == [(256, 256, 3)] * 2
    assert np.array_equal(frames[0], frames[1])


def test_arrays_with_alpha_are_laid_over_white_and_others_are_refused(animator: Animator) -> None:
    source, driving = INPUTS["source"], INPUTS["driving"][:1]
    (plain,) = animator.animate(source, driving)
    opaque = np.dstack((source, np.full(source.shape[:2], 255, np.uint8)))
    (same,) = animator.animate(opaque, driving)
    assert np.array_equal(same, plain)
    with pytest.raises(InputError, match="float64"):
        next(animator.animate(source / 255, driving))


def test_no_driving_frames_is_an_error(animator: Animator) -> None:
    with pytest.raises(InputError, match="no driving frames"):
        list(animator.animate(INPUTS["source"], []))


def test_one_animator_serves_many_sources(animator: Animator) -> None:
    first = list(animator.animate(INPUTS["source"], INPUTS["driving"][:2]))
    list(animator.animate(INPUTS["driving"][0], INPUTS["driving"][:2]))
    again = list(animator.animate(INPUTS["source"], INPUTS["driving"][:2]))
    assert np.array_equal(first, again)


class _SmallMemory:
    """A detector on a device whose memory holds only so many frames."""

    def __init__(self, detector: torch.nn.Module, limit: int) -> None:
        self.detector, self.limit, self.batches = detector, limit, []

    def __call__(self, pictures: torch.Tensor) -> object:
        if len(pictures) > self.limit:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.batches.append(len(pictures))
        return self.detector(pictures)


@pytest.mark.parametrize(("limit", "batches"), [(8, [4]), (2, [2, 2]), (1, [1, 1, 1, 1])])
def test_out_of_memory_halves_the_batch(limit: int, batches: list[int]) -> None:
    model = load()
    model.batch_size = 4
    expected = model.start(INPUTS["source_256"], INPUTS["driving"][0], relative=True, adapt_scale=True)
    small = _SmallMemory(model.networks.kp_detector, limit)
    animation = model.start(INPUTS["source_256"], INPUTS["driving"][0], relative=True, adapt_scale=True)
    frames = [frame.image for frame in expected.frames(model.batches(INPUTS["driving"]))]
    object.__setattr__(model.networks, "kp_detector", small)
    animated = list(animation.frames(model.batches(INPUTS["driving"])))
    assert small.batches == batches
    assert [frame.image.shape for frame in animated] == [frame.shape for frame in frames]
    assert all(frame.keypoints is not None and frame.keypoints.shape == (10, 2) for frame in animated)


def test_a_step_gives_the_frame_that_a_video_gives(animator: Animator) -> None:
    animation = animator.start(INPUTS["source_256"], INPUTS["driving"][0])
    frames = [frame.image for frame in animation.frames(animator.batches(INPUTS["driving"]))]
    for driving, expected in zip(INPUTS["driving"], frames, strict=True):
        assert np.abs(animation.step(driving).astype(int) - expected).max() <= 1


def test_decoded_frames_come_with_the_motion_that_made_them(animator: Animator) -> None:
    """The flow is that of the dense-motion network, and what is refined from it is what is shown."""
    seen: list[Decoded] = []

    def refine(decoded: Decoded) -> np.ndarray:
        seen.append(decoded)
        images = (decoded.frames * 255).round().byte().permute(0, 2, 3, 1).numpy()
        return images.repeat(2, axis=1).repeat(2, axis=2)

    animation = animator.start(INPUTS["source_256"], INPUTS["driving"][0], refine=refine)
    image = animation.step(INPUTS["driving"][1])
    assert image.shape == (512, 512, 3)
    (decoded,) = seen
    np.testing.assert_array_equal(image[::2, ::2], image[1::2, 1::2])
    generator = animator.networks.generator
    encoded = generator.encode(animator.to_tensor(INPUTS["source_256"][None]))
    transferred = animation.transfer(animation.detect(INPUTS["driving"][1][None]))
    motion = generator.motion(encoded, animation.keypoints, transferred)
    torch.testing.assert_close(decoded.flow, motion.deformation, rtol=0, atol=1e-5)
    torch.testing.assert_close(decoded.occlusion_map, motion.occlusion_map, rtol=0, atol=1e-5)


def test_out_of_memory_with_one_frame_says_what_to_do() -> None:
    model = load()
    animation = model.start(INPUTS["source_256"], INPUTS["driving"][0], relative=True, adapt_scale=True)
    object.__setattr__(model.networks, "kp_detector", _SmallMemory(model.networks.kp_detector, 0))
    with pytest.raises(FommError, match="not enough memory for one frame") as raised:
        animation.step(INPUTS["driving"][0])
    assert "--cpu" in raised.value.next_step


def test_the_readmes_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.search(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert code
    source, driving = sample()
    shutil.copy(source, tmp_path / "source.png")
    shutil.copy(driving, tmp_path / "driving.mp4")
    shutil.copy(bundled_checkpoint(), tmp_path / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    exec(code[1], {})  # noqa: S102 - our own README
    frames = sorted(tmp_path.glob("frame_*.png"))
    assert len(frames) == 50
    assert np.asarray(Image.open(frames[-1])).shape == (256, 256, 3)
