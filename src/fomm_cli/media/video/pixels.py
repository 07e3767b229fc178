"""Convert a decoded video frame to upright RGB."""

from __future__ import annotations

import math
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from fomm_cli.media.alpha import composite_over_white
from fomm_cli.media.video.frame import WHOLE, Excerpt

_MATRICES = {  # AVColorSpace -> libswscale's table; everything else counts as BT.601, as in the ffmpeg program
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    7: Colorspace.SMPTE240M,
    9: 9,  # BT.2020, which older PyAV has no name for
    10: 9,
}


Turn = tuple[float, float, float, float]
"""A display matrix (a, b, c, d), by which the pixel at (x, y) is shown at (a x + c y, b x + d y), y downwards."""


class Converter:
    """Convert frames by the colour matrix and range the stream declares, and turn them by its display matrix."""

    def __init__(self, turn: Turn, excerpt: Excerpt = WHOLE, *, over_white: bool = True) -> None:
        """Take what is the same for all frames.

        Args:
            turn: the display matrix.
            excerpt: what is needed of each frame.
            over_white: whether transparent parts are laid over white, rather than shown in the colours they have.
        """
        self._turn = turn
        self._excerpt = excerpt
        self._over_white = over_white
        self._to_rgb = VideoReformatter()
        self._reducing = VideoReformatter()  # each keeps tables for one kind of conversion

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """Return the excerpt of a frame, uint8 (H, W, 3) RGB."""
        is_transparent = frame.format.name == "pal8" or any(part.is_alpha for part in frame.format.components)
        has_alpha = self._over_white and is_transparent
        upright = (frame.width, frame.height) if _is_sideways(self._turn) else (frame.height, frame.width)
        reduction = 1 if is_transparent or frame.format.is_rgb else self._excerpt.reduction(*upright)
        source, colour_range = _MATRICES.get(frame.colorspace, Colorspace.ITU601), _range(frame)
        if reduction > 1:
            frame = self._reduced(frame, reduction)
        # Every argument is spelled out: PyAV 15 ignores what the frame declares unless both sides are given.
        converted = self._to_rgb.reformat(
            frame,
            format="rgba" if has_alpha else "rgb24",
            src_colorspace=source,
            dst_colorspace=Colorspace.ITU601,
            src_color_range=colour_range,
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.BICUBIC,
        )
        pixels = converted.to_ndarray()
        image = _turned(composite_over_white(pixels) if has_alpha else pixels, self._turn)
        return self._excerpt.of(image, reduction)

    def _reduced(self, frame: av.VideoFrame, reduction: int) -> av.VideoFrame:
        """Return a frame reduced, still in YUV, where FFmpeg averages fast and exactly."""
        return self._reducing.reformat(
            frame,
            width=frame.width // reduction,
            height=frame.height // reduction,
            format="yuv444p",
            src_colorspace=Colorspace.ITU601,  # the same twice, so that colours stay as they are
            dst_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.MPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.AREA,
        )


def _is_sideways(turn: Turn) -> bool:
    return abs(turn[1]) > abs(turn[0])


def _range(frame: av.VideoFrame) -> ColorRange:
    if frame.color_range in (ColorRange.MPEG, ColorRange.JPEG):
        return ColorRange(frame.color_range)
    full = frame.format.is_rgb or frame.format.name.startswith(("yuvj", "gray", "pal8"))
    return ColorRange.JPEG if full else ColorRange.MPEG


def _turned(pixels: np.ndarray, turn: Turn) -> np.ndarray:
    """Apply the display matrix, rounded to quarter turns and mirrors, to (H, W, 3)."""
    a, b, c, d = turn
    if _is_sideways(turn):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    if a < 0:
        pixels = pixels[:, ::-1]
    if d < 0:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def display_matrix(frame: av.VideoFrame) -> Turn:
    """Return the display matrix that a frame carries.

    To be asked of one frame of a stream only: PyAV ties a frame whose side data was read to itself, so that it keeps
    its memory until the garbage collector comes by.
    """
    try:
        side_data = cast("SideDataContainer", frame.side_data)  # typed as an unrelated dictionary
        entries = [side_data[index] for index in range(len(side_data))]
        for entry in entries:
            if entry.type == SideDataType.DISPLAYMATRIX:
                a, b, _, c, d, *_ = np.frombuffer(bytes(entry), np.int32).tolist()
                return a, b, c, d
    except ValueError:  # FFmpeg knows side data that PyAV has no name for; then the angle has to do, without mirrors
        angle = math.radians(frame.rotation)
        return math.cos(angle), -math.sin(angle), math.sin(angle), math.cos(angle)
    return 1, 0, 0, 1
