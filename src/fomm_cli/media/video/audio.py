"""Add the driving video's audio to the result with the ffmpeg program."""

from __future__ import annotations

import logging
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg

from fomm_cli.media.validate import CONTAINER_OPTIONS

_log = logging.getLogger(__name__)
_COPIED_CODECS = {
    ".mp4": ("aac", "mp3", "alac", "ac3"),
    ".mov": ("aac", "mp3", "alac", "ac3"),
    ".webm": ("opus", "vorbis"),
}
_ENCODERS = {
    ".mp4": ("-c:a", "aac", "-b:a", "192k"),
    ".mov": ("-c:a", "aac", "-b:a", "192k"),
    ".webm": ("-c:a", "libopus", "-b:a", "128k"),
}
# WebM cannot hide what was read before the start, as MP4 can: it would move the video.
_COPY = ("-c:a", "copy", "-copypriorss:a", "0")
_TIMEOUT = 3600  # seconds; far beyond what copying takes, so that nothing waits for ever


def can_carry_audio(suffix: str) -> bool:
    """Return whether a file with this suffix, such as ``.mp4``, can hold audio."""
    return suffix.lower() in _ENCODERS


def audio_codec(path: Path) -> str | None:
    """Return FFmpeg's name of the codec of the first audio track, "" if unknown to PyAV, None without audio."""
    try:
        with av.open(f"file:{path}", options=dict(CONTAINER_OPTIONS), metadata_errors="replace") as container:
            if not container.streams.audio:
                return None
            context = container.streams.audio[0].codec_context
            return context.codec.canonical_name if context is not None else ""  # "mp3", whichever decoder reads it
    except (av.FFmpegError, OSError, ValueError):
        return None


def audio_command(
    ffmpeg: str, rendered: Path, driving: Path, target: Path, start: Fraction, duration: Fraction, codec: str
) -> list[str]:
    """Build the command line that joins video and audio.

    Args:
        ffmpeg: the program.
        rendered: the silent video; its video and metadata are copied as they are.
        driving: the file with the audio.
        target: the file to write.
        start: where the audio begins, in seconds on the driving file's own clock.
        duration: of the audio, in seconds.
        codec: of the driving audio.
    """
    suffix = target.suffix.lower()
    encoding = _COPY if codec in _COPIED_CODECS[suffix] else _ENCODERS[suffix]
    finish = ("-fflags", "+bitexact") if suffix == ".webm" else ("-movflags", "+faststart")
    return [
        *(ffmpeg, "-hide_banner", "-nostdin", "-loglevel", "error", "-y"),
        *("-i", f"file:{rendered}"),
        # Without its video stream, the file is searched for the nearest audio packet, not the nearest key frame.
        *("-vn", "-seek_timestamp", "1", "-ss", _decimal(start), "-t", _decimal(duration)),
        *(word for name, value in CONTAINER_OPTIONS.items() for word in (f"-{name}", value)),
        *("-i", f"file:{driving}"),
        *("-map", "0:v:0", "-map", "1:a:0", "-map_metadata", "0", "-map_chapters", "-1"),
        *("-c:v", "copy", *encoding, *finish, f"file:{target}"),
    ]


def add_audio(rendered: Path, driving: Path, target: Path, start: Fraction, duration: Fraction) -> bool:
    """Write ``rendered`` with the driving video's audio to ``target``.

    Args:
        rendered: the silent video.
        driving: the video whose audio is wanted.
        target: the file to write; its suffix decides the format.
        start: where the audio begins, in seconds on the driving file's own clock (``Clip.offset``).
        duration: of the rendered video, in seconds.

    Returns:
        False, after one log line, if there is no audio to join or it cannot be joined; ``target`` is then gone.
    """
    if not can_carry_audio(target.suffix):
        _log.warning("%s files cannot hold audio: the result is silent", target.suffix)
        return False
    codec = audio_codec(driving)
    if codec is None:
        _log.info("%s has no audio: the result is silent", driving)
        return False
    problem = _run(audio_command(imageio_ffmpeg.get_ffmpeg_exe(), rendered, driving, target, start, duration, codec))
    if problem is None:
        return True
    target.unlink(missing_ok=True)
    _log.warning("the audio of %s could not be joined (%s): the result is silent", driving, problem)
    return False


def _run(command: list[str]) -> str | None:
    """Run a program and return None or, in one line, what went wrong."""
    try:
        done = subprocess.run(  # noqa: S603 - a list of our own making, no shell
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.strip().splitlines()
    return None if done.returncode == 0 else (lines[-1] if lines else f"ffmpeg ended with {done.returncode}")


def _decimal(seconds: Fraction) -> str:
    return f"{float(seconds):.6f}"
