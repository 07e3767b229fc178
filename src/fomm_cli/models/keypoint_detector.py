"""Detect keypoints and Jacobians (the keypoint detector, section 3.1 of the paper)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fomm_cli.config.schema import CommonParams, KPDetectorParams
from fomm_cli.keypoints import KeyPoints
from fomm_cli.models.coordinates import coordinate_grid, full_precision
from fomm_cli.models.layers import Hourglass, downsampling


class KPDetector(nn.Module):
    """Detect K keypoints and, for a first-order model, their Jacobians.

    An hourglass predicts one heatmap a keypoint; its expectation is the position, and the Jacobian map averaged
    under it is the Jacobian.
    """

    def __init__(self, common: CommonParams, params: KPDetectorParams) -> None:
        super().__init__()
        self.down = downsampling(common.num_channels, params.scale_factor)
        self.predictor = Hourglass(common.num_channels, params.block_expansion, params.max_features, params.num_blocks)
        self.kp = nn.Conv2d(self.predictor.out_features, common.num_kp, common.head_kernel, padding=params.pad)
        self.jacobian: nn.Conv2d | None = None
        if common.estimate_jacobian:
            maps = 1 if params.single_jacobian_map else common.num_kp
            self.jacobian = nn.Conv2d(self.predictor.out_features, 4 * maps, common.head_kernel, padding=params.pad)
            nn.init.zeros_(self.jacobian.weight)
            self.jacobian.bias = nn.Parameter(torch.tensor([1.0, 0, 0, 1] * maps))  # training starts from the identity
        self.temperature = params.temperature

    def forward(self, image: Tensor) -> KeyPoints:
        """Detect keypoints.

        Args:
            image: RGB in [0, 1], shape (B, 3, H, W).

        Returns:
            Positions (B, K, 2) and Jacobians (B, K, 2, 2) or None.
        """
        features = self.predictor(self.down(image))
        jacobians = None if self.jacobian is None else self.jacobian(features).float()
        scores = self.kp(features).float()
        with full_precision(image):
            return self._average(scores, jacobians)

    def _average(self, scores: Tensor, jacobians: Tensor | None) -> KeyPoints:
        """Average over the heat maps of scores (B, K, H, W), and over Jacobian maps (B, 4 or 4 K, H, W)."""
        batch, points, height, width = scores.shape
        heatmap = F.softmax(scores.flatten(2) / self.temperature, dim=2)  # (B, K, H * W)
        value = heatmap @ coordinate_grid(height, width, heatmap).view(height * width, 2)
        if jacobians is None:
            return KeyPoints(value)
        maps = jacobians.reshape(batch, -1, 4, height * width)  # (B, 1 or K, 4, H * W)
        jacobian = maps @ heatmap[..., None]  # (B, K, 4, 1)
        return KeyPoints(value, jacobian.view(batch, points, 2, 2))
