"""Read animated WebP with the times of its frames, and write it frame by frame in constant memory.

Pillow and FFmpeg keep an animation in memory until it is complete, and few versions of FFmpeg read one. So its chunks
are read and written here, as https://developers.google.com/speed/webp/docs/riff_container has them, and Pillow codes
the frames.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from PIL import Image

from fomm_cli.errors import FommError, InputError
from fomm_cli.files.limits import WEBP_BYTES, WEBP_FRAMES
from fomm_cli.media.alpha import composite_over_white
from fomm_cli.media.validate import check_frame_size

TICK = Fraction(1, 1000)
"""Seconds; what the format counts durations in."""
LONGEST_SIDE = 16_383
"""Pixels of an image that the format can hold."""

_AS_GOOD_AS_ZERO = 10  # ticks; browsers show frames of up to this duration for _INSTEAD_OF_ZERO
_INSTEAD_OF_ZERO = 100
_LONGEST_DURATION = (1 << 24) - 1  # ticks
_HEADER = 12  # bytes: RIFF, size, WEBP
_MOST_BYTES = (1 << 32) - 10  # that a RIFF size can say
_EXIF_DESCRIPTION = 0x010E
_HAS_ALPHA, _HAS_EXIF, _IS_ANIMATED = 0x10, 0x08, 0x02
_BLEND, _DO_NOT_BLEND = 0x00, 0x02
_BLOCK = 4  # pixels; the unit of what is stored or left as it is, which is that of the codec too
_SAME = 4  # grey levels by which a block may differ from what is shown and count as unchanged
_METHOD = 4  # of libwebp, from 0 (fast) to 6 (small)
_PICTURE_CHUNKS = (b"ALPH", b"VP8 ", b"VP8L")


class Chunk(NamedTuple):
    """A part of a RIFF file: four letters, and where its content lies."""

    name: bytes
    start: int
    size: int


@dataclass(frozen=True)
class WebpAnimation:
    """An animated WebP file whose frames are not decoded yet.

    Attributes:
        path: the file.
        size: (height, width) in pixels.
        times: seconds at which each frame is shown, the first at 0; then the end of the last one.
        whole: whether the file is as long as it says.
    """

    path: Path
    size: tuple[int, int]
    times: tuple[Fraction, ...]
    whole: bool

    def frames(self, *, over_white: bool = True) -> Iterator[np.ndarray]:
        """Decode the frames, uint8 (H, W, 3) RGB; stops where the file is damaged.

        Args:
            over_white: whether transparent parts are laid over white, rather than shown in the colours they have.

        Raises:
            InputError: not even the first frame can be decoded.
        """
        number = 0
        try:
            with self.path.open("rb") as file, Image.open(file, formats=["WEBP"]) as image:
                for number in range(len(self.times) - 1):
                    image.seek(number)
                    rgba = np.asarray(image.convert("RGBA"))
                    yield composite_over_white(rgba) if over_white else rgba[..., :3]
        except (OSError, EOFError, SyntaxError, ValueError) as error:
            if number == 0:
                raise InputError(f"{self.path} is damaged or incomplete", "Download or copy it again.") from error


def open_webp(path: Path) -> WebpAnimation | None:
    """Read the header and the times of an animated WebP file; None for another file, or one with a single frame.

    Raises:
        InputError: it has too many bytes, pixels or frames.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER + 18)
        if head[:4] != b"RIFF" or head[8:16] != b"WEBPVP8X" or len(head) < _HEADER + 18 or not head[20] & _IS_ANIMATED:
            return None
        length = path.stat().st_size
        if length > WEBP_BYTES:
            raise InputError(
                f"{path} has {length / 1e6:.0f} MB, the limit for an animated WebP is {WEBP_BYTES / 1e6:.0f} MB",
                "Convert it to MP4.",
            )
        width, height = (int.from_bytes(head[place : place + 3], "little") + 1 for place in (24, 27))
        check_frame_size(path, width, height)
        durations = list(_durations(path, file, length))
    if len(durations) < 2:
        return None
    times = [Fraction(0)]
    for duration in durations:
        times.append(times[-1] + (duration if duration > _AS_GOOD_AS_ZERO else _INSTEAD_OF_ZERO) * TICK)
    said = int.from_bytes(head[4:8], "little") + 8
    return WebpAnimation(path, (height, width), tuple(times), length >= said)


def _durations(path: Path, file: IO[bytes], length: int) -> Iterator[int]:
    """Yield the durations of all frames in ticks, without reading their pixels."""
    count = 0
    for chunk in _chunks(file, length):
        if chunk.name == b"ANMF" and chunk.start + chunk.size <= length:
            count += 1
            if count > WEBP_FRAMES:
                raise InputError(f"{path} has more than {WEBP_FRAMES} frames", "Convert it to MP4.")
            file.seek(chunk.start + 12)
            yield int.from_bytes(file.read(3), "little")


def _chunks(file: IO[bytes], length: int) -> Iterator[Chunk]:
    place = _HEADER
    while place + 8 <= length:
        file.seek(place)
        head = file.read(8)
        size = int.from_bytes(head[4:], "little")
        yield Chunk(head[:4], place + 8, size)
        place += 8 + size + size % 2


