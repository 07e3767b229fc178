"""The measures of a portrait, on pictures whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from fomm_cli.faces.face import Face
from fomm_cli.faces.landmarks import EYELIDS
from fomm_cli.faces.quality import eye_whites, feature_contrast, judge_position, judge_source
from fomm_cli.geometry import Box

FRAME = Box(0, 0, 200, 200)


@pytest.mark.parametrize(("skin", "features"), [(150, 110), (200, 20), (90, 90)])
def test_contrast_is_half_the_way_from_skin_to_features(skin: int, features: int) -> None:
    picture = np.zeros((200, 200, 3), np.uint8)  # black around the face, which must not count
    picture[36:164, 36:164] = skin
    picture[60:85, 36:164] = features  # a fifth of the face
    assert feature_contrast(picture, Box(36, 36, 164, 164)) == pytest.approx((skin - features) / 2, abs=0.5)


def test_contrast_is_that_of_grey_levels_not_of_colours() -> None:
    picture = np.zeros((128, 128, 3), np.uint8)
    picture[:] = (100, 100, 100)
    picture[:32] = (60, 112, 130)  # 0.299 R + 0.587 G + 0.114 B is as bright
    assert feature_contrast(picture, Box(0, 0, 128, 128)) < 2


@pytest.mark.parametrize(
    ("box", "verdict", "words"),
    [
        ((50, 50, 150, 150), "good", "whole"),
        ((0, 0, 200, 200), "good", "whole"),
        ((100, 50, 210, 150), "good", "whole"),  # 9 % are outside
        ((-12, 50, 90, 150), "fair", "12%"),
        ((110, 50, 212, 150), "fair", "12%"),
        ((-20, 50, 80, 150), "poor", "eyes"),  # an eye begins 15 % from the side of its face
        ((120, 50, 220, 150), "poor", "eyes"),
        ((50, -40, 150, 60), "poor", "eyes"),  # and is 32 % below its top
        ((50, -9, 150, 91), "good", "whole"),
        ((50, 110, 150, 203), "good", "whole"),
        ((50, 110, 150, 206), "fair", "chin"),
    ],
)
def test_a_face_is_whole_while_its_borders_are(
    box: tuple[float, float, float, float], verdict: str, words: str
) -> None:
    finding = judge_position(Face(Box(*box)), FRAME)
    assert (finding.verdict, words in finding.text) == (verdict, True), finding


@pytest.mark.parametrize(
    ("level", "verdict"), [(10, "poor"), (30, "fair"), (120, "good"), (220, "good"), (240, "fair")]
)
def test_exposure_is_the_middle_of_the_face(level: int, verdict: str) -> None:
    picture = np.full((200, 200, 3), 128, np.uint8)
    picture[50:150, 50:150] = level
    picture[50:90, 50:150] = 255 - level  # less than half of it
    face = Face(Box(50, 50, 150, 150))
    found = {finding.topic: finding.verdict for finding in judge_source(picture, FRAME, [face], face)}
    assert found["exposure"] == verdict


@pytest.mark.parametrize(("white", "colour"), [(0, (250, 250, 250)), (10, (250, 250, 250)), (10, (250, 240, 120))])
def test_eye_whites_are_bright_and_without_colour(white: int, colour: tuple[int, int, int]) -> None:
    image = np.full((100, 100, 3), (150, 110, 90), np.uint8)
    landmarks = np.zeros((478, 2))
    for lids, x in zip(EYELIDS, (20, 60), strict=True):  # eyes of 20 x 10 pixels: iris, and `white` columns of white
        corners = [(0, 5), (0, 0), (10, 0), (20, 0), (20, 5), (20, 10), (10, 10), (0, 10)]
        landmarks[list(lids)] = np.add((x, 40), corners)
        image[40:51, x : x + 21] = (40, 30, 20)
        image[40:51, x : x + white] = colour
    found = eye_whites(image, Face(Box(0, 0, 100, 100), landmarks))
    expected = 1000 * 2 * 10 * white / 100**2 if min(colour) > 0.72 * max(colour) else 0
    assert found == pytest.approx(expected, rel=0.12)
