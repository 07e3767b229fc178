"""Properties of keypoint transfer and of the coordinates it works in."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull

from fomm_cli.animation.transfer import MotionTransfer, hull_area
from fomm_cli.keypoints import KeyPoints, inverse_2x2
from fomm_cli.models.coordinates import coordinate_grid, gaussian_heatmaps, warp
from fomm_cli.models.dense_motion import local_motions


def random_points(count: int, seed: int) -> KeyPoints:
    generator = torch.Generator().manual_seed(seed)
    value = torch.rand(count, 10, 2, generator=generator) * 1.6 - 0.8
    jacobian = torch.eye(2) + 0.2 * torch.randn(count, 10, 2, 2, generator=generator)
    return KeyPoints(value, jacobian)


def test_inverses_are_those_of_linear_algebra() -> None:
    matrices = torch.randn(10_000, 2, 2, generator=torch.Generator().manual_seed(0))
    inverses, singular = inverse_2x2(matrices)
    assert not singular.any()
    expected = torch.linalg.inv(matrices.double())
    error = (inverses - expected).abs().amax((1, 2)) / expected.abs().amax((1, 2))
    assert error.median() < 1e-6
    assert torch.equal(inverse_2x2(torch.eye(2)[None])[0], torch.eye(2)[None])


@pytest.mark.parametrize(
    "matrix",
    [
        [[0.0, 0.0], [0.0, 0.0]],
        [[1.0, 2.0], [2.0, 4.0]],
        [[0.0, 1.0], [0.0, 2.0]],
        [[float("nan"), 0.0], [0.0, 1.0]],
        [[float("inf"), 1.0], [1.0, 1.0]],
        [[3e-39, 0.0], [0.0, 0.0]],
    ],
)
def test_what_has_no_inverse_gives_the_identity(matrix: list[list[float]]) -> None:
    inverse, singular = inverse_2x2(torch.tensor([matrix]))
    assert singular.all()
    assert torch.equal(inverse[0], torch.eye(2))


def test_relative_motion_of_the_initial_frame_leaves_the_source_as_it_is() -> None:
    source, driving = random_points(1, 1), random_points(1, 2)
    moved = MotionTransfer.between(source, driving, relative=True, adapt_scale=True)(driving)
    torch.testing.assert_close(moved.value, source.value)
    torch.testing.assert_close(moved.jacobian, source.jacobian, rtol=1e-4, atol=1e-4)


def test_absolute_motion_is_the_driving_motion() -> None:
    source, driving = random_points(1, 1), random_points(4, 2)
    moved = MotionTransfer.between(source, driving[0:1], relative=False, adapt_scale=True)(driving)
    assert moved is driving


def test_adapted_scale_follows_the_size_of_the_face() -> None:
    source, driving = random_points(1, 1), random_points(2, 2)
    half = KeyPoints(source.value / 2, source.jacobian)
    shift = [
        MotionTransfer.between(points, driving[0:1], relative=True, adapt_scale=True)(driving[1:2]).value - points.value
        for points in (source, half)
    ]
    torch.testing.assert_close(shift[0], 2 * shift[1])


@pytest.mark.parametrize("count", [3, 4, 10, 200])
def test_hull_areas_are_those_of_qhull(count: int) -> None:
    points = np.random.default_rng(count).uniform(-1, 1, (count, 2))
    expected = pytest.approx(ConvexHull(points).volume, rel=1e-12)
    assert hull_area(points) == expected
    assert hull_area(np.concatenate([points, points, points[:2].mean(axis=0, keepdims=True)])) == expected


@pytest.mark.parametrize("points", [[], [[1, 2]], [[0, 0], [1, 1], [3, 3]], [[0, 0], [0, 1], [np.nan, 1], [1, 1]]])
def test_points_without_a_hull_have_no_area(points: list[list[float]]) -> None:
    assert hull_area(np.array(points).reshape(-1, 2)) == 0


def test_a_batch_is_transferred_as_its_frames_are() -> None:
    source, driving = random_points(1, 1), random_points(5, 2)
    transfer = MotionTransfer.between(source, driving[0:1], relative=True, adapt_scale=True)
    together = transfer(driving)
    for t in range(5):
        alone = transfer(driving[t : t + 1])
        assert torch.equal(alone.value[0], together.value[t])
        torch.testing.assert_close(alone.jacobian[0], together.jacobian[t])


def test_key_points_on_a_line_and_dead_jacobians_warn_and_stay_finite(caplog: pytest.LogCaptureFixture) -> None:
    line = torch.linspace(-0.5, 0.5, 10)
    collinear = KeyPoints(torch.stack((line, line), -1)[None], torch.zeros(1, 10, 2, 2))
    source = random_points(1, 1)
    with caplog.at_level(logging.WARNING, "fomm_cli"):
        moved = MotionTransfer.between(source, collinear, relative=True, adapt_scale=True)(collinear)
    assert torch.isfinite(moved.value).all()
    assert torch.isfinite(moved.jacobian).all()
    assert torch.isfinite(local_motions(source, moved, 16, 16)).all()
    assert len(caplog.records) == 2


@pytest.mark.parametrize("size", [(16, 16), (9, 14)])
def test_the_identity_flow_returns_the_picture(size: tuple[int, int]) -> None:
    picture = torch.rand(1, 3, *size)
    grid = coordinate_grid(*size, picture)[None]
    torch.testing.assert_close(warp(picture, grid, align_corners=True), picture, atol=1e-5, rtol=0)
    assert (warp(picture, grid, align_corners=False) - picture).abs().max() > 0.01


def test_coordinates_are_x_then_y_from_corner_to_corner() -> None:
    grid = coordinate_grid(3, 5, torch.zeros(1))
    assert grid.shape == (3, 5, 2)
    assert grid[0, 0].tolist() == [-1, -1]
    assert grid[0, -1].tolist() == [1, -1]
    assert grid[-1, 0].tolist() == [-1, 1]


def test_heatmaps_peak_at_their_keypoints() -> None:
    heatmaps = gaussian_heatmaps(torch.tensor([[[0.0, 0.0], [-1.0, 1.0]]]), 9, 9, 0.01)
    assert heatmaps[0, 0].argmax().item() == 4 * 9 + 4
    assert heatmaps[0, 1].argmax().item() == 8 * 9
    assert heatmaps.max().item() == 1


def test_unmoved_key_points_give_the_identity_flow_everywhere() -> None:
    points = random_points(1, 3)
    motions = local_motions(points, points, 8, 8)
    torch.testing.assert_close(motions, coordinate_grid(8, 8, motions).expand_as(motions), atol=1e-5, rtol=0)
