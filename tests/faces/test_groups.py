"""The search for the faces of a group, with a detector that knows where they are."""

from __future__ import annotations

import numpy as np
import pytest

from fomm_cli.faces.face import Face
from fomm_cli.faces.groups import find_all
from fomm_cli.geometry import Box

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
