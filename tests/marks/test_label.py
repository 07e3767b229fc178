"""The visible label: a corner of the frame, with letters that can be read."""

from __future__ import annotations

import numpy as np
import pytest

from fomm_cli.marks.label import draw_label


@pytest.mark.parametrize("size", [(256, 256), (96, 40), (1080, 1920)])
def test_the_label_is_drawn_into_the_lower_left_corner(size: tuple[int, int]) -> None:
    frame = np.full((*size, 3), 128, np.uint8)
    labelled = draw_label(frame, "AI-generated")
    changed = np.argwhere((labelled != frame).any(-1))
    assert changed[:, 0].min() > size[0] * 0.6
    assert changed[:, 1].min() == 0
    assert changed[:, 1].max() < size[1]
    assert labelled.max() > 190
    assert (frame == 128).all()


def test_letters_are_white_on_a_darkened_ground() -> None:
    labelled = draw_label(np.full((256, 256, 3), 200, np.uint8), "AI-generated")
    box = labelled[(labelled != 200).any(-1)]
    assert box.max() == 255
    assert np.median(box) == 90


def test_the_letters_grow_with_the_frame_and_a_long_text_fits() -> None:
    heights = []
    for side in (256, 1024):
        labelled = draw_label(np.full((side, side, 3), 200, np.uint8), "AI-generated")
        heights.append(int((labelled != 200).any((1, 2)).sum()))
    assert 12 < heights[0] < 40
    assert heights[1] > 2.5 * heights[0]
    labelled = draw_label(np.full((256, 256, 3), 200, np.uint8), "made by a machine, not by a person")
    assert (labelled != 200).any((0, 2)).sum() <= 0.9 * 256
