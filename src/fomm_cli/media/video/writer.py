"""Write animated frames as a video, an animated GIF or WebP, or numbered images, with their exact times."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, cast

import av
import numpy as np
from av.container import OutputContainer
from av.filter import Graph
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from fomm_cli.errors import FommError, InputError
from fomm_cli.files.atomic import frame_path
from fomm_cli.media.formats import ALLOWED, IMAGES_WRITTEN, VIDEOS_WRITTEN
from fomm_cli.media.image import write_image
from fomm_cli.media.video.webp import LONGEST_SIDE, WebpEncoder
from fomm_cli.media.video.webp import TICK as WEBP_TICK

_TICKS_PER_SECOND = 10_000  # at least; below it the MP4 muxer would multiply by itself
_LARGEST_NUMERATOR = 1_000_000  # of the rate; the tick has to fit into 31 bits
_BT709 = 1  # AVColorPrimaries, AVColorTransferCharacteristic and AVColorSpace agree on it
_GIF_TICK = Fraction(1, 100)  # seconds
_GIF_SHORTEST = 2  # ticks; browsers slow shorter delays down to ten
_GIF_TRAILER = b";"
_WEBP_SHORTEST = 11  # ticks; browsers slow shorter durations down to a hundred
_WEBP_QUALITY = 80
_WEBP_QUALITY_OF_CRF = 1.5  # that each step of --crf takes away
_THREADS = 4  # as a fixed number, so that the result does not depend on the machine
# Visually lossless. Without B-frames, decoding times equal the times shown, so uneven ones survive MP4 exactly.
_H264 = {"crf": "16", "preset": "fast", "bf": "0"}
_VP9 = {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}
_VP9_ALPHA = {"auto-alt-ref": "0"}  # hidden frames would be missing from the alpha channel
_PRORES_BITS = 1350  # of a macroblock, as Apple has it for ProRes 4444; each 6 steps of --crf halve them
_PRORES_CRF = 16  # at which it has so many


class FrameWriter(Protocol):
    """Write frames in order of time; leaving the ``with`` block normally completes the file.

    After an exception in the block the file is left incomplete, for the caller to remove.
    """

    def write(self, image: np.ndarray, time: Fraction, duration: Fraction | None = None) -> None:
        """Add a frame.

        Args:
            image: uint8 (H, W, 3) RGB, or (H, W, 4) RGBA where the writer was opened for it.
            time: seconds from which it is shown.
            duration: seconds it is shown for, which counts for the last frame; None: one frame interval.

        Raises:
            FommError: the file cannot be written.
        """
        ...

    def close(self) -> None:
        """Complete the file; calling it again does nothing.

        Raises:
            FommError: the file cannot be written.
        """
        ...

    def __enter__(self) -> FrameWriter: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_writer(
    target: Path,
    size: tuple[int, int],
    rate: Fraction,
    metadata: dict[str, str],
    crf: int | None = None,
    *,
    alpha: bool = False,
) -> FrameWriter:
    """Choose the writer for ``target`` by its suffix.

    Args:
        target: ``.mp4 .mov .webm .gif .webp``, one image, or a frame pattern such as ``folder/%05d.png``.
        size: (height, width) of every frame.
        rate: frames per second, nominal if the times vary.
        metadata: texts to store in the file, such as ``title`` and ``comment``.
        crf: quality of ``.mp4``, ``.mov``, ``.webm`` and ``.webp``, lower is better; None for visually lossless.
        alpha: whether the frames are RGBA; for `WITH_ALPHA` only.

    Raises:
        InputError: a suffix that cannot be written.
    """
    suffix = target.suffix.lower()
    if suffix in IMAGES_WRITTEN:
        return ImageWriter(target, metadata)
    if suffix not in VIDEOS_WRITTEN:
        raise unwritable(target)
    rate = rate.limit_denominator(max(1, int(_LARGEST_NUMERATOR / rate)))
    if suffix == ".gif":
        return GifWriter(target, size, rate, metadata, alpha=alpha)
    if suffix == ".webp":
        return WebpWriter(target, size, rate, metadata, crf)
    return VideoWriter(target, size, rate, metadata, crf, alpha=alpha)


def unwritable(target: Path) -> InputError:
    """Build the error for a file of a kind that nothing here writes."""
    return InputError(f"files of the kind {target.suffix or '(no suffix)'} cannot be written ({target})", ALLOWED)


class _Writer:
    """Check the order of calls and serve the ``with`` block, for all writers."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._closed = False

    def __enter__(self) -> FrameWriter:
        return cast("FrameWriter", self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._abandon()

    def close(self) -> None:
        """Complete the file; calling it again does nothing."""
        if self._closed:
            return
        try:
            with writing(self._target):
                self._finish()
        except BaseException:
            self._abandon()
            raise
        self._closed = True

    def _finish(self) -> None:
        """Write what is still missing."""

    def _abandon(self) -> None:
        """Let go of the file, whatever state it is in."""


class ImageWriter(_Writer):
    """Write numbered images, from 0, without their times."""

    def __init__(self, pattern: Path, metadata: dict[str, str]) -> None:
        super().__init__(pattern)
        self._metadata = metadata
        self._count = 0

    def write(self, image: np.ndarray, time: Fraction, duration: Fraction | None = None) -> None:  # noqa: ARG002
        """Write the next image."""
        write_image(frame_path(self._target, self._count), image, self._metadata)
        self._count += 1


class VideoWriter(_Writer):
    """Write H.264 in MP4 or MOV, VP9 in WebM; ProRes 4444 in MOV for frames with an alpha channel."""

    def __init__(
        self,
        target: Path,
        size: tuple[int, int],
        rate: Fraction,
        metadata: dict[str, str],
        crf: int | None,
        *,
        alpha: bool = False,
    ) -> None:
        super().__init__(target)
        self._alpha = alpha
        self._tick = _tick(rate)
        self._interval = 1 / rate
        self._next_tick = 0
        self._durations: dict[int, int] = {}  # of the frames inside the encoder, by their tick
        self._reformatter = VideoReformatter()
        with writing(target):
            self._container = _create(target, metadata)
        with writing(target):
            self._stream = self._add_stream(size, rate, crf)

    def _add_stream(self, size: tuple[int, int], rate: Fraction, crf: int | None) -> VideoStream:
        codec, options, pixels = self._codec(crf)
        stream = cast("VideoStream", self._container.add_stream(codec, rate=rate, options=options))
        stream.height, stream.width = (side + side % 2 for side in size)
        stream.pix_fmt = self._pixels = pixels
        context = stream.codec_context
        context.time_base = stream.time_base = self._tick
        context.thread_count = _THREADS
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = ColorRange.MPEG
        return stream

    def _codec(self, crf: int | None) -> tuple[str, dict[str, str], str]:
        """Return the encoder, its options and the layout of its pixels."""
        quality = {} if crf is None else {"crf": str(crf)}
        if self._target.suffix.lower() == ".webm":
            alpha, pixels = (_VP9_ALPHA, "yuva420p") if self._alpha else ({}, "yuv420p")
            return "libvpx-vp9", _VP9 | alpha | quality, pixels
        if self._alpha:
            return "prores_ks", _prores(_PRORES_CRF if crf is None else crf), "yuva444p10le"
        return "libx264", _H264 | quality, "yuv420p"

    def write(self, image: np.ndarray, time: Fraction, duration: Fraction | None = None) -> None:
        """Encode the next frame."""
        frame = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(_even(image), format="rgba" if self._alpha else "rgb24"),
            format=self._pixels,
            src_colorspace=Colorspace.ITU601,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC,
        )
        frame.time_base = self._tick
        tick = max(round(time / self._tick), self._next_tick)
        self._next_tick = tick + 1  # encoders refuse two frames at one time
        self._durations[tick] = max(1, round((duration or self._interval) / self._tick))
        frame.pts = tick
        with writing(self._target):
            self._encode(frame)

    def _encode(self, frame: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, 0)
            self._container.mux(packet)

    def _finish(self) -> None:
        self._encode(None)
        self._container.close()

    def _abandon(self) -> None:
        with suppress(av.FFmpegError, OSError):
            self._container.close()


