"""Estimate the dense motion from sparse keypoints (the dense-motion network, section 3.2 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fomm_cli.config.schema import CommonParams, DenseMotionParams
from fomm_cli.keypoints import KeyPoints, inverse_2x2
from fomm_cli.models.coordinates import coordinate_grid, double_by_guide, full_precision, gaussian_heatmaps, warp
from fomm_cli.models.layers import Hourglass, downsampling, head

GUIDE = 36  # scores: nine neighbours for each of four new pixels


@dataclass(frozen=True)
class DenseMotion:
    """The place in the source that every pixel of a driving frame comes from.

    Attributes:
        deformation: backward flow, shape (B, h, w, 2), in coordinates of [-1, 1].
        mask: share of each local motion in the flow, background first, shape (B, K + 1, h, w), sums to 1 over dim 1.
        occlusion_map: 1 where the source can be warped, 0 where it must be painted, shape (B, 1, h, w), or None.
        hints: features of the driving frame for what must be painted, shape (B, H, h, w), or None.

    With guided upsampling the deformation and the occlusion map are twice as large as the rest.
    """

    deformation: Tensor
    mask: Tensor
    occlusion_map: Tensor | None
    hints: Tensor | None = None


class DenseMotionNetwork(nn.Module):
    """Combine the local motions around the keypoints into one flow field."""

    def __init__(
        self,
        common: CommonParams,
        params: DenseMotionParams,
        *,
        estimate_occlusion_map: bool,
        align_corners: bool,
        hints: int = 0,
    ) -> None:
        super().__init__()
        local_motions = common.num_kp + 1
        self.down = downsampling(common.num_channels, params.scale_factor)
        self.hourglass = Hourglass(
            local_motions * (common.num_channels + 1),
            params.block_expansion,
            params.max_features,
            params.num_blocks,
        )
        self.mask = head(self.hourglass.out_features, local_motions, common.head_kernel)
        self.occlusion = head(self.hourglass.out_features, 1, common.head_kernel) if estimate_occlusion_map else None
        self.guide: nn.Conv2d | None = None
        if params.guided_upsampling:
            self.guide = head(self.hourglass.out_features, GUIDE, common.head_kernel)
            for parameter in self.guide.parameters():
                nn.init.zeros_(parameter)  # training starts from bilinear interpolation
        self.hints = head(self.hourglass.out_features, hints, common.head_kernel) if hints else None
        self.kp_variance = params.kp_variance
        self.align_corners = align_corners

    def forward(self, source: Tensor, kp_source: KeyPoints, kp_driving: KeyPoints) -> DenseMotion:
        """Predict the flow from driving to source.

        Args:
            source: the source at the working size, `self.down(image)`, shape (1 or B, 3, h, w).
            kp_source: keypoints of the source, 1 or B.
            kp_driving: keypoints that the source is to take, B.
        """
        motions, inputs = self.candidates(source, kp_source, kp_driving)
        return self.combine(motions, self.estimate(inputs))

    def candidates(self, source: Tensor, kp_source: KeyPoints, kp_driving: KeyPoints) -> tuple[Tensor, Tensor]:
        """Return the local motions (B, K + 1, h, w, 2), and the source warped by each of them.

        Args:
            source: as in `forward`.
            kp_source: as in `forward`.
            kp_driving: as in `forward`.

        Returns:
            The motions, and heatmaps and warped sources, shape (B, (K + 1) * 4, h, w).
        """
        height, width = source.shape[2:]
        with full_precision(source):
            motions = local_motions(kp_source, kp_driving, height, width)  # (B, K + 1, h, w, 2)
        heatmaps = self._heatmap_differences(kp_source, kp_driving, height, width)  # (B, K + 1, 1, h, w)
        warped = self._warp_by_each(source, motions)  # (B, K + 1, 3, h, w)
        return motions, torch.cat((heatmaps, warped), dim=2).flatten(1, 2)

    def estimate(self, inputs: Tensor) -> Tensor:
        """Run the layers between `candidates` and `combine`: (B, sum of the heads' channels, h, w)."""
        return convolve_at_once(self.hourglass(inputs), self.heads)

    @property
    def heads(self) -> list[nn.Conv2d]:
        """Return the last convolutions that exist, of: scores of each motion, occlusion, guide and hints."""
        return [head for head in (self.mask, self.occlusion, self.guide, self.hints) if head is not None]

    def combine(self, motions: Tensor, scores: Tensor) -> DenseMotion:
        """Weigh local motions (B, K + 1, h, w, 2) by the scores of `estimate`."""
        parts = iter(torch.split(scores, [head.out_channels for head in self.heads], dim=1))
        mask = F.softmax(next(parts).float(), dim=1)
        deformation = (motions * mask[..., None]).sum(dim=1)
        occlusion_map = None if self.occlusion is None else torch.sigmoid(next(parts))
        if self.guide is not None:
            with full_precision(deformation):
                deformation, occlusion_map = _doubled(deformation, occlusion_map, next(parts).float())
        return DenseMotion(deformation, mask, occlusion_map, None if self.hints is None else next(parts))

    def _heatmap_differences(self, kp_source: KeyPoints, kp_driving: KeyPoints, height: int, width: int) -> Tensor:
        """Return driving minus source Gaussians, (B, K + 1, 1, h, w); zero for the background (eq. 6)."""
        heatmaps = gaussian_heatmaps(kp_driving.value, height, width, self.kp_variance) - gaussian_heatmaps(
            kp_source.value, height, width, self.kp_variance
        )
        return F.pad(heatmaps, (0, 0, 0, 0, 1, 0))[:, :, None]

    def _warp_by_each(self, source: Tensor, motions: Tensor) -> Tensor:
        """Warp the source by each local motion alone, shape (B, K + 1, 3, h, w)."""
        batch, count, height, width, _ = motions.shape
        # the motions below one another are one tall flow, so that the source is not copied for each
        tall = warp(source, motions.reshape(batch, count * height, width, 2), align_corners=self.align_corners)
        return tall.view(batch, -1, count, height, width).transpose(1, 2)


def _doubled(deformation: Tensor, occlusion_map: Tensor | None, guide: Tensor) -> tuple[Tensor, Tensor | None]:
    """Double the size of a flow (B, h, w, 2) and an occlusion map (B, 1, h, w) by scores (B, 36, h, w)."""
    height, width = deformation.shape[1:3]
    # shifts, not places: a pixel that takes over the shift of a neighbour still shows its own part of the source
    shifts = (deformation - coordinate_grid(height, width, deformation)).permute(0, 3, 1, 2)
    maps = shifts if occlusion_map is None else torch.cat((shifts, occlusion_map.float()), dim=1)
    maps = double_by_guide(maps, guide)
    doubled = maps[:, :2].permute(0, 2, 3, 1) + coordinate_grid(2 * height, 2 * width, deformation)
    return doubled, None if occlusion_map is None else maps[:, 2:]


def convolve_at_once(features: Tensor, heads: list[nn.Conv2d]) -> Tensor:
    """Apply several convolutions of one shape as one; returns their outputs one after another, (B, sum of C', h, w)."""
    weight = torch.cat([head.weight for head in heads])
    bias = torch.cat([head.bias for head in heads if head.bias is not None])
    return F.conv2d(features, weight, bias, padding=heads[0].padding)


def local_motions(kp_source: KeyPoints, kp_driving: KeyPoints, height: int, width: int) -> Tensor:
    """Return the first-order motion around each keypoint, driving to source coordinates (eq. 4), background first.

    Returns:
        Shape (B, K + 1, height, width, 2).
    """
    grid = coordinate_grid(height, width, kp_driving.value)
    offset = grid - kp_driving.value[:, :, None, None]  # (B, K, h, w, 2)
    if kp_driving.jacobian is not None and kp_source.jacobian is not None:
        inverse, _ = inverse_2x2(kp_driving.jacobian)
        jacobian = kp_source.jacobian @ inverse  # (B, K, 2, 2)
        offset = (offset.flatten(2, 3) @ jacobian.transpose(-1, -2)).view(offset.shape)
    motions = offset + kp_source.value[:, :, None, None]
    identity = grid.expand(motions.shape[0], 1, -1, -1, -1)
    return torch.cat((identity, motions), dim=1)
