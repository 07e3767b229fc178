"""List folders of images: the frames of a video, or portraits."""

from __future__ import annotations

import re
from pathlib import Path

from fomm_cli.errors import InputError
from fomm_cli.media.formats import IMAGES_READ


def images_in(folder: Path) -> list[Path]:
    """List the images of a folder in the order people number them: frame2 before frame10.

    Raises:
        InputError: the folder cannot be read, or holds no images.
    """
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}", "Check its permissions.") from error
    paths = [path for path in entries if path.suffix.lower() in IMAGES_READ and not path.name.startswith(".")]
    if not paths:
        raise InputError(f"{folder} holds no images ({' '.join(IMAGES_READ)})", "Name another file or folder.")
    return sorted(paths, key=_natural_key)


def images_at(path: Path) -> list[Path]:
    """List the images of a folder, or the path itself where it is no folder."""
    return images_in(path) if path.is_dir() else [path]


def _natural_key(path: Path) -> tuple[list[str | int], str]:
    """Split a name so that text and digits stand at alternating places."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], path.name
