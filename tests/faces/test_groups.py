"""The search for the faces of a group, with a detector that knows where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.face import Face
from fomm_cli.faces.groups import find_all
from fomm_cli.geometry import Box
from support.portraits import blurry_background, resized

FACES = [Box(60, 80, 160, 200), Box(400, 40, 520, 190), Box(700, 160, 750, 220), Box(880, 60, 960, 160)]


def scene() -> np.ndarray:
    """An image (300, 1000, 3) whose pixels hold the number of the face they belong to."""
    image = np.zeros((300, 1000, 3), np.uint8)
    for number, box in enumerate(FACES, start=1):
        image[int(box.top) : int(box.bottom), int(box.left) : int(box.right)] = number
    return image


def look(part: np.ndarray) -> list[Face]:
    """Find what is whole in a part and high enough in it, as detectors do."""
    found = []
    for number, whole in enumerate(FACES, start=1):
        rows, columns = np.nonzero(part[..., 0] == number)
        if len(rows) and len(rows) == whole.area and np.ptp(rows) >= 0.15 * part.shape[0]:
            found.append(Face(Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)))
    return found


@pytest.mark.parametrize("first", [[], [Face(FACES[1])]])
def test_every_face_is_found_once_and_largest_first(first: list[Face]) -> None:
    faces = find_all(scene(), first, look)
    assert [face.box for face in faces] == sorted(FACES, key=lambda box: box.area, reverse=True)


def test_a_portrait_is_not_searched() -> None:
    def refuse(_part: np.ndarray) -> list[Face]:
        raise AssertionError("there is no room for another head")

    portrait = Face(Box(60, 50, 140, 160))
    assert find_all(np.zeros((200, 200, 3), np.uint8), [portrait], refuse) == [portrait]


@pytest.mark.usefixtures("with_mediapipe")
def test_every_portrait_of_a_collage_is_found(shared: Path) -> None:
    """18 people in 3 rows of 6, a row of 5, and 4 of different sizes, as MediaPipe finds them."""
    stills = sorted((shared / "faces" / "stills").glob("*.jpg"))[:27]
    portraits = iter([np.asarray(Image.open(path).convert("RGB")) for path in stills])
    with open_detector("mediapipe") as detector:
        for (width, height), rows, columns, sides in (
            ((2400, 1200), 3, 6, [400]),
            ((1600, 800), 1, 5, [290]),
            ((1920, 1080), 2, 2, [520, 410, 330, 280]),
        ):
            image, middles = blurry_background(width, height), []
            for number in range(rows * columns):
                side = sides[number % len(sides)]
                row, column = divmod(number, columns)
                x, y = (column + 0.5) * width / columns, (row + 0.5) * height / rows
                left, top = int(x - side / 2), int(y - side / 2)
                image[top : top + side, left : left + side] = resized(next(portraits), side, side)
                middles.append((x, y))
            found = np.array([face.box.centre for face in detector.detect_all(image)])
            assert len(found) == rows * columns
            for middle, side in zip(middles, sides * len(middles), strict=False):
                assert np.abs(found - middle).max(axis=1).min() < 0.3 * side
