"""Draw docs/detail.webp: frames of 512 and 1024 pixels, enlarged as they are and with the source's detail.

python docs/make_detail.py

The portrait is Grace Hopper (U.S. Navy, public domain), of 512 x 512 pixels, from Matplotlib's sample data.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from matplotlib.cbook import get_sample_data
from PIL import Image

from fomm_cli.animation.animator import Animator
from fomm_cli.animation.enlarge import enlarged
from fomm_cli.animation.template import motion_template
from fomm_cli.media.resize import fit_source

DOCS = Path(__file__).parent
SIDE = 512
PARTS = {  # size of the result: motion, second, left and top of the part that is shown, as a ratio of the size
    512: ("look_around", 1.48, 0.0, 0.0),
    1024: ("talk", 1.2, 0.27, 0.25),
}


def main() -> None:
    """Write detail.webp: source, up-sampled frame and frame with detail side by side, a row for each size."""
    animator = Animator.load(device="cpu")
    with get_sample_data("grace_hopper.jpg") as file:
        portrait = np.asarray(Image.open(file).convert("RGB"))[:SIDE, :SIDE]
    rows = []
    for size, (motion, second, left, top) in PARTS.items():
        keypoints = motion_template(motion, None, Fraction(25), 1.0).keypoints
        frame = round(second * 25)
        refine = enlarged(portrait, None, "stretch", size, animator.size, animator.networks.generator)
        source = fit_source(portrait, animator.size, "stretch")
        plain, sharp = (
            animator.start(source, keypoints[:1], refine=each).images(keypoints[frame : frame + 1])[0]
            for each in (None, refine)
        )
        images = [cv2.resize(each, (size, size), interpolation=cv2.INTER_CUBIC) for each in (portrait, plain, sharp)]
        x, y = round(left * size), round(top * size)
        rows.append(np.hstack([each[y : y + SIDE, x : x + SIDE] for each in images]))
    Image.fromarray(np.vstack(rows)).save(DOCS / "detail.webp", quality=80, method=6)


if __name__ == "__main__":
    main()
