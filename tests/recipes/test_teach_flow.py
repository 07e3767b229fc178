"""What teach_flow.py tells the networks: where pixels come from, and whether keypoints move with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

from conftest import REPOSITORY
from fomm_cli.keypoints import KeyPoints
from fomm_cli.models.coordinates import coordinate_grid

SHIFT = (7, -4)  # pixels to the right and down, from the first frame to the second


@pytest.fixture(autouse=True)
def recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "recipes" / "mini-256")


@pytest.fixture
def pair() -> torch.Tensor:
    """An image and itself shifted, (2, 3, 256, 256)."""
    noise = np.random.default_rng(0).random((3, 256, 256))
    image = gaussian_filter(noise, (0, 4, 4))
    image = (image - image.min()) / np.ptp(image)
    return torch.from_numpy(np.stack((image, np.roll(image, SHIFT[::-1], (1, 2))))).float()


@pytest.mark.usefixtures("with_mediapipe")
def test_optical_flow_leads_to_where_pixels_come_from(pair: torch.Tensor) -> None:
    import cv2
    from teach_flow import optical_flow

    optical = cv2.DISOpticalFlow.create(cv2.DISOpticalFlow_PRESET_MEDIUM)
    flow, believed = optical_flow(optical, pair)
    inside = slice(16, -16)
    warped = F.grid_sample(pair, flow.permute(0, 2, 3, 1), align_corners=True)
    driving = F.interpolate(pair[[1, 0]], size=128, mode="bilinear", align_corners=True)
    copied = F.interpolate(pair, size=128, mode="bilinear", align_corners=True)
    error, without = ((each - driving)[..., inside, inside].abs().mean() for each in (warped, copied))
    assert error < 0.1 * without
    assert believed[..., inside, inside].mean() > 0.95


@pytest.mark.usefixtures("with_mediapipe")
def test_keypoints_that_move_with_the_image_are_on_track() -> None:
    from teach_flow import FEATURES, MIRROR, off_track

    shift = torch.tensor(SHIFT) * 2 / 255
    value = torch.rand(1, len(MIRROR), 2, generator=torch.Generator().manual_seed(0)) - 0.5
    found = KeyPoints(torch.cat((value, value + shift)), torch.eye(2).expand(2, len(MIRROR), 2, 2))
    grid = coordinate_grid(128, 128, value).permute(2, 0, 1)
    flow = torch.stack((grid - shift[:, None, None], grid + shift[:, None, None]))
    known = torch.ones(2, 1, 128, 128)
    assert off_track(found, flow, known) == pytest.approx(0, abs=1e-5)
    astray = found.value.clone()
    astray[1, len(FEATURES) :] -= shift  # as if the loose ones rested
    assert off_track(KeyPoints(astray, found.jacobian), flow, known) == pytest.approx(
        shift.abs().sum().item(), rel=1e-3
    )
    assert off_track(KeyPoints(astray, found.jacobian), flow, 0 * known) == 0
