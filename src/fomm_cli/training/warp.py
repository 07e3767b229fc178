"""Warp images smoothly at random: an affine map and a thin-plate spline (section 3.1 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fomm_cli.config.schema import TransformParams
from fomm_cli.models.coordinates import coordinate_grid


@dataclass(frozen=True)
class Warp:
    """One map of the plane for each of B images, in coordinates where a frame spans -1 to 1.

    Attributes:
        affine: linear part and shift, shape (B, 2, 3).
        control_points: of the spline, shape (P, 2).
        weights: of each control point, the same for x and y, shape (B, P); None for an affine map.
    """

    affine: Tensor
    control_points: Tensor
    weights: Tensor | None

    @classmethod
    def random(cls, batch: int, params: TransformParams, generator: torch.Generator) -> Warp:
        """Draw B maps near the identity, on the device of `generator`."""
        device = generator.device
        noise = torch.randn(batch, 2, 3, device=device, generator=generator)
        affine = torch.eye(2, 3, device=device) + params.sigma_affine * noise
        points = coordinate_grid(params.points_tps, params.points_tps, affine).reshape(-1, 2)
        weights = None
        if params.sigma_tps:
            weights = params.sigma_tps * torch.randn(batch, len(points), device=device, generator=generator)
        return cls(affine, points, weights)

    def points(self, coordinates: Tensor) -> Tensor:
        """Map points (B or 1, N, 2) to (B, N, 2)."""
        linear, shift = self.affine[:, :, :2], self.affine[:, :, 2]
        mapped = coordinates @ linear.transpose(1, 2) + shift[:, None]
        if self.weights is None:
            return mapped
        distance = (coordinates[:, :, None] - self.control_points).abs().sum(-1)  # (B, N, P), as the original: L1
        bending = distance.square() * torch.log(distance + 1e-6)
        return mapped + (bending * self.weights[:, None]).sum(-1, keepdim=True)

    def jacobian(self, coordinates: Tensor) -> Tensor:
        """Return the derivative of the map at points (B, N, 2), (B, N, 2, 2): rows are outputs, columns inputs."""
        with torch.enable_grad():
            inputs = coordinates if coordinates.requires_grad else coordinates.detach().requires_grad_()
            mapped = self.points(inputs)
            rows = [torch.autograd.grad(mapped[..., axis].sum(), inputs, create_graph=True)[0] for axis in range(2)]
        return torch.stack(rows, dim=-2)

    def images(self, images: Tensor) -> Tensor:
        """Sample images (B, C, H, W) where the map sends each pixel; the outside is mirrored."""
        height, width = images.shape[2:]
        grid = coordinate_grid(height, width, self.affine).reshape(1, height * width, 2)
        flow = self.points(grid).view(-1, height, width, 2)
        return F.grid_sample(images, flow.to(images.dtype), padding_mode="reflection", align_corners=True)
