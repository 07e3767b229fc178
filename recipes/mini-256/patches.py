"""A small discriminator for windows around mouths and eyes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fomm_cli.training.discriminator import Judgement

_WIDTHS = (32, 64, 128)
_ENLARGED = 8.0  # times, so that fine detail weighs as much as colours


class PatchDiscriminator(nn.Module):
    """Tell real from painted patches of about 22 pixels: (B, 3, H, W) -> score (B, 1, H / 8, W / 8).

    Skin hides whether a window is sharp, so the fine detail is seen a second time, enlarged.
    """

    def __init__(self) -> None:
        super().__init__()
        widths = (6, *_WIDTHS)
        blocks = [nn.Conv2d(before, after, 4, stride=2, padding=1) for before, after in pairwise(widths)]
        for block in blocks:
            nn.init.kaiming_normal_(block.weight, 0.2)
            nn.init.zeros_(block.bias)  # type: ignore[arg-type]
        self.blocks = nn.ModuleList(blocks)
        self.score = nn.Conv2d(_WIDTHS[-1], 1, 3, padding=1)

    def forward(self, image: Tensor) -> Judgement:
        """Judge windows in RGB in [0, 1]."""
        out, features = torch.cat((2 * image - 1, _ENLARGED * fine_detail(image)), 1), []
        for block in self.blocks:
            out = F.leaky_relu(block(out), 0.2)
            features.append(out)
        return Judgement(features, self.score(out))


def fine_detail(image: Tensor) -> Tensor:
    """Subtract from each pixel of an image (B, C, H, W) the mean of the 3 x 3 pixels around it."""
    return image - F.avg_pool2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), 3, 1)


def texture_difference(painted: Tensor, wanted: Tensor) -> Tensor:
    """Compare how strong the fine detail is in squares of 8 x 8 pixels, wherever it lies in them."""
    found, told = ((F.avg_pool2d(fine_detail(one.float()).square(), 8) + 1e-6).sqrt() for one in (painted, wanted))
    return F.l1_loss(found, told)


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
