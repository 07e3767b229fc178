"""Draw docs/transparency.webp: three frames of a portrait that is cut out, over red and over a checkerboard.

python docs/make_transparency.py

The portrait is scikit-image's Eileen Collins (NASA, public domain), cut out by OpenCV's GrabCut.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from PIL import Image, ImageDraw
from skimage.data import astronaut

from fomm_cli.animation.animate import animate
from fomm_cli.animation.options import AnimateJob
from fomm_cli.media.alpha import composite

DOCS = Path(__file__).parent
LEFT, SIDE = 40, 340  # pixels; the square of the portrait that is shown, at its top
RATE, SHOWN = Fraction(2), (0, 3, 6)  # frames per second, and the frames that are shown
RED = np.array([220, 30, 30], np.uint8)
SQUARE = 17  # pixels of the checkerboard's squares
SOFTNESS = 1.0  # pixels; standard deviation of the edge

Ellipses = tuple[tuple[float, float, float, float], ...]
HEAD_AND_SUIT: Ellipses = ((144, 2, 312, 162), (102, 127, 316, 311))  # left, top, right, bottom of ellipses
SHOULDERS = ((20, 400), (28, 289), (106, 180), (317, 188), (372, 312), (372, 344), (278, 400))
SURE: Ellipses = ((182, 44, 268, 160), (170, 27, 286, 97), (190, 153, 260, 215), (145, 180, 269, 258))
SURE_SHOULDERS = ((67, 400), (82, 273), (137, 234), (207, 304), (285, 289), (325, 312), (309, 344), (293, 400))


def main() -> None:
    """Animate the cut-out into a folder of transparent frames, and lay some of them over both backgrounds."""
    portrait = _cut_out(np.asarray(astronaut()))[:SIDE, LEFT : LEFT + SIDE]  # type: ignore[no-untyped-call]
    with TemporaryDirectory() as folder:
        me, result = Path(folder) / "me.png", Path(folder) / "frames"
        Image.fromarray(portrait).save(me)
        animate(AnimateJob(me, Path("look_around"), result, size="source", fps=RATE, crop="none", device="cpu"))
        frames = [np.asarray(Image.open(path)) for path in sorted(result.iterdir())]
    rows, columns = np.indices((SIDE, SIDE)) // SQUARE
    checkerboard = np.where((rows + columns) % 2, 255, 190).astype(np.uint8)[..., None].repeat(3, axis=2)
    sheet = [np.hstack([composite(frames[index], behind) for index in SHOWN]) for behind in (RED, checkerboard)]
    Image.fromarray(np.vstack(sheet)).save(DOCS / "transparency.webp", quality=85, method=6)


def _cut_out(image: np.ndarray) -> np.ndarray:
    """Cut out the person whose outline is roughly known; returns uint8 (H, W, 4)."""
    mask = np.full(image.shape[:2], cv2.GC_BGD, np.uint8)
    mask[_drawn(HEAD_AND_SUIT, SHOULDERS, mask.shape)] = cv2.GC_PR_FGD
    mask[_drawn(SURE, SURE_SHOULDERS, mask.shape)] = cv2.GC_FGD
    cv2.setRNGSeed(0)
    behind, person_model = np.zeros((1, 65)), np.zeros((1, 65))
    whole = (0, 0, image.shape[1], image.shape[0])
    cv2.grabCut(image, mask, whole, behind, person_model, 5, cv2.GC_INIT_WITH_MASK)
    person = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    outlines, _ = cv2.findContours(person, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(person), [max(outlines, key=cv2.contourArea)], -1, 255, cv2.FILLED)
    return np.dstack([image, cv2.GaussianBlur(filled, (0, 0), SOFTNESS)])


def _drawn(ellipses: Ellipses, polygon: tuple[tuple[int, int], ...], shape: tuple[int, ...]) -> np.ndarray:
    """Draw ellipses and a polygon, bool (H, W)."""
    drawn = Image.new("1", (shape[1], shape[0]))
    draw = ImageDraw.Draw(drawn)
    draw.polygon(polygon, fill=1)
    for ellipse in ellipses:
        draw.ellipse(ellipse, fill=1)
    return np.asarray(drawn)


if __name__ == "__main__":
    main()
