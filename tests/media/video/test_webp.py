"""Animated WebP, written and read: against Pillow, which uses the decoder that browsers use."""

from __future__ import annotations

import struct
import time
import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fomm_cli.errors import FommError, InputError
from fomm_cli.files import limits
from fomm_cli.media.video import webp
from fomm_cli.media.video.reader import open_clip
from fomm_cli.media.video.writer import open_writer
from support.media_helpers import gradient

NTSC = Fraction(30000, 1001)
METADATA = {"title": "Änne talks", "comment": "made by fomm " + "x" * 300}


def shown_by_pillow(path: Path) -> tuple[list[np.ndarray], list[int]]:
    """Frames, uint8 (H, W, 4), and their durations in milliseconds."""
    frames, durations = [], []
    with Image.open(path) as image:
        assert image.info["loop"] == 0
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGBA")))
            durations.append(image.info["duration"])
    return frames, durations


def written(path: Path, frames: list[np.ndarray], rate: Fraction = Fraction(25), **options: int) -> Path:
    with open_writer(path, frames[0].shape[:2], rate, METADATA, alpha=frames[0].shape[2] == 4, **options) as writer:
        for index, frame in enumerate(frames):
            writer.write(frame, index / rate)
    return path


def animation(path: Path, durations: list[int], canvas: tuple[int, int] = (8, 8)) -> Path:
    """A file with one tiny frame again and again, put together by hand."""
    Image.new("RGB", (1, 1)).save(path, format="WEBP")
    picture = path.read_bytes()[12:]
    width, height = (struct.pack("<I", side - 1)[:3] for side in canvas)
    body = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + width + height + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    head = b"ANMF" + struct.pack("<I", 16 + len(picture)) + bytes(12)
    body += b"".join(head + struct.pack("<I", duration)[:3] + b"\0" + picture for duration in durations)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body)
    return path


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("size", [(48, 64), (17, 31), (1, 1)])
def test_browsers_would_show_what_was_written(tmp_path: Path, size: tuple[int, int], channels: int) -> None:
    alpha = np.tile(np.linspace(55, 255, size[1]).astype(np.uint8), (size[0], 1))
    frames = [np.dstack([gradient(*size, 9 * index), np.roll(alpha, index, 1)])[..., :channels] for index in range(12)]
    shown, durations = shown_by_pillow(written(tmp_path / "a.webp", frames, NTSC))
    np.testing.assert_allclose(np.cumsum(durations), [1000 * (k + 1) / float(NTSC) for k in range(12)], atol=0.51)
    for frame, image in zip(frames, shown, strict=True):
        np.testing.assert_array_equal(image[..., 3], frame[..., 3] if channels == 4 else 255)
        assert np.abs(image[..., :3].astype(int) - frame[..., :3]).mean() < 4


def test_only_what_changes_is_stored(tmp_path: Path) -> None:
    still = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    frames = [still.copy() for _ in range(10)]
    for index, frame in enumerate(frames):
        frame[33:60, 71 + index : 90 + index] = (255, 20 * index, 0)
    path = written(tmp_path / "a.webp", frames)
    one = written(tmp_path / "one.webp", frames[:1]).stat().st_size
    assert path.stat().st_size < 3 * one
    shown, _ = shown_by_pillow(path)
    first = np.abs(shown[0][..., :3].astype(int) - frames[0]).mean()
    assert np.abs(shown[-1][..., :3].astype(int) - frames[-1]).mean() < first + 1


def test_memory_does_not_grow_with_the_frames(tmp_path: Path) -> None:
    encoder = webp.WebpEncoder(tmp_path / "a.webp", (64, 64), {}, 80)
    random = np.random.default_rng(0)
    tracemalloc.start()
    held = []
    for index in range(60):
        encoder.add(random.integers(0, 256, (64, 64, 3), dtype=np.uint8), Fraction(index, 25))
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    encoder.finish(Fraction(60, 25))
    assert (tmp_path / "a.webp").stat().st_size > 100_000
    assert held[-1] - held[9] < 10_000
    assert len(shown_by_pillow(tmp_path / "a.webp")[0]) == 60


def test_quality_and_texts(tmp_path: Path) -> None:
    frames = [np.random.default_rng(index).integers(0, 256, (64, 64, 3), dtype=np.uint8) for index in range(3)]
    sizes = [written(tmp_path / f"{crf}.webp", frames, crf=crf).stat().st_size for crf in (0, 20, 51)]
    assert sizes == sorted(sizes, reverse=True)
    with Image.open(tmp_path / "0.webp") as image:
        text = image.getexif()[0x010E].encode("latin-1").decode()
    assert text == "\n".join(METADATA.values())


def test_frames_too_quick_for_browsers_are_dropped(tmp_path: Path) -> None:
    frames = [gradient(16, 16, 5 * index) for index in range(40)]
    _, durations = shown_by_pillow(written(tmp_path / "a.webp", frames, Fraction(240)))
    assert min(durations) > 10
    assert sum(durations) == pytest.approx(1000 * 40 / 240, abs=11)


