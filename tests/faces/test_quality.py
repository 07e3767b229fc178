"""The measures of a portrait, on pictures whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from fomm_cli.faces.face import Face
from fomm_cli.faces.quality import feature_contrast, judge_position, judge_source
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
