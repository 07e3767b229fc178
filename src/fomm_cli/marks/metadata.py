"""Read what a file's metadata says about its origin."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LONGEST = 1 << 16  # characters of a text that is looked at
_GIF_COMMENT = b"\x21\xfe"
_VERSION = re.compile(r"[\w.+-]{1,40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Origin:
    """The facts about a result that `fomm` wrote into its metadata.

    Attributes:
        version: of fomm.
        checkpoint_sha256: of the weights, in hex.
    """

    version: str
    checkpoint_sha256: str


def read_origin(path: Path) -> Origin | None:
    """Return what the metadata of a video or image says; None where fomm wrote nothing.

    Raises:
        Exception: whatever the libraries raise on damaged files.
    """
    for text in _texts(path):
        if (origin := _origin_in(text)) is not None:
            return origin
    return None


def _texts(path: Path) -> list[str]:
    """Return all texts in the metadata."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            values = [*image.info.values(), *image.getexif().values()]
            if image.format == "GIF":
                values.append(_last_gif_comment(path))
    except UnidentifiedImageError:
        values = _video_texts(path)
    texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]
    return [text[:_LONGEST] for text in texts if isinstance(text, str)]


def _last_gif_comment(path: Path) -> bytes:
    """Return the text of the last comment block, which stands behind all frames where Pillow does not look."""
    with path.open("rb") as file:
        file.seek(-min(_LONGEST, path.stat().st_size), 2)
        tail = file.read()
    place, text = tail.rfind(_GIF_COMMENT) + len(_GIF_COMMENT), b""
    while place < len(tail) and (length := tail[place]):
        text += tail[place + 1 : place + 1 + length]
        place += 1 + length
    return text


def _video_texts(path: Path) -> list[Any]:
    import av

    from fomm_cli.media.validate import CONTAINER_OPTIONS

    with av.open(f"file:{path}", options=CONTAINER_OPTIONS, metadata_errors="replace") as container:
        return list(container.metadata.values())


def _origin_in(text: str) -> Origin | None:
    """Return the origin in a text that ends with the JSON that fomm writes."""
    start = text.find("{")
    if start < 0 or '"fomm"' not in text:
        return None
    said = json.loads(text[start : text.rfind("}") + 1])
    version, checkpoint = str(said.get("version")), str(said.get("checkpoint_sha256"))
    if said.get("tool") != "fomm" or not _VERSION.fullmatch(version) or not _SHA256.fullmatch(checkpoint):
        return None
    return Origin(version, checkpoint)
