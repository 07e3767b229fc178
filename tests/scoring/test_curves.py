"""The curves of a face with landmarks in known places."""

from __future__ import annotations

import numpy as np
import pytest

from fomm_cli.faces.landmarks import LEFT_EYE, LEFT_IRIS, LEFT_LIDS, OVAL, RIGHT_EYE, RIGHT_IRIS, RIGHT_LIDS, RIGID
from fomm_cli.scoring.curves import curves, ovals
from fomm_cli.scoring.measurements import EXPRESSIONS, FaceTrack

EYE = 20.0  # pixels from corner to corner
RADIUS = 50.0
SIZE = np.sqrt(36 / 2 * RADIUS**2 * np.sin(2 * np.pi / 36))  # root of the area of a face of 36 corners


def track_of(landmarks: np.ndarray) -> FaceTrack:
    count = len(landmarks)
    return FaceTrack(
        np.arange(count) / 25,
        landmarks,
        np.zeros((count, len(EXPRESSIONS))),
        np.zeros((count, 3)),
        np.zeros(count),
        np.zeros((count, 96, 96), np.uint8),
    )


def face(
    left: tuple[float, float] = (0, 0),
    right: tuple[float, float] = (0, 0),
    *,
    turn: float = 0.0,
    opening: float = 8.0,
    middle: tuple[float, float] = (100, 100),
) -> np.ndarray:
    """A round face whose irises are `left` and `right` pixels from the middles of their eyes, turned in the plane."""
    points = np.random.default_rng(0).uniform(-30, 30, (478, 2))
    angles = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False)
    points[list(OVAL)] = RADIUS * np.stack((np.cos(angles), np.sin(angles)), axis=1)
    eyes = ((LEFT_EYE, LEFT_LIDS, LEFT_IRIS, -20, left), (RIGHT_EYE, RIGHT_LIDS, RIGHT_IRIS, 20, right))
    for corners, (upper, lower), iris, x, offset in eyes:
        points[corners[0]], points[corners[1]] = (x - EYE / 2, -10), (x + EYE / 2, -10)
        points[iris] = np.add((x, -10), offset)
        for place, (top, bottom) in enumerate(zip(upper, lower, strict=True)):
            points[top], points[bottom] = (x + place, -10 - opening / 2), (x + place, -10 + opening / 2)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return points @ rotation.T + middle


@pytest.mark.parametrize("turn", [0.0, 0.4])
def test_gaze_is_the_mean_of_both_eyes_in_their_own_axes(turn: float) -> None:
    shown = curves(
        track_of(np.stack([face(turn=turn), face((4, 1), (2, -3), turn=turn), face((-2, 0), (6, 2), turn=turn)]))
    )
    np.testing.assert_allclose(shown["gaze_x"], [0, 3 / EYE, 2 / EYE], atol=1e-9)
    np.testing.assert_allclose(shown["gaze_y"], [0, -1 / EYE, 1 / EYE], atol=1e-9)
    np.testing.assert_allclose(shown["lids"], 8 / EYE)


def test_the_gaze_of_closed_eyes_is_bridged() -> None:
    closed = face((9, 9), (9, 9), opening=1)
    shown = curves(track_of(np.stack([face((0, 0), (0, 0)), closed, face((4, 0), (4, 0))])))
    np.testing.assert_allclose(shown["gaze_x"], [0, 2 / EYE, 4 / EYE], atol=1e-9)
    np.testing.assert_allclose(shown["gaze_y"], 0, atol=1e-9)


def test_outlines_are_measured_from_the_middle_of_the_first_face_that_is_seen() -> None:
    moved = face(middle=(130, 80))
    shown = ovals(track_of(np.stack([np.full((478, 2), np.nan), face(middle=(100, 100)), moved])))
    assert np.isnan(shown[0]).all()
    np.testing.assert_allclose(shown[1].mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(shown[1], axis=1), RADIUS / SIZE)
    np.testing.assert_allclose(shown[2] - shown[1], np.broadcast_to(np.array([30, -20]) / SIZE, (36, 2)), atol=1e-9)
    larger = ovals(track_of(np.stack([face(), (face() - 100) * 2 + 100])))  # and in its size, not that of the next
    np.testing.assert_allclose(np.linalg.norm(larger, axis=2), np.outer([1, 2], np.full(36, RADIUS / SIZE)))
    same = ovals(track_of(np.stack([face(middle=(700, 20))])))
    np.testing.assert_allclose(same[0], shown[1], atol=1e-9)


def test_places_and_sizes_count_from_the_first_face() -> None:
    large = (face() - 100) * 1.5 + (120, 90)
    shown = curves(track_of(np.stack([face(), large, face(turn=0.3)])))
    np.testing.assert_allclose(shown["size"], [0, np.log(1.5), 0], atol=1e-9)
    first = face()[list(RIGID)].mean(axis=0)
    moved = ((first - 100) * 1.5 + (120, 90) - first) / SIZE  # in sizes of the first face, not of the larger one
    np.testing.assert_allclose([shown["x"][:2], shown["y"][:2]], np.stack(([0, 0], moved), axis=1), atol=1e-9)