class GifWriter(_Writer):
    """Write an endlessly repeating GIF with a palette of its own for every frame."""

    def __init__(
        self, target: Path, size: tuple[int, int], rate: Fraction, metadata: dict[str, str], *, alpha: bool = False
    ) -> None:
        super().__init__(target)
        self._comment = "\n".join(metadata.values())
        self._previous: int | None = None
        self._pixels = "rgba" if alpha else "rgb24"
        self._graph = _palette_graph(size, self._pixels)
        with writing(target):
            self._container = _create(target, {})
        self._stream = self._container.add_stream("gif", rate=rate)
        self._stream.height, self._stream.width = size
        self._stream.pix_fmt = "pal8"
        self._stream.codec_context.time_base = self._stream.time_base = _GIF_TICK

    def write(self, image: np.ndarray, time: Fraction, duration: Fraction | None = None) -> None:  # noqa: ARG002
        """Encode the next frame, or drop it if it comes sooner than GIF can show it."""
        tick = round(time / _GIF_TICK)
        if self._previous is not None and tick < self._previous + _GIF_SHORTEST:
            return
        self._previous = tick
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=self._pixels)
        frame.pts, frame.time_base = tick, _GIF_TICK
        with writing(self._target):
            self._graph.vpush(frame)
            self._mux_filtered()

    def _mux_filtered(self) -> None:
        # The graph says BlockingIOError when it wants another frame and EOFError after the last.
        with suppress(av.BlockingIOError, EOFError):
            while True:
                frame = self._graph.vpull()
                frame.pict_type = 0
                self._container.mux(self._stream.encode(frame))

    def _finish(self) -> None:
        self._graph.vpush(None)
        self._mux_filtered()
        self._container.mux(self._stream.encode(None))
        self._container.close()
        if self._comment:
            _insert_gif_comment(self._target, self._comment)

    def _abandon(self) -> None:
        with suppress(av.FFmpegError, OSError):
            self._container.close()


