"""Frame one portrait in many ways: the series of sizes and of places."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from fomm_cli.errors import InputError
from fomm_cli.faces.framing import FACE_ASPECT, Framing, frontal_height
from fomm_cli.geometry import Box
from fomm_cli.options import invalid

SIDE = 512
"""Side of the images in pixels."""
SIZES = {"features only": 2.2, "larger": 1.4, "same": 1.0, "smaller": 0.67, "very small": 0.33}
"""Heights of the face by name, in heights of the driving face."""
PLACES = ("centre", "left", "right", "top", "top, eyes cut off")

_LARGEST = 1.5  # heights of a face in a frame; beyond it there is skin only
_EYES_ABOVE_MIDDLE = 0.18  # of the face's height
_FEATHER = 0.04  # of the image's side: how softly it ends in its surroundings
_BLUR = 0.02  # of the frame's side, of what surrounds the image


def size_series(driving: Framing, sizes: dict[str, float]) -> dict[str, Framing]:
    """Return framings with faces of several sizes at the place of the driving face.

    Args:
        driving: how the driving face sits in its frame.
        sizes: in heights of the driving face, by name.

    Raises:
        InputError: a size that no image can have.
    """
    series = {}
    for name, ratio in sizes.items():
        if not 0.05 <= ratio <= 5:
            raise invalid("sizes", f"{name}={ratio:g}", "0.05 to 5 heights of the driving face")
        series[name] = Framing(min(_LARGEST, driving.height * ratio), driving.x, driving.y)
    return series


def place_series(driving: Framing, places: dict[str, tuple[float, float]] | None) -> dict[str, Framing]:
    """Return framings with faces of the driving face's size in several places.

    Args:
        driving: how the driving face sits in its frame.
        places: of the middle of the face, as fractions of the frame's width and height, by name; None for `PLACES`:
            where the driving face is, touching the borders, and with the eyes just outside.
    """
    height = driving.height
    half_width = FACE_ASPECT * height / 2
    if places is None:
        where = ((driving.x, driving.y), (half_width, driving.y), (1 - half_width, driving.y),
                 (driving.x, height / 2), (driving.x, 0.6 * _EYES_ABOVE_MIDDLE * height))  # fmt: skip
        places = dict(zip(PLACES, where, strict=True))
    return {name: Framing(height, x, y) for name, (x, y) in places.items()}


def framed(image: np.ndarray, face: Box, framing: Framing) -> np.ndarray:
    """Frame a portrait; beyond its borders their colours go on, blurred.

    Args:
        image: uint8 (H, W, 3).
        face: in it.
        framing: as wanted.

    Returns:
        uint8 (SIDE, SIDE, 3).
    """
    scale = framing.height * SIDE / frontal_height(face)  # pixels of the result for one of the image
    x, y = face.centre
    left, top = framing.x * SIDE - x * scale, framing.y * SIDE - y * scale
    height, width = image.shape[:2]
    # what the frame shows of the image, then the same on the frame
    shown = Box(-left / scale, -top / scale, (SIDE - left) / scale, (SIDE - top) / scale).intersection(
        Box(0, 0, width, height)
    )
    if shown.width < 1 or shown.height < 1:
        raise InputError("the face lies outside the frame", "Give --places from 0 to 1")
    placed = shown.mapped(scale, scale, left, top)
    size = (max(1, round(placed.width)), max(1, round(placed.height)))
    corners = (shown.left, shown.top, shown.right, shown.bottom)
    part = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS, box=corners)
    corner = (min(round(placed.left), SIDE - 1), min(round(placed.top), SIDE - 1))
    canvas = _surroundings(part, corner)
    canvas.paste(part, corner, _soft_mask(size, corner))
    return np.asarray(canvas)


def _surroundings(part: Image.Image, corner: tuple[int, int]) -> Image.Image:
    """Continue the border pixels of a placed image to the edges of the frame, and blur them."""
    columns = np.clip(np.arange(SIDE) - corner[0], 0, part.width - 1)
    rows = np.clip(np.arange(SIDE) - corner[1], 0, part.height - 1)
    carried_on = np.asarray(part)[rows[:, None], columns]
    return Image.fromarray(carried_on).filter(ImageFilter.GaussianBlur(_BLUR * SIDE))


def _soft_mask(size: tuple[int, int], corner: tuple[int, int]) -> Image.Image:
    """Draw an opaque mask that is soft where the image ends inside the frame."""
    feather = max(1, round(_FEATHER * min(size)))
    padded = Image.new("L", (size[0] + 4 * feather, size[1] + 4 * feather), 0)
    (left, top), (right, bottom) = corner, (corner[0] + size[0], corner[1] + size[1])
    edges = (
        0 if left <= 0 else 3 * feather,
        0 if top <= 0 else 3 * feather,
        padded.width - (0 if right >= SIDE else 3 * feather),
        padded.height - (0 if bottom >= SIDE else 3 * feather),
    )
    padded.paste(255, edges)
    soft = padded.filter(ImageFilter.BoxBlur(feather))
    return soft.crop((2 * feather, 2 * feather, 2 * feather + size[0], 2 * feather + size[1]))
