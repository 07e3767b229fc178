"""The square that follows a face, and the looks at it, without any face detector."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import numpy as np
import pytest

from fomm_cli.faces.face import Face
from fomm_cli.faces.framing import framing_in, head_square
from fomm_cli.geometry import Box
from fomm_cli.live.advice import Advice, judge_camera
from fomm_cli.live.following import FaceWatch, FollowingSquare

SHAPE = (480, 640)
FACE = Box(270, 160, 370, 280)


def moved(x: float, grown: float = 1.0) -> Box:
    return FACE.about_centre(grown).mapped(1, 1, x)


def follow(square: FollowingSquare, face: Box, start: float, seconds: float) -> list[Box]:
    """The square in each frame of some seconds in which the face is at one place."""
    squares = []
    for index in range(round(seconds * 25)):
        square.see(face, at_once=False)
        squares.append(square.at(start + index / 25, SHAPE))
    return squares


def test_without_a_face_it_is_the_middle_of_the_frame() -> None:
    assert FollowingSquare().at(0.0, SHAPE) == Box(80, 0, 560, 480)


def test_the_first_face_is_framed_at_once_as_in_the_training_data() -> None:
    square = FollowingSquare()
    square.see(FACE, at_once=True)
    assert square.at(0.0, SHAPE) == head_square(FACE)


def test_small_movements_leave_it_where_it_is() -> None:
    square = FollowingSquare()
    square.see(FACE, at_once=True)
    first = square.at(0.0, SHAPE)
    for x in (10, -10, 5, 0):
        assert set(follow(square, moved(x, 1.1), 0.0, 0.5)) == {first}


def test_it_follows_a_large_movement_slowly_and_arrives() -> None:
    square = FollowingSquare()
    square.see(FACE, at_once=True)
    first = square.at(0.0, SHAPE)
    squares = follow(square, moved(150, 1.4), 0.0, 6.0)
    steps = [after.centre[0] - before.centre[0] for before, after in pairwise(squares)]
    assert min(steps) >= 0, "it does not swing back"
    assert max(steps) < 0.05 * first.width, "no frame shows a jump"
    framing = framing_in(moved(150, 1.4), squares[-1])
    assert framing.x == pytest.approx(0.5, abs=0.03)
    assert squares[-1] == squares[-10], "then it rests again"


def test_its_speed_does_not_depend_on_the_frame_rate() -> None:
    ends = []
    for rate in (5, 60):
        square = FollowingSquare()
        square.see(FACE, at_once=True)
        square.at(0.0, SHAPE)
        square.see(moved(150), at_once=False)
        for index in range(1, rate + 1):
            last = square.at(index / rate, SHAPE)
        ends.append(last.centre[0])
    assert ends[0] == pytest.approx(ends[1], abs=1)


def test_a_slow_detector_makes_no_frame_wait() -> None:
    release, threads = threading.Event(), set()

    def look(_frame: np.ndarray, _time: float) -> tuple[Face | None, list[object]]:
        threads.add(threading.get_ident())
        release.wait(5)
        return Face(FACE), []

    watch = FaceWatch(look)  # type: ignore[arg-type]
    frame = np.zeros((*SHAPE, 3), np.uint8)
    began = time.perf_counter()
    assert all(watch.offer(frame, index / 25) is None for index in range(25))
    assert time.perf_counter() - began < 2
    release.set()
    watch.close()
    sighting = watch.offer(frame, 0.0)
    assert sighting is not None
    assert sighting.time == 0.0
    assert sighting.face == Face(FACE)
    assert threading.get_ident() not in threads


def test_in_the_foreground_every_due_frame_is_looked_at_once() -> None:
    looked: list[float] = []

    def look(_frame: np.ndarray, when: float) -> tuple[Face | None, list[object]]:
        looked.append(when)
        return None, []

    watch = FaceWatch(look, background=False)  # type: ignore[arg-type]
    frame = np.zeros((*SHAPE, 3), np.uint8)
    for index in range(20):
        watch.offer(frame, index / 8)
    assert looked == [index / 4 for index in range(10)]
    watch.hurry()
    watch.offer(frame, 2.4)
    assert looked[-1] == 2.4


def test_a_dark_small_face_at_the_side_is_warned_of_once_each() -> None:
    frame = np.full((*SHAPE, 3), 10, np.uint8)
    findings = judge_camera(frame, Box(10, 200, 90, 300))
    assert {finding.topic for finding in findings} == {"size", "position", "exposure"}
    advice = Advice()
    told = [advice.see(findings, face=True, time=index * 0.2) for index in range(20)]
    assert told[:2] == [(), ()], "one dark frame is no reason to warn"
    assert len(told[2]) == 3
    assert not any(told[3:])


def test_a_well_lit_face_in_the_middle_is_not_warned_of() -> None:
    frame = np.full((*SHAPE, 3), 130, np.uint8)
    assert judge_camera(frame, Box(230, 130, 410, 340)) == []


def test_no_face_is_told_after_some_time_and_once() -> None:
    advice = Advice()
    told = [advice.see([], face=False, time=index * 0.5) for index in range(20)]
    assert [index for index, each in enumerate(told) if each] == [4]
