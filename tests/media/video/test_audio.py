import logging
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from fomm_cli.media.validate import DEMUXERS
from fomm_cli.media.video.audio import add_audio, audio_codec, audio_command, can_carry_audio
from fomm_cli.media.video.reader import open_clip
from fomm_cli.media.video.writer import open_writer
from support.media_helpers import decode, decode_sound, describe, ffmpeg, make_video, metadata

SOUND_RATE = 8000


def flash_and_beep(path: Path, seconds: float, moment: float, *codecs: str, rate: int = 25) -> Path:
    """A black, silent clip with a white flash and a beep of 0.2 s at one moment."""
    lit = f"gte(t,{moment})*lt(t,{moment}+0.2)"
    picture = f"color=black:s=16x16:r={rate}:d={seconds},drawbox=c=white:t=fill:enable='{lit}'"
    sound = f"sine=f=500:d={seconds}:sample_rate=48000,asetnsamples=48,volume='if({lit},1,0)':eval=frame"
    ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-pix_fmt", "yuv420p", *codecs, path)
    return path


def render(driving: Path, rendered: Path, **kept: float) -> tuple[Fraction, Fraction]:
    """Stand in for the animation: copy the frames; return what the sound needs."""
    clip = open_clip(driving, **kept)  # type: ignore[arg-type]
    with open_writer(rendered, (16, 16), clip.info.rate, {"title": "kept"}) as writer:
        for frame in clip.frames():
            writer.write(frame.image, frame.time, frame.duration)
    return clip.offset, frame.time + (frame.duration or 1 / clip.info.rate)


def lag(path: Path) -> float:
    """Seconds by which the beep comes after the flash."""
    frames, times = decode(path)
    flash = times[int(np.argmax(frames.reshape(len(frames), -1).mean(axis=1) > 128))]
    beep = np.argmax(np.abs(decode_sound(path, SOUND_RATE).astype(int)) > 1000) / SOUND_RATE
    return float(beep - flash)


SOURCES = {
    "mp4": ("-c:v", "libx264", "-g", "50", "-c:a", "aac"),
    "mov": ("-c:v", "libx264", "-c:a", "alac"),
    "webm": ("-c:v", "libvpx", "-c:a", "libopus"),
    "mkv": ("-c:v", "libx264", "-g", "200", "-c:a", "flac"),
    "ts": ("-c:v", "libx264", "-c:a", "aac"),
}


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
@pytest.mark.parametrize(("source", "start"), [("mp4", 0.0), *((source, 1.3) for source in SOURCES)])
def test_sound_stays_with_the_picture(tmp_path: Path, source: str, suffix: str, start: float) -> None:
    driving = flash_and_beep(tmp_path / f"driving.{source}", 4, 3, *SOURCES[source])
    silent, target = tmp_path / f"silent.{suffix}", tmp_path / f"result.{suffix}"
    offset, duration = render(driving, silent, start=start, end=3.8)
    assert add_audio(silent, driving, target, offset, duration)
    assert abs(lag(target)) < 0.02
    assert decode(target)[0].shape == decode(silent)[0].shape
    assert len(decode_sound(target, SOUND_RATE)) / SOUND_RATE == pytest.approx(float(duration), abs=0.05)


def test_in_sync_after_ten_minutes(tmp_path: Path) -> None:
    codecs = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-ac", "1", "-b:a", "32k")
    driving = tmp_path / "driving.mp4"
    lit = "gte(t,590)*lt(t,590.5)"
    picture = f"color=black:s=16x16:r=3000/1001:d=600,drawbox=c=white:t=fill:enable='{lit}'"
    sound = f"sine=f=500:d=600:sample_rate=8000,volume='if({lit},1,0)':eval=frame"
    ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-pix_fmt", "yuv420p", *codecs, driving)
    offset, duration = render(driving, tmp_path / "silent.mp4")
    assert add_audio(tmp_path / "silent.mp4", driving, tmp_path / "result.mp4", offset, duration)
    assert abs(lag(tmp_path / "result.mp4") - lag(driving)) < 0.001


@pytest.mark.parametrize(
    ("source", "suffix", "codec"),
    [
        ("aac", "mp4", "aac"),
        ("libmp3lame", "mp4", "mp3"),
        ("ac3", "mov", "ac3"),
        ("libopus", "webm", "opus"),
        ("libvorbis", "webm", "vorbis"),
        ("pcm_s16le", "mp4", "aac"),
        ("libopus", "mp4", "aac"),
        ("aac", "webm", "opus"),
    ],
)
def test_sound_is_copied_where_the_container_takes_it(tmp_path: Path, source: str, suffix: str, codec: str) -> None:
    driving = make_video(tmp_path / "driving.mkv", "-f", "lavfi", "-i", "sine=d=1", "-c:a", source)
    silent, target = make_video(tmp_path / f"silent.{suffix}"), tmp_path / f"result.{suffix}"
    assert add_audio(silent, driving, target, Fraction(0), Fraction(1))
    assert audio_codec(target) == codec
    if codec in source:
        packets = [packet_bytes(path) for path in (driving, target)]
        assert packets[0][: len(packets[1])] == packets[1] or packets[1] in packets[0]


