"""Animate transparent sources: the alpha channel is warped by the same flow as the colours."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np

from fomm_cli.animation.animation import to_images
from fomm_cli.animation.enlarge import Enlarged
from fomm_cli.animation.flow import FlowSampling, FrameWarp, Warp
from fomm_cli.animation.options import AnimateJob
from fomm_cli.engines.engine import Decoded
from fomm_cli.errors import InputError
from fomm_cli.faces.options import FaceGroup
from fomm_cli.geometry import Region
from fomm_cli.media.alpha import SPREAD_BYTES, spread_colours
from fomm_cli.media.background import Background
from fomm_cli.media.crop import cropped, region_of
from fomm_cli.media.destination import Target
from fomm_cli.media.first_frame import read_source
from fomm_cli.media.options import Fit
from fomm_cli.media.paste import fitted_region
from fomm_cli.media.resize import Size, fit_frame
from fomm_cli.media.validate import check_decoded_size
from fomm_cli.models.generator import Generator

logger = logging.getLogger(__name__)


class AlphaTransfer:
    """Add the alpha channel of a source to its animated images; a `Refine`.

    The alpha channel is warped at the size of the images, by the flow that the networks predict anyway.
    """

    def __init__(self, alpha: np.ndarray, images: Enlarged | None, model_size: Size, generator: Generator) -> None:
        """Prepare what is the same for every frame.

        Args:
            alpha: of what is animated of the source, uint8 (H, W), at the size of the images.
            images: turns decoded frames into images; None for images of the model's size.
            model_size: (height, width) of the model's frames.
            generator: of the model.
        """
        self._alpha = alpha
        self._images = images
        self._warp = Warp(model_size, FlowSampling(generator.skips, generator.align_corners))

    def __call__(self, decoded: Decoded) -> np.ndarray:
        """Return the images of decoded frames, uint8 (B, H, W, 4)."""
        import cv2

        return np.stack(
            [np.dstack((image, warp(self._alpha, cv2.INTER_LINEAR))) for image, warp in self._with_warps(decoded)]
        )

    def _with_warps(self, decoded: Decoded) -> Iterator[tuple[np.ndarray, FrameWarp]]:
        if self._images is not None:
            return self._images.with_warps(decoded)
        flows = decoded.flow.float().cpu().numpy()
        return zip(to_images(decoded.frames), map(self._warp.of, flows), strict=True)


def with_alpha(
    alpha: np.ndarray,
    crop: Region | None,
    fit: Fit,
    model_size: Size,
    images: Enlarged | None,
    generator: Generator,
) -> AlphaTransfer:
    """Prepare for images with the alpha channel of a source.

    Args:
        alpha: of the whole source, uint8 (H, W).
        crop: the part of it that is animated; None for all of it.
        fit: how that is brought to the model's shape.
        model_size: (height, width) of the model's frames.
        images: turns decoded frames into images of another size; None for images of the model's.
        generator: of the model.
    """
    size = model_size if images is None else images.size
    part = cropped(alpha[..., None], crop)
    part = region_of(part, fitted_region(part.shape, model_size, fit))
    return AlphaTransfer(fit_frame(part, size, "stretch")[..., 0], images, model_size, generator)


def read_portrait(job: AnimateJob, target: Target) -> tuple[np.ndarray, np.ndarray | None, Background | None]:
    """Read the source image, its alpha channel where the result can show it, and what is to show through.

    Args:
        job: names the source and the background.
        target: of the result.

    Returns:
        uint8 (H, W, 3); its alpha channel, uint8 (H, W), or None; the background, or None.

    Raises:
        InputError: one of the images cannot be read, or the source is wholly transparent.
    """
    background = None if job.background is None else Background.of(job.background)
    is_group = isinstance(job.face, FaceGroup)  # whose faces are pasted into an opaque image
    keep_alpha = background is not None or (target.holds_alpha and not is_group)
    source = read_source(job.source_image, keep_alpha=keep_alpha)
    if not source.transparent:
        if background is not None:
            logger.warning("%s is not transparent: --background does not show", job.source_image)
        return source.pixels, None, None
    if source.pixels.shape[2] == 3:
        what = "a result with several faces" if is_group else target.path.suffix
        instead = "--background" if is_group else ".webm, .mov, .webp or .gif, or --background"
        logger.warning("%s is transparent, which %s cannot be: white shows through (use %s)",
                       job.source_image, what, instead)  # fmt: skip
        return source.pixels, None, None
    if is_group and background is not None:
        return background(source.pixels), None, None
    height, width = source.pixels.shape[:2]
    check_decoded_size(job.source_image, width, height, SPREAD_BYTES)
    alpha = np.ascontiguousarray(source.pixels[..., 3])
    if not alpha.any():
        raise InputError(f"{job.source_image} is wholly transparent", "Give an image that shows something")
    return spread_colours(source.pixels), alpha, background
