"""`--motion_scale` and `--smooth`."""

from __future__ import annotations

import pytest
import torch

from fomm_cli.animation.transfer import MotionTransfer, Smoother
from fomm_cli.keypoints import KeyPoints
from support.parity_data import recording

RATE = 25


def test_the_strength_multiplies_the_motion_and_one_changes_nothing() -> None:
    recorded = recording("tiny_first_order")
    source, driving = recorded.keypoints("kp_source"), recorded.keypoints("kp_driving")

    def moved(strength: float) -> KeyPoints:
        return MotionTransfer.between(source, driving[0:1], relative=True, adapt_scale=True, motion_scale=strength)(
            driving[2:3]
        )

    plain = MotionTransfer.between(source, driving[0:1], relative=True, adapt_scale=True)(driving[2:3])
    assert source.jacobian is not None
    assert plain.jacobian is not None
    still, same, double = moved(0.0), moved(1.0), moved(2.0)
    assert torch.equal(same.value, plain.value)
    assert torch.equal(same.jacobian, plain.jacobian)
    torch.testing.assert_close(still.value, source.value)
    torch.testing.assert_close(still.jacobian, source.jacobian)
    torch.testing.assert_close(double.value - source.value, 2 * (plain.value - source.value))
    torch.testing.assert_close(double.jacobian - source.jacobian, 2 * (plain.jacobian - source.jacobian))


def _smoothed(points: KeyPoints, size: int) -> KeyPoints:
    smoother, parts = Smoother(1 / RATE), []
    for start in range(0, len(points), size):
        part, smoother = smoother(points[start : start + size])
        parts.append(part)
    jacobians = [part.jacobian for part in parts if part.jacobian is not None]
    return KeyPoints(torch.cat([part.value for part in parts]), torch.cat(jacobians))


@pytest.fixture
def jittering() -> KeyPoints:
    """100 frames of 10 keypoints that stand still but for noise."""
    noise = torch.Generator().manual_seed(0)
    value = 0.005 * torch.randn(100, 10, 2, generator=noise)
    return KeyPoints(value, torch.eye(2) + 0.01 * torch.randn(100, 10, 2, 2, generator=noise))


def test_smoothing_takes_the_jitter_away(jittering: KeyPoints) -> None:
    smoothed = _smoothed(jittering, 4)
    for before, after in ((jittering.value, smoothed.value), (jittering.jacobian, smoothed.jacobian)):
        assert before is not None
        assert after is not None
        assert after[1:].diff(dim=0).std() < before.diff(dim=0).std() / 2


def test_smoothing_keeps_the_motion() -> None:
    """A head that turns there and back in a second, over half of the frame, lags by less than two frames."""
    time = torch.arange(50) / RATE
    value = (0.5 * torch.sin(2 * torch.pi * time))[:, None, None].expand(50, 10, 2)
    smoothed = _smoothed(KeyPoints(value, torch.eye(2).expand(50, 10, 2, 2)), 50)
    fastest = 0.5 * 2 * torch.pi / RATE
    assert (smoothed.value - value).abs().max() < 2 * fastest
    torch.testing.assert_close(smoothed.jacobian, torch.eye(2).expand(50, 10, 2, 2))


@pytest.mark.parametrize("size", [1, 7])
def test_smoothing_does_not_depend_on_the_batches(jittering: KeyPoints, size: int) -> None:
    whole, parts = _smoothed(jittering, 100), _smoothed(jittering, size)
    assert torch.equal(whole.value, parts.value)
    assert torch.equal(whole.jacobian, parts.jacobian)