def packet_bytes(path: Path) -> bytes:
    import av

    with av.open(str(path)) as container:
        return b"".join(bytes(packet) for packet in container.demux(container.streams.audio[0]))


@pytest.mark.parametrize("suffix", ["mp4", "mov", "webm"])
def test_the_picture_file_keeps_what_it_was(tmp_path: Path, suffix: str) -> None:
    driving = flash_and_beep(tmp_path / "driving.mkv", 1, 0.5, "-c:a", "flac", "-metadata", "title=not this")
    silent, target = tmp_path / f"silent.{suffix}", tmp_path / f"result.{suffix}"
    offset, duration = render(driving, silent)
    assert add_audio(silent, driving, target, offset, duration)
    assert "title=kept" in metadata(target)
    assert "bt709" in describe(target)
    np.testing.assert_array_equal(decode(target)[0], decode(silent)[0])
    if suffix != "webm":
        content = target.read_bytes()
        assert content.index(b"moov") < content.index(b"mdat")
    again = tmp_path / f"again.{suffix}"
    assert add_audio(silent, driving, again, offset, duration)
    assert again.read_bytes() == target.read_bytes()


def test_long_sound_is_cut_with_the_picture(tmp_path: Path) -> None:
    driving = make_video(tmp_path / "driving.mp4", "-f", "lavfi", "-i", "sine=d=5", "-c:a", "aac")
    silent, target = make_video(tmp_path / "silent.mp4"), tmp_path / "result.mp4"
    assert add_audio(silent, driving, target, Fraction(0), Fraction(1))
    assert "Duration: 00:00:01.0" in describe(target)


def test_silent_driving_is_only_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    silent = make_video(tmp_path / "silent.mp4")
    assert not add_audio(silent, silent, tmp_path / "result.mp4", Fraction(0), Fraction(1))
    assert [(record.levelno, "has no audio" in record.message) for record in caplog.records] == [(logging.INFO, True)]
    assert not (tmp_path / "result.mp4").exists()


@pytest.mark.parametrize("program", ["missing-program", "broken"])
def test_failure_never_costs_the_picture(
    tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if program == "broken" and os.name == "nt":
        pytest.skip("needs a shell script")
    script = tmp_path / "broken"
    script.write_text("#!/bin/sh\necho half > result.mp4\necho no such thing >&2\nexit 3\n")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", lambda: str(tmp_path / program))
    driving = make_video(tmp_path / "driving.mp4", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac")
    silent = make_video(tmp_path / "silent.mp4")
    assert not add_audio(silent, driving, Path("result.mp4"), Fraction(0), Fraction(1))
    assert len(caplog.records) == 1
    assert "could not be joined" in caplog.text
    assert not (tmp_path / "result.mp4").exists()
    assert silent.exists()


def test_gif_carries_no_sound(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert [can_carry_audio(suffix) for suffix in (".mp4", ".MOV", ".webm", ".gif", ".png")] == [True] * 3 + [False] * 2
    assert not add_audio(tmp_path / "a.gif", tmp_path / "b.mp4", tmp_path / "c.gif", Fraction(0), Fraction(1))
    assert ".gif files cannot hold audio" in caplog.text


def test_names_that_look_like_options_or_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.name == "nt":
        pytest.skip("Windows has no such names")
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "driving.mp4", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac").rename("a:b %d.mp4")
    make_video(tmp_path / "silent.mp4").rename("-y.mp4")
    assert add_audio(Path("-y.mp4"), Path("a:b %d.mp4"), Path("http:c.mp4"), Fraction(0), Fraction(1))
    assert audio_codec(Path("http:c.mp4")) == "aac"


def test_command_line() -> None:
    command = audio_command("ffmpeg", Path("r.mp4"), Path("d.mkv"), Path("t.mp4"), Fraction(1, 3), Fraction(2), "flac")
    assert command == [
        *("ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error", "-y", "-i", "file:r.mp4"),
        *("-vn", "-seek_timestamp", "1", "-ss", "0.333333", "-t", "2.000000"),
        *("-protocol_whitelist", "file", "-format_whitelist", ",".join(DEMUXERS), "-i", "file:d.mkv"),
        *("-map", "0:v:0", "-map", "1:a:0", "-map_metadata", "0", "-map_chapters", "-1", "-c:v", "copy"),
        *("-c:a", "aac", "-b:a", "192k", "-movflags", "+faststart", "file:t.mp4"),
    ]
