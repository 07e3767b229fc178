"""The invisible mark: unseen, found again after what happens to videos, and never where there is none."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from fomm_cli.marks.code import Payload
from fomm_cli.marks.detect import FALSE_ALARMS, detect, search
from fomm_cli.marks.watermark import SMALLEST_SIDE, InvisibleMark
from fomm_cli.media.video.reader import open_clip
from fomm_cli.models.bundled import sample
from support.attacks import as_gif, as_jpeg, brightened, cropped, dropped, encoded, scaled, with_gamma

PAYLOAD = Payload.of("0.2.3", "beef" + 60 * "0")


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Frames of the sample video, uint8 (30, 256, 256, 3)."""
    frames = [frame.image for frame in open_clip(sample()[1], max_frames=30).frames()]
    return np.stack([cv2.resize(frame, (256, 256)) for frame in frames])


@pytest.fixture(scope="module")
def marked(frames: np.ndarray) -> np.ndarray:
    mark = InvisibleMark(PAYLOAD)
    return np.stack([mark(frame) for frame in frames])


def average(frames: np.ndarray) -> np.ndarray:
    return frames.mean(0, dtype=np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(np.float64) - other) ** 2)))


def test_the_mark_is_far_below_what_is_seen(frames: np.ndarray, marked: np.ndarray) -> None:
    assert min(psnr(one, other) for one, other in zip(frames, marked, strict=True)) >= 46
    assert np.abs(marked.astype(int) - frames).max() <= 10


def test_the_mark_does_not_flicker(frames: np.ndarray, marked: np.ndarray) -> None:
    change = (marked.astype(np.float32) - frames).mean(-1)
    assert np.corrcoef(change[0].ravel(), change[1].ravel())[0, 1] > 0.9


ATTACKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "nothing": lambda frames: frames,
    "one frame": lambda frames: frames[:1],
    "H.264 at CRF 28": lambda frames: encoded(frames, crf=28),
    "H.265 at CRF 28": lambda frames: encoded(frames, "libx265", 28),
    "VP9 at CRF 36": lambda frames: encoded(frames, "libvpx-vp9", 36, "webm", b="0", **{"cpu-used": "4"}),
    "twice": lambda frames: encoded(encoded(frames, crf=23), crf=26),
    "half the size": lambda frames: encoded(scaled(frames, 0.5)),
    "double the size": lambda frames: encoded(scaled(frames, 2)[:10]),
    "stretched": lambda frames: np.stack([cv2.resize(frame, (320, 180)) for frame in frames]),
    "cropped left": lambda frames: encoded(cropped(frames, left=0.1)),
    "cropped all around": lambda frames: encoded(cropped(frames, 0.1, 0.1, 0.1, 0.1)),
    "cropped and scaled": lambda frames: encoded(scaled(cropped(frames, bottom=0.1, right=0.05), 1.4)[:10]),
    "half the frames": lambda frames: encoded(dropped(frames)),
    "brighter": lambda frames: encoded(brightened(frames, 1.2)),
    "darker": lambda frames: encoded(brightened(frames, 0.8)),
    "gamma": lambda frames: encoded(with_gamma(frames, 1.2)),
    "GIF": lambda frames: as_gif(frames[:10]),
    "JPEG": lambda frames: as_jpeg(frames[:1], 70),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_mark_is_read_after(attack: str, marked: np.ndarray) -> None:
    reading = detect(average(ATTACKS[attack](marked)))
    assert reading is not None
    assert reading.payload == PAYLOAD
    assert reading.false_alarm < FALSE_ALARMS


def test_a_dark_video_keeps_its_mark(frames: np.ndarray) -> None:
    dark, mark = brightened(frames, 0.2), InvisibleMark(PAYLOAD)
    reading = detect(average(encoded(np.stack([mark(frame) for frame in dark]), crf=30)))
    assert reading is not None
    assert reading.payload == PAYLOAD


def test_the_size_of_a_crop_is_told(marked: np.ndarray) -> None:
    reading = detect(average(cropped(marked, left=0.12, bottom=0.06)))
    assert reading is not None
    assert reading.shown == pytest.approx((0.94, 0.88), abs=0.02)


def test_a_large_wide_frame_is_marked_too(frames: np.ndarray) -> None:
    frame = cv2.resize(frames[3], (1280, 722), interpolation=cv2.INTER_CUBIC)
    reading = detect(average(InvisibleMark(PAYLOAD)(frame)[None]))
    assert reading is not None
    assert reading.payload == PAYLOAD


def test_nothing_is_found_where_there_is_no_mark(frames: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    for gray in (average(frames), rng.uniform(0, 255, (200, 300)), np.zeros((64, 64)), np.full((300, 200), 255.0)):
        assert detect(gray.astype(np.float32)) is None


def test_the_chance_of_a_false_alarm_counts_all_that_was_tried(marked: np.ndarray) -> None:
    whole = next(search(average(marked)))
    *_, crop = search(average(cropped(marked, left=0.1)))
    payloads, shifts, sizes = 2**27, (4 * 128) ** 2, 27**2
    for reading, tried in ((whole, 2 * payloads * shifts), (crop, 2 * payloads * shifts * sizes)):
        one = math.erfc(reading.score / math.sqrt(2)) / 2
        assert math.log(reading.false_alarm) == pytest.approx(math.log(tried * one))


def test_a_reading_that_chance_explains_is_no_mark(frames: np.ndarray) -> None:
    readings = list(search(average(frames)))
    assert len(readings) == 2
    for reading in readings:
        assert 4 < reading.score < 9
        assert reading.false_alarm > FALSE_ALARMS


def test_a_frame_too_small_for_the_waves_is_left_alone() -> None:
    frame = np.full((SMALLEST_SIDE - 1, 200, 3), 128, np.uint8)
    assert InvisibleMark(PAYLOAD)(frame) is frame
