"""A small discriminator for windows around mouths and eyes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from fomm_cli.training.discriminator import Judgement

_WIDTHS = (32, 64, 128)


class PatchDiscriminator(nn.Module):
    """Tells real from painted patches of about 22 pixels: (B, 3, H, W) -> score (B, 1, H / 8, W / 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            spectral_norm(nn.Conv2d(before, after, 4, stride=2, padding=1))
            for before, after in zip((3, *_WIDTHS), _WIDTHS, strict=False)
        )
        self.score = spectral_norm(nn.Conv2d(_WIDTHS[-1], 1, 3, padding=1))

    def forward(self, image: Tensor) -> Judgement:
        """Judge windows in RGB in [0, 1]."""
        out, features = 2 * image - 1, []
        for block in self.blocks:
            out = F.leaky_relu(block(out), 0.2)
            features.append(out)
        return Judgement(features, self.score(out))


def matched(fake: Sequence[Judgement], real: Sequence[Judgement]) -> Tensor:
    """Compare the features of painted and real windows."""
    distances = [
        F.l1_loss(one.float(), other.float().detach())
        for painted, wanted in zip(fake, real, strict=True)
        for one, other in zip(painted.features, wanted.features, strict=True)
    ]
    return torch.stack(distances).mean()


def judged(discriminator: PatchDiscriminator, seen: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """The loss of the discriminator for painted and real windows (least squares)."""
    losses = []
    for painted, wanted in seen:
        losses.append(discriminator(painted.detach()).score.float().square().mean())
        losses.append((1 - discriminator(wanted).score.float()).square().mean())
    return torch.stack(losses).mean()
