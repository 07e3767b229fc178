"""Make what the package and the README show: a driving video of Grace Hopper, and what it does to Eileen Collins.

python recipes/mini-256/make_samples.py .faces model.safetensors

The model lends Grace Hopper the movements of one clip of the training data, of which nothing else is kept. Writes
src/fomm_cli/assets/samples/driving.mp4 and docs/sample.webp. Needs mediapipe.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
from contact_sheet import SIDE, head, hopper
from PIL import Image

from fomm_cli import Animator
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.media.image import read_image
from fomm_cli.media.resize import fit_frame
from fomm_cli.media.video.reader import open_clip
from fomm_cli.media.video.writer import open_writer

CLIP = "train/id0073_01.mp4"  # speaks, and opens the mouth wide
FIRST, COUNT = 44, 50
STRENGTH = 0.5  # a mouth opened wide would show that the portrait has nothing behind its lips
RATE = Fraction(25)
SAMPLES = Path("src/fomm_cli/assets/samples")
SHOWN = 200  # pixels of a side in the README


def main(folder: Path, checkpoint: Path) -> None:
    """Animate one portrait by the clip, then the other by the first."""
    animator = Animator.load(checkpoint, device="cpu")
    clip = [fit_frame(frame.image, (SIDE, SIDE), "stretch") for frame in open_clip(folder / CLIP).frames()]
    with open_detector("mediapipe", landmarks=True) as detector:
        portrait = head(hopper(), detector)
    animation = animator.start(
        portrait.astype(np.float32) / 255, clip[FIRST], relative=True, adapt_scale=True, motion_scale=STRENGTH
    )
    driving = [animation.step(frame) for frame in clip[FIRST : FIRST + COUNT]]
    with open_writer(
        SAMPLES / "driving.mp4", (SIDE, SIDE), RATE, {"title": "Synthetic media: made with fomm"}
    ) as video:
        for index, frame in enumerate(driving):
            video.write(frame, index / RATE, None)
    source = read_image(SAMPLES / "source.png")
    still = fit_frame(source, (SIDE, SIDE), "stretch")
    results = animator.animate(source, driving)
    tiles = [np.concatenate((still, frame, result), axis=1) for frame, result in zip(driving, results, strict=True)]
    images = [Image.fromarray(tile).resize((3 * SHOWN, SHOWN), Image.Resampling.LANCZOS) for tile in tiles]
    images[0].save("docs/sample.webp", save_all=True, append_images=images[1:], duration=40, loop=0, quality=60)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