def test_a_file_of_4_gb_is_not_begun_to_be_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webp, "_MOST_BYTES", 2000)
    frames = [np.random.default_rng(index).integers(0, 256, (64, 64, 3), dtype=np.uint8) for index in range(3)]
    with pytest.raises(FommError, match=r"more than 4 GB.*Write \.webm"):
        written(tmp_path / "a.webp", frames)


def test_sides_beyond_the_format(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at most 16383 pixels"):
        open_writer(tmp_path / "a.webp", (2, 16384), Fraction(25), {})


def test_frames_and_times_of_others_are_read(tmp_path: Path) -> None:
    frames = [gradient(40, 60, 10 * index) for index in range(6)]
    images = [Image.fromarray(frame) for frame in frames]
    durations = [40, 0, 200, 10, 33, 500]
    images[0].save(tmp_path / "a.webp", save_all=True, append_images=images[1:], duration=durations, lossless=True)
    clip = open_clip(tmp_path / "a.webp")
    assert (clip.info.width, clip.info.height, clip.info.frame_count, clip.info.still) == (60, 40, 6, False)
    read = list(clip.frames())
    stored = shown_by_pillow(tmp_path / "a.webp")[1]  # libwebp gives a duration of 0 to a neighbour
    shown = [duration if duration > 10 else 100 for duration in stored]
    assert [frame.duration for frame in read] == [Fraction(duration, 1000) for duration in shown]
    assert [frame.time for frame in read] == [Fraction(sum(shown[:index]), 1000) for index in range(6)]
    for frame, image in zip(read, frames, strict=True):
        np.testing.assert_array_equal(frame.image, image)


def test_it_reads_like_the_video_it_was_made_of(tmp_path: Path) -> None:
    written(tmp_path / "a.mp4", [gradient(48, 64, 7 * index) for index in range(30)], NTSC)
    video = list(open_clip(tmp_path / "a.mp4").frames())
    images = [Image.fromarray(frame.image) for frame in video]
    ends = [round(1000 * (index + 1) * 1001 / 30000) for index in range(len(images))]
    durations = np.diff([0, *ends]).tolist()
    images[0].save(tmp_path / "a.webp", save_all=True, append_images=images[1:], duration=durations, lossless=True)
    clip = open_clip(tmp_path / "a.webp")
    read = list(clip.frames())
    assert clip.info.rate == NTSC
    assert [frame.time for frame in read] == [frame.time for frame in video]
    for frame, image in zip(read, images, strict=True):
        np.testing.assert_array_equal(frame.image, np.asarray(image))
    trimmed = list(open_clip(tmp_path / "a.webp", start=0.5, end=0.8).frames())
    np.testing.assert_array_equal(trimmed[0].image, np.asarray(images[15]))
    assert len(trimmed) == 9


def test_transparent_frames_are_laid_over_white(tmp_path: Path) -> None:
    frames = [np.zeros((8, 8, 4), np.uint8) for _ in range(2)]
    frames[1][4:] = (10, 20, 30, 255)
    read = list(open_clip(written(tmp_path / "a.webp", frames)).frames())
    np.testing.assert_array_equal(read[0].image, np.full((8, 8, 3), 255))
    np.testing.assert_array_equal(read[1].image[:4], np.full((4, 8, 3), 255))


def test_durations_of_zero_are_shown_as_long_as_in_browsers(tmp_path: Path) -> None:
    clip = open_clip(animation(tmp_path / "a.webp", [0] * 5))
    assert [frame.time for frame in clip.frames()] == [Fraction(index, 10) for index in range(5)]
    assert clip.info.rate == 10


def test_more_frames_than_are_read(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.webp", [40] * (limits.WEBP_FRAMES + 1))
    began = time.perf_counter()
    with pytest.raises(InputError, match="has more than 100000 frames"):
        open_clip(path)
    assert time.perf_counter() - began < 10


def test_a_huge_canvas_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has 268 megapixels, the limit for this kind of file is 34"):
        open_clip(animation(tmp_path / "a.webp", [40, 40], (16384, 16384)))


def test_a_file_larger_than_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webp, "WEBP_BYTES", 100)
    with pytest.raises(InputError, match="the limit for an animated WebP is"):
        open_clip(animation(tmp_path / "a.webp", [40, 40]))


def test_damaged_files_end_in_one_line(tmp_path: Path) -> None:
    content = animation(tmp_path / "whole.webp", [40] * 4).read_bytes()
    frame = content.index(b"ANMF")
    ends = [content[:length] for length in range(21, len(content), 7)]
    sizes = [
        content[: frame + 4] + struct.pack("<I", size) + content[frame + 8 :] for size in (0, 7, 1 << 31, 0xFFFFFFFF)
    ]
    zeros = [content[:40] + bytes(len(content) - 40)]
    for number, damaged in enumerate([*ends, *sizes, *zeros]):
        path = tmp_path / f"{number}.webp"
        path.write_bytes(damaged)
        try:
            frames = list(open_clip(path).frames())
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert 0 < len(frames) <= 4
