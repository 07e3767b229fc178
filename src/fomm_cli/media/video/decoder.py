"""Open and probe a video file through FFmpeg, and decode every frame that can be decoded."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias, cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from fomm_cli.errors import InputError
from fomm_cli.files.inputs import check_file
from fomm_cli.media.validate import CONTAINER_OPTIONS, check_content, check_frame_size
from fomm_cli.media.video.frame import LARGE
from fomm_cli.media.video.timing import DEFAULT_RATE, Timing, judge_timing

_PROBED_PACKETS = 240
_SPARE_THREADS = 4  # each frame waits for parts of the one before; with a thread for each core alone some are idle
_FASTEST_RATE = 1000  # frames per second; containers without a rate claim more
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decoders drop the alpha channel
_FORMATS_WITH_DURATION = ("mov,", "matroska,", "avi")  # whose header tells how much there should be
_SLACK = Fraction(1, 4)  # seconds by which headers overstate the duration of whole files
_GIF_TAIL = 512  # bytes, in which some programs pad a file with zeros

VideoPacket: TypeAlias = "Packet[VideoStream]"
Decode: TypeAlias = "Callable[[VideoPacket], list[av.VideoFrame]]"


@dataclass
class Damage:
    """The damage that was met while a source was read."""

    unreadable: int = 0
    incomplete: bool = False


@dataclass(frozen=True)
class Probe:
    """The facts that the first packets of a video tell.

    Attributes:
        frame: the first that can be decoded.
        timing: of the video stream.
        timed: whether the container stores times at all.
        frame_count: as declared, counted in short files that declare none, None if neither is known.
    """

    frame: av.VideoFrame
    timing: Timing
    timed: bool
    frame_count: int | None


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file with its main video stream, ready to decode.

    Raises:
        InputError: it is no video, damaged beyond opening, without frames or too large.
    """
    try:
        # The prefix keeps names such as "a:b.mp4" from being taken for an address.
        container = av.open(f"file:{path}", mode="r", options=dict(CONTAINER_OPTIONS), metadata_errors="replace")
    except Exception as error:
        check_file(path, "video")
        raise _unopenable(path) from error
    with container:
        yield container, _video_stream(path, container)


def _unopenable(path: Path) -> InputError:
    with path.open("rb") as file:
        is_mp4 = file.read(8)[4:] == b"ftyp"
    if is_mp4:
        return InputError(
            f"{path} is damaged or incomplete: its index (moov) is missing", "Download, copy or record it again."
        )
    return InputError(
        f"{path} is damaged or not a video that can be read", "Download or copy it again, or convert it to MP4."
    )


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        what = "audio" if container.streams.audio else "nothing that can be shown"
        raise InputError(f"{path} holds {what} but no video", "Give a video file.")
    decodable = [stream for stream in streams if stream.codec_context is not None]
    if not decodable:
        raise InputError(f"{path} uses a video codec that cannot be decoded here", "Convert it to MP4 (H.264).")
    stream = max(decodable, key=lambda stream: stream.codec_context.width * stream.codec_context.height)
    check_frame_size(path, stream.codec_context.width, stream.codec_context.height)
    stream.thread_type = "AUTO"
    if stream.codec_context.width * stream.codec_context.height > LARGE:
        stream.codec_context.thread_count = (os.cpu_count() or 1) + _SPARE_THREADS
    return stream


def probe(path: Path) -> tuple[Probe, bool]:
    """Read the first packets of a video; also return whether it has audio.

    Raises:
        InputError: as :func:`opened`, or no frame can be decoded.
    """
    check_file(path, "video")
    check_content(path, "video")
    with opened(path) as (container, stream):
        decode = _decoder(stream)
        frame: av.VideoFrame | None = None
        packets: list[tuple[int | None, int | None]] = []
        whole = False
        for packet in _packets(container, stream, Damage()):
            whole = _is_flush(packet)
            if not whole and not packet.is_discard:
                packets.append((packet.pts, packet.duration))
            if frame is None:
                frame = next(iter(_decode_or_note(decode, packet, Damage())), None)
            elif len(packets) >= _PROBED_PACKETS:
                break
        if frame is None:
            raise InputError(f"{path} holds no frame that can be decoded", "Download or copy it again.")
        timing, timed = _timing(stream, frame, packets)
        count = len(packets) if whole and not stream.frames else _declared_frames(container, stream, timing.rate)
        return Probe(frame, timing, timed, count), bool(container.streams.audio)