class _Waiting(NamedTuple):
    """A frame whose duration the next one decides: start in ticks, place in the image, blending, and its pixels."""

    start: int
    place: bytes
    blending: int
    picture: bytes


class WebpEncoder:
    """Write an endlessly repeating animation, one frame at a time.

    Of each frame the rectangle is stored that has changed; in an opaque one, the blocks of it that have changed.
    """

    def __init__(self, path: Path, size: tuple[int, int], metadata: dict[str, str], quality: int) -> None:
        """Open the file.

        Args:
            path: of the file.
            size: (height, width) of the frames, at most LONGEST_SIDE.
            metadata: texts to store.
            quality: 0 to 100.
        """
        self._path = path
        self._quality = quality
        self._exif = _exif(metadata)
        self._shown: np.ndarray | None = None
        self._waiting: _Waiting | None = None
        height, width = size
        flags = _IS_ANIMATED | _HAS_ALPHA | (_HAS_EXIF if self._exif else 0)
        self._file = path.open("wb")
        self._file.write(b"RIFF\0\0\0\0WEBP")
        self._write(b"VP8X", bytes([flags, 0, 0, 0]) + _three(width - 1) + _three(height - 1))
        self._write(b"ANIM", bytes(6))  # transparent where nothing is drawn, and repeated for ever

    def add(self, image: np.ndarray, time: Fraction) -> None:
        """Add a frame, uint8 (H, W, 3) or (H, W, 4), that is shown from a time in seconds.

        Raises:
            FommError: the file is as long as the format allows.
        """
        tick = round(time / TICK)
        self._flush(tick)
        changed = self._changed(image)
        left, top, across, down = _rectangle(changed)
        box = slice(top, top + down), slice(left, left + across)
        part, blending = image[box], _DO_NOT_BLEND
        if self._shown is None:
            self._shown = image.copy()
        elif image.shape[2] == 3:
            part, blending = np.dstack([part, 255 * changed[box]]), _BLEND
        self._shown[box] = np.where(changed[box][..., None], image[box], self._shown[box])
        place = b"".join(map(_three, (left // 2, top // 2, across - 1, down - 1)))
        self._waiting = _Waiting(tick, place, blending, _encoded(part, self._quality))

    def finish(self, end: Fraction) -> None:
        """Complete the file; the last frame is shown until `end`."""
        self._flush(round(end / TICK))
        if self._exif:
            self._write(b"EXIF", self._exif)
        size = self._file.tell() - 8
        self._file.seek(4)
        self._file.write(size.to_bytes(4, "little"))
        self._file.close()

    def abandon(self) -> None:
        """Close the file as it is."""
        self._file.close()

    def _changed(self, image: np.ndarray) -> np.ndarray:
        """Find the blocks of a frame that do not look like what is shown, uint8 (H, W) of 0 and 1."""
        import cv2

        height, width = image.shape[:2]
        if self._shown is None:
            return np.ones((height, width), np.uint8)
        differs = (cv2.absdiff(image, self._shown) > _SAME).any(axis=-1)
        differs = np.pad(differs, ((0, -height % _BLOCK), (0, -width % _BLOCK)))
        blocks = differs.reshape(differs.shape[0] // _BLOCK, _BLOCK, -1, _BLOCK).any(axis=(1, 3))
        return blocks.repeat(_BLOCK, 0).repeat(_BLOCK, 1)[:height, :width].astype(np.uint8)

    def _flush(self, tick: int) -> None:
        """Write the waiting frame, which is shown until `tick`."""
        if self._waiting is None:
            return
        frame, self._waiting = self._waiting, None
        duration = min(max(tick - frame.start, 1), _LONGEST_DURATION)
        self._write(b"ANMF", frame.place + _three(duration) + bytes([frame.blending]) + frame.picture)

    def _write(self, name: bytes, content: bytes) -> None:
        if self._file.tell() + len(content) > _MOST_BYTES:
            raise FommError(f"{self._path} would have more than 4 GB, which no WebP file can", "Write .webm or .mp4")
        self._file.write(_chunk(name, content))


def _rectangle(changed: np.ndarray) -> tuple[int, int, int, int]:
    """Return left, top, width and height of what has changed, uint8 (H, W); at least one pixel."""
    import cv2

    left, top, across, down = cv2.boundingRect(changed)  # even places, since blocks are
    return left, top, max(across, 1), max(down, 1)


def _encoded(image: np.ndarray, quality: int) -> bytes:
    """Encode an image; returns the chunks of its pixels."""
    stored = io.BytesIO()
    # exact: the invisible mark lies below transparent parts, too
    Image.fromarray(image).save(stored, format="WEBP", quality=quality, method=_METHOD, exact=True)
    found = b""
    for chunk in _chunks(stored, len(stored.getvalue())):
        if chunk.name in _PICTURE_CHUNKS:
            found += _chunk(chunk.name, stored.getvalue()[chunk.start : chunk.start + chunk.size])
    return found


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")


def _exif(metadata: dict[str, str]) -> bytes:
    """Return the texts as an EXIF description; b"" where there are none."""
    if not metadata:
        return b""
    exif = Image.Exif()
    exif[_EXIF_DESCRIPTION] = "\n".join(metadata.values()).encode()  # as text, Pillow would keep ASCII only
    return exif.tobytes().removeprefix(b"Exif\0\0")
