"""Choose the size of a result, and bring an animation to it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fomm_cli.animation.animation import to_images
from fomm_cli.animation.detail import DetailTransfer
from fomm_cli.animation.flow import FlowSampling, FrameWarp
from fomm_cli.engines.engine import Decoded
from fomm_cli.geometry import Region
from fomm_cli.media.crop import cropped, region_of
from fomm_cli.media.options import LEAST_PIXELS, MOST_PIXELS, Fit
from fomm_cli.media.paste import fitted_region
from fomm_cli.media.resize import Size, fit_frame, fit_source
from fomm_cli.models.generator import Generator


class Enlarged:
    """The images of one animated source at another size than the model's; a `Refine`.

    Attributes:
        size: (height, width) of the images.
    """

    def __init__(self, part: np.ndarray, size: Size, model_size: Size, generator: Generator) -> None:
        """Prepare what is the same for every frame.

        Args:
            part: what is animated of the source image, uint8 (H, W, 3) of any size.
            size: (height, width) of the images.
            model_size: (height, width) of the model's frames.
            generator: of the model.
        """
        self.size = size
        sampling = FlowSampling(generator.skips, generator.align_corners)
        self._transfer = DetailTransfer(
            fit_frame(part, size, "stretch"), fit_source(part, model_size, "stretch"), sampling
        )

    def __call__(self, decoded: Decoded) -> np.ndarray:
        """Return the images of decoded frames, uint8 (B, height, width, 3)."""
        return np.stack([image for image, _ in self.with_warps(decoded)])

    def with_warps(self, decoded: Decoded) -> Iterator[tuple[np.ndarray, FrameWarp]]:
        """Yield the image of each decoded frame, uint8 (height, width, 3), and its warp, valid until the next."""
        images, flows = to_images(decoded.frames), decoded.flow.float().cpu().numpy()
        maps = [None] * len(images)
        if decoded.occlusion_map is not None:
            maps = list(decoded.occlusion_map[:, 0].float().cpu().numpy())
        for image, flow, occlusion in zip(images, flows, maps, strict=True):
            warp = self._transfer.warp.of(flow)
            yield self._transfer(image, warp, occlusion), warp


def enlarged(
    image: np.ndarray, crop: Region | None, fit: Fit, size: int | str, model_size: Size, generator: Generator
) -> Enlarged | None:
    """Prepare for results of another size than the model's; None where it is the model's own.

    Args:
        image: the source, uint8 (H, W, 3).
        crop: the part of it that is animated; None for all of it.
        fit: how that is brought to the model's shape.
        size: as in `AnimateJob`.
        model_size: (height, width) of the model's frames.
        generator: of the model.
    """
    if size == "model":
        return None
    part = cropped(image, crop)
    region = fitted_region(part.shape, model_size, fit)
    part = region_of(part, region)
    return Enlarged(part, result_size(size, (region.height, region.width), model_size), model_size, generator)


def result_size(size: int | str, shown: Size, model_size: Size) -> Size:
    """Return (height, width) of a result, both even.

    Args:
        size: pixels of the longer side, in the model's proportions; or "source" for those of `shown`.
        shown: (height, width) of what is animated of the source.
        model_size: (height, width) of the model's frames.
    """
    if isinstance(size, str):
        longer = min(max(shown), MOST_PIXELS)
        height, width = (max(side * longer / max(shown), LEAST_PIXELS) for side in shown)
    else:
        height, width = (side * size / max(model_size) for side in model_size)
    return 2 * round(height / 2), 2 * round(width / 2)
