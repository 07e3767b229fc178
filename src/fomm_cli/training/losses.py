"""Compute the losses of the paper (section 3.3, supplementary material), term by term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fomm_cli.config.schema import Config
from fomm_cli.keypoints import KeyPoints, inverse_2x2
from fomm_cli.models.coordinates import full_precision
from fomm_cli.models.networks import Networks
from fomm_cli.training.discriminator import Judgement, MultiScaleDiscriminator, Pyramid
from fomm_cli.training.warp import Warp


@dataclass(frozen=True)
class Reconstruction:
    """The driving frames as the networks rebuild them from the source.

    Attributes:
        prediction: RGB in [0, 1], shape (B, 3, H, W).
        kp_source: keypoints of the source.
        kp_driving: keypoints of the driving frames.
    """

    prediction: Tensor
    kp_source: KeyPoints
    kp_driving: KeyPoints


class GeneratorLosses(nn.Module):
    """Rebuild a batch with detector and generator, and compute the losses.

    It is one module with one forward pass, as DistributedDataParallel needs to average gradients. The perceptual
    network and the discriminator are used, not trained, and therefore not part of it.
    """

    def __init__(self, networks: Networks, config: Config, perceptual: nn.Module) -> None:
        super().__init__()
        self.kp_detector = networks.kp_detector
        self.generator = networks.generator
        self.weights = config.train_params.loss_weights
        self.helpers = (perceptual, Pyramid(config.model_params.common_params.num_channels, _scales(config)))
        self.scales = config.train_params.scales

    def to_device(self, device: torch.device) -> None:
        """Move the networks and the helpers."""
        self.to(device)
        for helper in self.helpers:
            helper.to(device).eval().requires_grad_(False)

    def forward(
        self, source: Tensor, driving: Tensor, warp: Warp, discriminator: MultiScaleDiscriminator | None
    ) -> tuple[dict[str, Tensor], Reconstruction]:
        """Rebuild the driving frames and compute every weighted loss that is switched on.

        Args:
            source: RGB in [0, 1], shape (B, 3, H, W).
            driving: driving frames in the same form.
            warp: for the equivariance losses.
            discriminator: None without adversarial training.
        """
        kp_source, kp_driving = self.kp_detector(source), self.kp_detector(driving)
        prediction = self.generator(source, kp_source, kp_driving)
        result = Reconstruction(prediction, kp_source, kp_driving)
        perceptual, pyramid = self.helpers
        real, generated = pyramid(driving), pyramid(prediction)
        losses = {}
        if self.weights.l1:
            losses["l1"] = self.weights.l1 * F.l1_loss(prediction.float(), driving)
        if any(self.weights.perceptual):
            losses["perceptual"] = sum(
                (_perceptual(perceptual, generated[s], real[s], self.weights.perceptual) for s in self.scales),
                start=prediction.new_zeros(()),
            )
        if discriminator is not None:
            losses |= self._adversarial(discriminator, real, generated, kp_driving.value.detach())
        if self.weights.equivariance_value or self.weights.equivariance_jacobian:
            losses |= self._equivariance(driving, kp_driving, warp)
        return losses, result

    def _adversarial(
        self, discriminator: MultiScaleDiscriminator, real: dict[float, Tensor], generated: dict[float, Tensor],
        keypoints: Tensor,
    ) -> dict[str, Tensor]:  # fmt: skip
        """Compute the least-squares adversarial loss and feature matching."""
        fake = discriminator(generated, keypoints)
        losses = {"generator_gan": self.weights.generator_gan * sum((1 - each.score).square().mean() for each in fake)}
        if any(self.weights.feature_matching):
            with torch.no_grad():
                true = discriminator(real, keypoints)
            losses["feature_matching"] = feature_matching(fake, true, self.weights.feature_matching)
        return losses

    def _equivariance(self, driving: Tensor, kp_driving: KeyPoints, warp: Warp) -> dict[str, Tensor]:
        """Compute the loss of keypoints that do not move with the image (eq. 9 and 10 of the paper)."""
        with full_precision(driving):
            moved = warp.images(driving)
        warped = self.kp_detector(moved)
        with full_precision(driving):
            return self._inequivariance(kp_driving, warped, warp)

    def _inequivariance(self, kp_driving: KeyPoints, warped: KeyPoints, warp: Warp) -> dict[str, Tensor]:
        losses = {}
        if self.weights.equivariance_value:
            distance = (kp_driving.value - warp.points(warped.value)).abs().mean()
            losses["equivariance_value"] = self.weights.equivariance_value * distance
        if self.weights.equivariance_jacobian and kp_driving.jacobian is not None and warped.jacobian is not None:
            product = inverse_2x2(kp_driving.jacobian)[0] @ (warp.jacobian(warped.value) @ warped.jacobian)
            identity = torch.eye(2, device=product.device)
            losses["equivariance_jacobian"] = self.weights.equivariance_jacobian * (identity - product).abs().mean()
        return losses


class DiscriminatorLosses(nn.Module):
    """Judge real and generated images by the discriminators, and compute the losses."""

    def __init__(self, discriminator: MultiScaleDiscriminator, config: Config) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.weight = config.train_params.loss_weights.discriminator_gan
        self.helpers = (Pyramid(config.model_params.common_params.num_channels, discriminator.scales),)

    def forward(self, driving: Tensor, result: Reconstruction) -> dict[str, Tensor]:
        """Compute the weighted least-squares loss; no gradient reaches the generator."""
        (pyramid,) = self.helpers
        pyramid.to(driving.device)
        keypoints = result.kp_driving.value.detach()
        real = self.discriminator(pyramid(driving), keypoints)
        fake = self.discriminator(pyramid(result.prediction.detach()), keypoints)
        terms = ((1 - r.score).square().mean() + f.score.square().mean() for r, f in zip(real, fake, strict=True))
        return {"discriminator_gan": self.weight * sum(terms, start=driving.new_zeros(()))}


def feature_matching(fake: Sequence[Judgement], true: Sequence[Judgement], weights: Sequence[float]) -> Tensor:
    """Return the weighted mean absolute difference of discriminator features, block by block, summed over scales."""
    terms = [
        weight * F.l1_loss(theirs, ours)
        for one, other in zip(fake, true, strict=True)
        for theirs, ours, weight in zip(one.features, other.features, weights, strict=False)
    ]
    return torch.stack(terms).sum()


def _perceptual(network: nn.Module, generated: Tensor, real: Tensor, weights: Sequence[float]) -> Tensor:
    """Return the weighted mean absolute difference of the features of one scale (eq. 7), summed over slices."""
    with torch.no_grad():
        wanted = network(real)
    terms = [
        weight * F.l1_loss(features, target)
        for features, target, weight in zip(network(generated), wanted, weights, strict=False)
    ]
    return torch.stack(terms).sum()


def _scales(config: Config) -> tuple[float, ...]:
    """Return every scale that a loss uses, once."""
    discriminator = config.model_params.discriminator_params
    return tuple(dict.fromkeys((*config.train_params.scales, *(discriminator.scales if discriminator else ()))))
