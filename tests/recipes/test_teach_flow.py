"""What teach_flow.py tells the networks: where pixels come from, and which local motion is theirs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

from conftest import REPOSITORY
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
def test_local_motions_that_lead_the_right_way_are_likely() -> None:
    from teach_flow import surprise

    grid = coordinate_grid(64, 64, torch.zeros(1))
    shift = torch.tensor(SHIFT) * 2 / 255
    motions = torch.stack((grid, grid + shift))[None]  # the background rests, one keypoint moves
    flow = (coordinate_grid(128, 128, grid) + shift).permute(2, 0, 1)[None]
    known = torch.ones(1, 1, 128, 128)
    right, wrong = (
        surprise(motions, torch.tensor(mask).view(1, 2, 1, 1).expand(1, 2, 64, 64), flow, known)
        for mask in ((0.1, 0.9), (0.9, 0.1))
    )
    assert right < wrong
    assert right == pytest.approx(-np.log(0.9), abs=1e-2)
    assert surprise(motions, torch.full((1, 2, 64, 64), 0.5), flow, 0 * known) == 0