class WebpWriter(_Writer):
    """Write an endlessly repeating animated WebP."""

    def __init__(
        self, target: Path, size: tuple[int, int], rate: Fraction, metadata: dict[str, str], crf: int | None
    ) -> None:
        super().__init__(target)
        if max(size) > LONGEST_SIDE:
            raise InputError(
                f"{target} is too large: WebP has at most {LONGEST_SIDE} pixels a side", "Use .webm or .mp4"
            )
        quality = _WEBP_QUALITY if crf is None else round(100 - _WEBP_QUALITY_OF_CRF * crf)
        self._interval = 1 / rate
        self._previous: int | None = None
        self._end = Fraction(0)
        with writing(target):
            self._encoder = WebpEncoder(target, size, metadata, quality)

    def write(self, image: np.ndarray, time: Fraction, duration: Fraction | None = None) -> None:
        """Encode the next frame, or drop it if it comes sooner than browsers show it."""
        self._end = time + (duration or self._interval)
        tick = round(time / WEBP_TICK)
        if self._previous is not None and tick < self._previous + _WEBP_SHORTEST:
            return
        self._previous = tick
        with writing(self._target):
            self._encoder.add(np.ascontiguousarray(image), time)

    def _finish(self) -> None:
        shown = 0 if self._previous is None else self._previous + _WEBP_SHORTEST
        self._encoder.finish(max(self._end, shown * WEBP_TICK))

    def _abandon(self) -> None:
        with suppress(OSError):
            self._encoder.abandon()


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Say in people's words why ``target`` cannot be written."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise FommError(
            f"{target} cannot be written: {error.strerror or error}",
            "Check the free space, the free memory and the permissions.",
        ) from error


def _tick(rate: Fraction) -> Fraction:
    """Return a time base that whole frame intervals of ``rate`` are whole multiples of."""
    return Fraction(1, rate.numerator * math.ceil(Fraction(_TICKS_PER_SECOND, rate.numerator)))


def _prores(crf: int) -> dict[str, str]:
    bits = _PRORES_BITS * 2 ** ((_PRORES_CRF - crf) / 6)
    return {"profile": "4444", "bits_per_mb": str(round(min(max(bits, 128), 8192)))}


def _create(target: Path, metadata: dict[str, str]) -> OutputContainer:
    # bitexact makes Matroska UIDs deterministic
    options = {".mp4": {"movflags": "+faststart"}, ".mov": {"movflags": "+faststart"}, ".webm": {"fflags": "+bitexact"}}
    suffix = target.suffix.lower()
    container = av.open(f"file:{target}", "w", format=suffix[1:], container_options=options.get(suffix, {}))
    container.metadata.update(metadata)
    return container


def _even(image: np.ndarray) -> np.ndarray:
    """Repeat the last row and column of (H, W, C) where H or W is odd, as halved chroma needs."""
    rows, columns = image.shape[0] % 2, image.shape[1] % 2
    if rows or columns:
        return np.pad(image, ((0, rows), (0, columns), (0, 0)), mode="edge")
    return np.ascontiguousarray(image)


def _palette_graph(size: tuple[int, int], pixels: str) -> Graph:
    """Build rgb24 or rgba -> pal8: split, one copy into a palette, the other through it."""
    graph = Graph()
    source = graph.add_buffer(width=size[1], height=size[0], format=av.VideoFormat(pixels), time_base=_GIF_TICK)
    split = graph.add("split")
    palette = graph.add("palettegen", stats_mode="single")
    use = graph.add("paletteuse", new="1", dither="floyd_steinberg")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(palette, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph


def _insert_gif_comment(path: Path, comment: str) -> None:
    """Add a comment extension block before the trailer, which is the last byte."""
    text = comment.encode()
    pieces = [text[start : start + 255] for start in range(0, len(text), 255)]
    block = b"\x21\xfe" + b"".join(bytes([len(piece)]) + piece for piece in pieces) + b"\0"
    with path.open("r+b") as file:
        file.seek(-len(_GIF_TRAILER), 2)
        file.write(block + _GIF_TRAILER)
