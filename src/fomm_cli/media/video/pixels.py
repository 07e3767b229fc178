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

_MATRICES = {  # AVColorSpace -> libswscale's table; everything else counts as BT.601, as in the ffmpeg program
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    7: Colorspace.SMPTE240M,
    9: 9,  # BT.2020, which older PyAV has no name for
    10: 9,
}


Turn = tuple[float, float, float, float]
"""A display matrix (a, b, c, d), by which the pixel at (x, y) is shown at (a x + c y, b x + d y), y downwards."""


def upright_rgb(
    frame: av.VideoFrame, reformatter: VideoReformatter, turn: Turn, *, over_white: bool = True
) -> np.ndarray:
    """Convert by the colour matrix and range the stream declares, and turn by its display matrix.

    Args:
        frame: as decoded.
        reformatter: converts it.
        turn: its display matrix.
        over_white: whether transparent parts are laid over white, rather than shown in the colours they have.

    Returns:
        uint8 (H, W, 3) RGB.
    """
    has_alpha = over_white and (frame.format.name == "pal8" or any(part.is_alpha for part in frame.format.components))
    # Every argument is spelled out: PyAV 15 ignores what the frame declares unless source and target are both given.
    converted = reformatter.reformat(
        frame,
        format="rgba" if has_alpha else "rgb24",
        src_colorspace=_MATRICES.get(frame.colorspace, Colorspace.ITU601),
        dst_colorspace=Colorspace.ITU601,
        src_color_range=_range(frame),
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.BICUBIC,
    )
    pixels = converted.to_ndarray()
    return _turned(composite_over_white(pixels) if has_alpha else pixels, turn)


def _range(frame: av.VideoFrame) -> ColorRange:
    if frame.color_range in (ColorRange.MPEG, ColorRange.JPEG):
        return ColorRange(frame.color_range)
    full = frame.format.is_rgb or frame.format.name.startswith(("yuvj", "gray", "pal8"))
    return ColorRange.JPEG if full else ColorRange.MPEG


def _turned(pixels: np.ndarray, turn: Turn) -> np.ndarray:
    """Apply the display matrix, rounded to quarter turns and mirrors, to (H, W, 3)."""
    a, b, c, d = turn
    if abs(b) > abs(a):
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
