"""Read a source image, which may also be given as a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fomm_cli.errors import InputError
from fomm_cli.media.image import SourceImage, not_an_image, read_source_or_none
from fomm_cli.media.validate import check_content
from fomm_cli.media.video.reader import open_clip


def read_first_frame(path: Path) -> np.ndarray:
    """Read an image, or the first frame of a video.

    Returns:
        uint8 (H, W, 3) RGB, upright, transparency over white.

    Raises:
        InputError: the file is missing, empty, damaged, too large, or neither an image nor a video.
    """
    return read_source(path, keep_alpha=False).pixels


def read_source(path: Path, *, keep_alpha: bool) -> SourceImage:
    """Read an image, with its alpha channel if that is kept, or the first frame of a video over white.

    Raises:
        InputError: as `read_first_frame`.
    """
    image = read_source_or_none(path, keep_alpha=keep_alpha)
    if image is not None:
        return image
    check_content(path, "image")
    try:
        return SourceImage(next(open_clip(path, max_frames=1).frames()).image, transparent=False)
    except InputError as error:
        raise not_an_image(path) from error
