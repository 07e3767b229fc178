"""Results larger than the model: the fine detail of the source, warped by the flow."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fomm_cli import Animator
from fomm_cli.animation.detail import DetailTransfer
from fomm_cli.animation.enlarge import enlarged, result_size
from fomm_cli.animation.flow import FlowSampling
from fomm_cli.cli import main
from fomm_cli.geometry import Region
from fomm_cli.media.resize import fit_source
from fomm_cli.models.bundled import sample
from support.media_helpers import describe
from support.parity_data import PARITY

SMALL, LARGE, NODES = 64, 128, 16
MODEL = [f"--config={PARITY / 'tiny_zero_order.yaml'}", f"--checkpoint={PARITY / 'tiny_zero_order.pth.tar'}"]
INPUTS = np.load(PARITY / "inputs.npz")


def drawing(seed: int = 0) -> np.ndarray:
    """An image with much fine detail, well above the noise."""
    random = np.random.default_rng(seed)
    smooth = cv2.resize(random.uniform(60, 190, (9, 9, 3)), (LARGE, LARGE), interpolation=cv2.INTER_CUBIC)
    grain = random.choice([-40.0, 40.0], (LARGE, LARGE, 1))
    return np.rint(smooth + grain).clip(0, 255).astype(np.uint8)


def identity(sampling: FlowSampling) -> np.ndarray:
    """The flow with which nothing moves; without `align_corners` the outermost nodes are cell centres."""
    extent = SMALL if sampling.skips else NODES
    place = np.arange(NODES) * (extent - 1) / (NODES - 1)
    line = 2 * place / (extent - 1) - 1 if sampling.align_corners else (2 * place + 1) / extent - 1
    x, y = np.meshgrid(line, line)
    return np.stack((x, y), axis=-1).astype(np.float32)


def as_seen(source: np.ndarray) -> np.ndarray:
    return fit_source(source, (SMALL, SMALL), "stretch")


def as_frame(shown: np.ndarray) -> np.ndarray:
    return np.rint(shown * 255).astype(np.uint8)


def plain(frame: np.ndarray) -> np.ndarray:
    return cv2.resize(frame, (LARGE, LARGE), interpolation=cv2.INTER_CUBIC)


def error(one: np.ndarray, other: np.ndarray) -> float:
    border = 8
    inner = slice(border, -border)
    return float(np.abs(one[inner, inner].astype(float) - other[inner, inner]).mean())


def moved(
    transfer: DetailTransfer, frame: np.ndarray, flow: np.ndarray, occlusion: np.ndarray | None = None
) -> np.ndarray:
    return transfer(frame, transfer.warp.of(flow), occlusion)


FIRST = FlowSampling(skips=True, align_corners=True)


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("align_corners", [True, False])
def test_without_motion_the_source_comes_back(skips: bool, align_corners: bool) -> None:
    sampling, source = FlowSampling(skips, align_corners), drawing()
    shown = as_seen(source)
    transfer, everywhere = DetailTransfer(source, shown, sampling), np.ones((NODES, NODES))
    result = moved(transfer, as_frame(shown), identity(sampling), everywhere)
    assert error(result, source) < 0.2 * error(plain(as_frame(shown)), source)


@pytest.mark.parametrize("skips", [True, False])
def test_detail_moves_with_the_flow(skips: bool) -> None:
    sampling, source = FlowSampling(skips, align_corners=True), drawing()
    expected = np.roll(source, (4, -6), axis=(0, 1))  # whole pixels of the small image too
    extent = SMALL if skips else NODES
    flow = identity(sampling)
    flow[..., 0] += 6 / LARGE * extent * 2 / (extent - 1)
    flow[..., 1] -= 4 / LARGE * extent * 2 / (extent - 1)
    frame = as_frame(as_seen(expected))
    result = moved(DetailTransfer(source, as_seen(source), sampling), frame, flow)
    assert error(result, expected) < 0.25 * error(plain(frame), expected)


def test_no_detail_where_the_networks_paint_or_the_flow_folds() -> None:
    source = drawing()
    shown = as_seen(source)
    transfer, frame, flow = DetailTransfer(source, shown, FIRST), as_frame(shown), identity(FIRST)
    assert np.array_equal(moved(transfer, frame, flow, np.zeros((NODES, NODES), np.float32)), plain(frame))
    mirrored = flow.copy()
    mirrored[..., 0] *= -1
    other = as_frame(as_seen(source[:, ::-1]))
    assert np.array_equal(moved(transfer, other, mirrored), plain(other))
    squeezed = flow * np.array([2.2, 1], np.float32)
    assert np.array_equal(moved(transfer, frame, squeezed), plain(frame))
    painted = as_frame(as_seen(drawing(1)))
    assert error(moved(transfer, painted, flow), plain(painted)) < 0.1 * error(
        moved(transfer, frame, flow), plain(frame)
    )


def test_noise_is_left_where_it_is() -> None:
    """Grain of a grey level does not move with a face, so it is not warped."""
    random = np.random.default_rng(0)
    source = (128 + random.integers(-1, 2, (LARGE, LARGE, 3))).astype(np.uint8)
    shown = as_seen(source)
    result = moved(DetailTransfer(source, shown, FIRST), as_frame(shown), identity(FIRST))
    assert np.abs(result.astype(int) - plain(as_frame(shown))).max() <= 1


@pytest.mark.parametrize(
    ("size", "shown", "expected"),
    [(512, (300, 300), (512, 512)), ("source", (301, 400), (300, 400)), ("source", (6000, 3000), (2048, 1024)),
     ("source", (40, 40), (64, 64)), (64, (900, 900), (64, 64))],
)  # fmt: skip
def test_result_sizes_are_even(size: int | str, shown: tuple[int, int], expected: tuple[int, int]) -> None:
    assert result_size(size, shown, (256, 256)) == expected


@pytest.fixture(scope="module")
def animator() -> Animator:
    return Animator.load(PARITY / "tiny_first_order.pth.tar", PARITY / "tiny_first_order.yaml", device="cpu")


def test_the_models_own_size_changes_nothing(animator: Animator) -> None:
    source, driving = INPUTS["source"], INPUTS["driving"][:2]
    default = list(animator.animate(source, driving))
    assert np.array_equal(default, list(animator.animate(source, driving, size="model")))
    reduced = list(animator.animate(source, driving, size=64))
    area = [cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA) for frame in default]
    assert np.array_equal(reduced, area)


def test_the_size_of_the_source_is_that_of_its_crop(animator: Animator) -> None:
    image = np.asarray(Image.open(sample()[0]).convert("RGB"))
    generator = animator.networks.generator
    crop = Region(-10, 20, 120, 120)
    refine = enlarged(image, crop, "stretch", "source", animator.size, generator)
    assert refine is not None
    assert refine.size == (120, 120)
    assert enlarged(image, crop, "stretch", "model", animator.size, generator) is None


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["-s", str(sample()[0]), "-d", str(sample()[1]), "--max_frames", "2", "--cpu", "--crop", "none"]
    assert main(["animate", *MODEL, *files, "--size", "320", "--visualize", "-o", str(tmp_path / "a.mp4")]) == 0
    assert "320x320" in describe(tmp_path / "a.mp4")
    assert "960x320" in describe(tmp_path / "a_visualization.mp4")
    for wrong in ("321", "62", "4096", "big"):
        assert main(["animate", *MODEL, *files, "--size", wrong, "-o", str(tmp_path / "b.mp4")]) == 2
        assert "from 64 to 2048" in capsys.readouterr().err or wrong == "big"
    assert not (tmp_path / "b.mp4").exists()
