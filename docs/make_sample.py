"""Make the sample of the first run, `fomm animate` without arguments, and the README's image of it.

python docs/make_sample.py

Grace Hopper (U.S. Navy, public domain; Matplotlib's sample data) is the source. The driving video is Eileen Collins
(NASA, public domain), who looks around by a motion of the package. Writes portrait.jpg and turning.mp4 below
src/fomm_cli/assets/samples, and docs/sample.webp: source, driving video and result.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.cbook import get_sample_data
from PIL import Image

from fomm_cli.animation.animate import animate
from fomm_cli.animation.options import AnimateJob
from fomm_cli.cli import main as fomm
from fomm_cli.media.video.reader import open_clip
from fomm_cli.models.bundled import first_run, sample

DOCS = Path(__file__).parent
SIDE = 512  # pixels of the portrait and of the result
RATE, SECONDS, SCALE = Fraction(20), 4.0, 1.4
EVERY = 2  # frames of the result from one that is shown to the next


def main() -> None:
    """Write the portrait and the driving video, run the first command, and draw what came of it."""
    portrait, driving = first_run()
    with get_sample_data("grace_hopper.jpg") as file:
        Image.open(file).convert("RGB").crop((0, 0, SIDE, SIDE)).save(portrait, quality=90)
    animate(
        AnimateJob(
            sample()[0], Path("look_around"), driving, motion_scale=SCALE, duration=SECONDS, fps=RATE, crop="none",
            mark="metadata", device="cpu",
        )
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        result = Path(folder) / "result.mp4"
        if fomm(["animate", "-o", str(result)]) != 0:
            raise SystemExit("the first command failed")
        source = np.asarray(Image.open(portrait))
        drawn = [
            Image.fromarray(_beside(source, moved.image, made.image))
            for moved, made in zip(open_clip(driving).frames(), open_clip(result).frames(), strict=True)
        ][::EVERY]
    drawn[0].save(
        DOCS / "sample.webp", save_all=True, append_images=drawn[1:], duration=round(1000 * EVERY / RATE), quality=60,
        method=6, loop=0,
    )  # fmt: skip


def _beside(source: np.ndarray, driving: np.ndarray, result: np.ndarray) -> np.ndarray:
    """Put images side by side, uint8 (H, W, 3) each, on white, the middle one as large as it is."""
    column = np.full((SIDE, driving.shape[1], 3), 255, np.uint8)
    top = (SIDE - driving.shape[0]) // 2
    column[top : top + driving.shape[0]] = driving
    return np.hstack([source, column, result])


if __name__ == "__main__":
    main()
