"""Draw the images of docs/motions.md: every motion in six frames, and the README's first result at 512 pixels.

python docs/make_motions.py

The portrait is scikit-image's Eileen Collins (NASA, public domain), of 512 x 512 pixels.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image, ImageDraw
from skimage.data import astronaut

from fomm_cli.animation.animate import animate
from fomm_cli.animation.animator import Animator
from fomm_cli.animation.motions import MOTIONS
from fomm_cli.animation.options import AnimateJob
from fomm_cli.animation.template import motion_template
from fomm_cli.media.resize import fit_source
from fomm_cli.media.video.reader import open_clip
from fomm_cli.models.bundled import sample

DOCS = Path(__file__).parent
SIDE, COLUMNS, LABEL = 160, 6, 90
MOMENTS = {  # seconds at which something is to be seen
    "idle": (0, 1.3, 2.6, 3.9, 5.2, 6.5), "nod": (0, 0.42, 0.68, 0.92, 1.2, 1.45),
    "shake": (0, 0.6, 0.92, 1.24, 1.6, 2.0),
    "smile": (0, 0.6, 0.9, 1.5, 2.6, 3.2), "talk": (0, 0.6, 1.2, 2.9, 3.6, 5.4),
    "blink": (0, 0.66, 0.72, 0.84, 1.0, 1.3),
    "wink": (0, 0.5, 0.6, 0.8, 1.0, 1.3), "look_around": (0, 0.9, 1.5, 2.7, 3.3, 4.3),
    "surprised": (0, 0.5, 0.8, 1.2, 1.7, 2.2),
}  # fmt: skip


def main() -> None:
    """Write motions.webp and first.webp."""
    animator = Animator.load(device="cpu")
    sheet = Image.new("RGB", (LABEL + COLUMNS * SIDE, len(MOTIONS) * SIDE), "white")
    draw = ImageDraw.Draw(sheet)
    source = fit_source(np.asarray(Image.open(sample()[0]).convert("RGB")), animator.size, "stretch")
    for row, name in enumerate(MOTIONS):
        draw.text((8, row * SIDE + SIDE // 2 - 6), name, "black")
        keypoints = motion_template(name, None, Fraction(25), 1.0).keypoints
        animation = animator.start(source, keypoints[:1])
        for column, moment in enumerate(MOMENTS[name]):
            frame = round(moment * 25)
            image = Image.fromarray(animation.images(keypoints[frame : frame + 1])[0])
            sheet.paste(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (LABEL + column * SIDE, row * SIDE))
    sheet.save(DOCS / "motions.webp", quality=85, method=6)
    with TemporaryDirectory() as folder:
        portrait, me, result = astronaut(), Path(folder) / "me.png", Path(folder) / "result.mp4"  # type: ignore[no-untyped-call]
        Image.fromarray(portrait).save(me)
        animate(AnimateJob(me, Path("look_around"), result, crf=8, fps=Fraction(8), paste_back=True, device="cpu"))
        pairs = [Image.fromarray(np.hstack([portrait, frame.image])) for frame in open_clip(result).frames()]
    pairs[0].save(DOCS / "first.webp", save_all=True, append_images=pairs[1:], duration=125, quality=60, loop=0)


if __name__ == "__main__":
    main()