def _timing(
    stream: VideoStream, frame: av.VideoFrame, packets: list[tuple[int | None, int | None]]
) -> tuple[Timing, bool]:
    tick = stream.time_base or Fraction(1, 1000)
    claims = (stream.average_rate, stream.base_rate, stream.guessed_rate)
    declared = [rate for rate in claims if rate and rate <= _FASTEST_RATE]
    if frame.pts is None:
        duration = next((duration for _, duration in packets if duration), None)
        rate = 1 / (duration * tick) if duration else (declared or [DEFAULT_RATE])[-1]
        return Timing(rate, None, Fraction(0), tick), False
    times = [pts * tick for pts, _ in packets if pts is not None and pts >= frame.pts]
    return judge_timing([frame.pts * tick, *times], tick, declared), True


def _declared_frames(container: InputContainer, stream: VideoStream, rate: Fraction) -> int | None:
    if stream.frames:
        return stream.frames
    return round(container.duration * rate / av.time_base) if container.duration else None


def decoded_frames(path: Path, start: Fraction, damage: Damage) -> Generator[av.VideoFrame, None, None]:
    """Decode every frame that can be decoded, in order of display, and note damage.

    Args:
        path: the video.
        start: seconds on the container's clock; decoding begins at the key frame before it. 0 or less: at the start.
        damage: filled in as problems are met.
    """
    with opened(path) as (container, stream):
        if start > 0:
            try:
                container.seek(int(start / (stream.time_base or 1)), stream=stream)
            except av.FFmpegError:
                return
        decode = _decoder(stream)
        for packet in _packets(container, stream, damage):
            for frame in _decode_or_note(decode, packet, damage):
                check_frame_size(path, frame.width, frame.height)
                yield frame
        damage.incomplete |= container.format.name == "gif" and not _has_gif_trailer(path)


def _packets(container: InputContainer, stream: VideoStream, damage: Damage) -> Iterator[VideoPacket]:
    """Yield the video packets, the flush packet last, and compare the end with what the header promises."""
    end = Fraction(0)
    try:
        for packet in container.demux(stream, *container.streams.audio):
            if packet.pts is not None and packet.time_base:
                end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
            damage.unreadable += packet.is_corrupt and packet.stream is stream
            # A packet may be empty; given to the decoder, it would end the stream.
            if packet.stream is stream and (packet.size or _is_flush(packet)):
                yield cast("VideoPacket", packet)
    except av.FFmpegError:
        damage.incomplete = True
    promised = Fraction(container.duration or 0, av.time_base)
    if container.format.name.startswith(_FORMATS_WITH_DURATION):
        damage.incomplete |= end + max(_SLACK, 2 / (stream.average_rate or DEFAULT_RATE)) < promised


def _is_flush(packet: Packet[Any]) -> bool:
    return packet.size == 0 and packet.dts is None and packet.pts is None


def _decoder(stream: VideoStream) -> Decode:
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    has_alpha = any(key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items())
    if name is not None and has_alpha and name in av.codecs_available:
        context = cast("VideoCodecContext", av.CodecContext.create(name, "r"))
        return lambda packet: context.decode(None if _is_flush(packet) else packet)
    return lambda packet: stream.decode(packet)


def _decode_or_note(decode: Decode, packet: VideoPacket, damage: Damage) -> list[av.VideoFrame]:
    try:
        return decode(packet)
    except EOFError:
        return []  # the decoder was flushed already
    except av.FFmpegError:
        damage.unreadable += 1
        return []


def _has_gif_trailer(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-min(_GIF_TAIL, path.stat().st_size), 2)
        return file.read().rstrip(b"\0").endswith(b";")
