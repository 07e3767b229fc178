"""Make damaged images and videos, and valid ones of hostile sizes."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from support.fuzzing.common import (
    FACE,
    MODEL,
    MOTION,
    PLAIN,
    PORTRAIT,
    Originals,
    moving,
    portrait,
    write_face,
    write_portrait,
    write_video,
)
from support.fuzzing.trial import Trial

_JUDGING = ("--face_backend", "builtin")


def _written(originals: Path, write: Callable[[Path], None]) -> tuple[Originals, list[str]]:
    """Write the files that every run needs, and by `write` the sound files to mutate; return the names of these."""
    found = Originals(originals)
    write_portrait(originals / PORTRAIT)
    write_face(originals / FACE)
    write_video(originals / MOTION, moving())
    (originals / "sound").mkdir()
    write(originals / "sound")
    return found, sorted(path.name for path in (originals / "sound").iterdir())


class Images:
    """Images in every format, as source, as driving video, and for the commands that read them."""

    name = "images"
    weight = 160

    def prepare(self, originals: Path) -> list[Trial]:
        """Write an image of each format, and compressed ones that unpack to more than memory should hold."""
        self._originals, self._sound = _written(originals, _write_pictures)
        return [
            _animate(PORTRAIT, MOTION, "warm-up"),
            _check(FACE),
            _crop(FACE),
            _animate(PORTRAIT, PORTRAIT, "warm-up"),
        ]

    def trial(self, dice: random.Random, folder: Path) -> Trial:
        """Damage an image, or make a hostile one."""
        self._originals.copy(MOTION, folder)
        self._originals.copy(PORTRAIT, folder)
        if dice.random() < 0.15:
            name, make = dice.choice(_HOSTILE_PICTURES)
            made = make()
            (folder / name).write_bytes(made)
            what = f"{name} of {len(made)} bytes"
        else:
            sound = Originals(self._originals.folder / "sound")
            name, what = sound.mutate(dice, dice.choice(self._sound), folder)
        act = dice.random()
        if act < 0.6:
            return _animate(name, MOTION, what)
        if act < 0.75:
            return _animate(PORTRAIT, name, what)
        if act < 0.9:
            return _check(name, what)
        return _crop(name, what)


def _animate(source: str, driving: str, what: str) -> Trial:
    result = "result.mp4" if driving == MOTION or driving.startswith("moving") else "result.png"
    return Trial(["animate", *MODEL, *PLAIN, "-s", source, "-d", driving, "-o", result], what, (result,))


def _crop(name: str, what: str = "") -> Trial:
    return Trial(["crop", "--inp", name, "-o", "crops", "--dry_run", "--min_frames", "0", *_JUDGING], what)


def _check(name: str, what: str = "") -> Trial:
    return Trial(["check", "-s", name, *_JUDGING], what, codes=frozenset({0, 2, 3}))


def _write_pictures(folder: Path) -> None:
    """Write a small image in each format and depth."""
    from PIL import Image, features

    picture = Image.fromarray(portrait())
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(folder / "rgb.png")
    picture.convert("RGBA").save(folder / "rgba.png")
    picture.convert("P").save(folder / "palette.png")
    picture.convert("1").save(folder / "bits.png")
    Image.fromarray(portrait()[..., 0].astype(np.uint16) * 257).save(folder / "grey16.png")
    picture.save(folder / "turned.jpg", exif=exif)
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.save(folder / "progressive.jpg", progressive=True, icc_profile=b"\0" * 200)
    for suffix in ("bmp", "gif", "webp", "ppm", "tga", "ico", "tif"):
        picture.save(folder / f"plain.{suffix}")
    picture.save(folder / "lossless.webp", lossless=True)
    picture.save(folder / "packed.tif", compression="tiff_lzw")
    Image.fromarray(portrait()[..., 0].astype(np.float32)).save(folder / "float.tif")
    if features.check("avif"):
        picture.save(folder / "plain.avif")
    more = [Image.fromarray(frame) for frame in moving(2)]
    picture.save(folder / "moving.png", save_all=True, append_images=more)
    picture.save(folder / "moving.webp", save_all=True, append_images=more)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, depth: int, colour: int, channels: int) -> Callable[[], bytes]:
    """Return a valid PNG of this size in which every value is 0."""

    def make() -> bytes:
        row, packer = bytes(1 + width * channels * depth // 8), zlib.compressobj(1)
        packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
        head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")

    return make


def _gif(width: int, height: int) -> Callable[[], bytes]:
    """Return a GIF with a large canvas and an image of one pixel."""
    return lambda: (
        b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\x00\x00\x00\x00\x00\xff\xff\xff"
        + b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00;"
    )  # fmt: skip


def _tiff(width: int, height: int, bits: int, kind: int, samples: int) -> Callable[[], bytes]:
    """Return a TIFF whose only strip is missing or deflated zeros, of any sample type (1 unsigned, 3 float)."""

    def make() -> bytes:
        strip = zlib.compress(bytes(1000))
        tags = [
            (256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 8), (262, 3, 1 if samples == 1 else 2),
            (273, 4, 8), (277, 3, samples), (278, 4, height), (279, 4, len(strip)), (339, 3, kind),
        ]  # fmt: skip
        entries = b"".join(struct.pack("<HHII", tag, form, 1, value) for tag, form, value in tags)
        start = 8 + len(strip)
        return b"II*\0" + struct.pack("<I", start) + strip + struct.pack("<H", len(tags)) + entries + bytes(4)

    return make


def _bmp(width: int, height: int) -> Callable[[], bytes]:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return lambda: b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head + bytes(100)


_HOSTILE_PICTURES: tuple[tuple[str, Callable[[], bytes]], ...] = (
    ("canvas.gif", _gif(13000, 13000)),
    ("canvas_wide.gif", _gif(65535, 2000)),
    ("canvas_full.gif", _gif(65535, 65535)),
    ("rgba.png", _png(12000, 12000, 8, 6, 4)),
    ("rgb.png", _png(13000, 13000, 8, 2, 3)),
    ("grey16.png", _png(13000, 13000, 16, 0, 1)),
    ("rgb16.png", _png(8000, 8000, 16, 2, 3)),
    ("tall.png", _png(1, 3_000_000, 8, 2, 3)),
    ("wide.png", _png(3_000_000, 1, 8, 2, 3)),
    ("column.png", _png(1, 1, 8, 2, 3)),
    ("f64.tif", _tiff(9000, 9000, 64, 3, 1)),
    ("deep.tif", _tiff(12000, 12000, 16, 1, 3)),
    ("huge.tif", _tiff(100_000, 100_000, 8, 1, 1)),
    ("huge2.tif", _tiff(2**31, 2**31, 8, 1, 1)),
    ("large.bmp", _bmp(30000, 30000)),
    ("upside.bmp", _bmp(100, -(2**31))),
)  # fmt: skip


class Videos:
    """Videos in every common container, as driving video, as result to score, and as what faces are cut out of."""

    name = "videos"
    weight = 180

    def prepare(self, originals: Path) -> list[Trial]:
        """Write a video of each container."""
        self._originals, self._sound = _written(originals, _write_videos)
        return [
            self._of("animate", MOTION, ""), _crop(FACE), self._of("extract", MOTION, ""),
        ]  # fmt: skip

    def trial(self, dice: random.Random, folder: Path) -> Trial:
        """Damage a video, or write a script that names other files in the place of one."""
        self._originals.copy(PORTRAIT, folder)
        self._originals.copy(MOTION, folder)
        if dice.random() < 0.08:
            name, what = self._script(dice, folder)
        else:
            name, what = Originals(self._originals.folder / "sound").mutate(dice, dice.choice(self._sound), folder)
        return self._of(dice.choice(("animate",) * 5 + ("crop", "extract", "reconstruct")), name, what)

    def _of(self, command: str, name: str, what: str) -> Trial:
        if command == "crop":
            return _crop(name, what)
        if command == "extract":
            arguments = ["motion", "extract", *MODEL, "--cpu", "--threads", "1", "--crop", "none", "--max_frames", "2"]
            return Trial([*arguments, "-d", name, "-o", "motion.npz"], what, ("motion.npz",))
        if command == "reconstruct":
            return Trial(
                ["reconstruct", ".", *MODEL, "--cpu", "--max_frames", "1", "-o", "rebuilt"], what, ("rebuilt",)
            )
        options = ["--max_frames", "1"] if name == MOTION else ["--max_frames", "4", "--audio"]
        plain = [*PLAIN[:-2], *options]
        arguments = ["animate", *MODEL, *plain, "-s", PORTRAIT, "-d", name, "-o", "result.mp4"]
        return Trial(arguments, what, ("result.mp4",))

    def _script(self, dice: random.Random, folder: Path) -> tuple[str, str]:
        """Write a playlist or script that names another file to FFmpeg, with or without a byte that is no text."""
        secret = self._originals.copy(MOTION, folder, "secret.mp4")
        odd = dice.choice(("", "#\x01\n"))
        name, text = dice.choice((
            ("x.m3u8", f"#EXTM3U\n{odd}#EXT-X-TARGETDURATION:1\n#EXTINF:0.5,\n{folder / secret}\n#EXT-X-ENDLIST\n"),
            ("x.mp4", f"ffconcat version 1.0\n{odd}file {secret}\n"),
            ("x.mpd", f'<?xml version="1.0"?><MPD><Period><BaseURL>{secret}</BaseURL></Period></MPD>{odd}'),
            ("x.sdp", f"v=0\n{odd}m=video 5004 RTP/AVP 96\nc=IN IP4 127.0.0.1\n"),
            ("x.mp4", "#EXTM3U\nhttp://127.0.0.1:9/x.ts\n"),
        ))  # fmt: skip
        (folder / name).write_text(text, encoding="utf-8")
        return name, f"{name} is a script that names another file"


def _write_videos(folder: Path) -> None:
    frames = moving(4)
    write_video(folder / "h264.mp4", frames)
    write_video(folder / "h264.mkv", frames)
    write_video(folder / "h264.mov", frames)
    write_video(folder / "h264.ts", frames)
    write_video(folder / "mpeg4.avi", frames, "mpeg4")
    write_video(folder / "vp9.webm", frames, "libvpx-vp9", cpu_used="8", deadline="realtime")
    write_video(folder / "mjpeg.avi", frames, "mjpeg", "yuvj420p")
    write_video(folder / "lossless.mkv", frames, "ffv1", "bgr0")
    from PIL import Image

    first, *others = (Image.fromarray(frame) for frame in frames)
    first.save(folder / "moving.gif", save_all=True, append_images=others)
    first.save(folder / "moving.webp", save_all=True, append_images=others)
