"""Make the driving video of 256 pixels in the package: Grace Hopper with the movements of a clip.

python recipes/mini-256/make_samples.py .faces model.safetensors

The model lends Grace Hopper the movements of one clip of the training data, of which nothing else is kept. Writes
src/fomm_cli/assets/samples/driving.mp4. Needs mediapipe. The sample of the first run is made by docs/make_sample.py.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
from contact_sheet import SIDE, head, hopper

from fomm_cli import Animator
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.media.resize import fit_frame
from fomm_cli.media.video.reader import open_clip
from fomm_cli.media.video.writer import open_writer

CLIP = "train/id0073_01.mp4"  # speaks, and opens the mouth wide
FIRST, COUNT = 44, 50
STRENGTH = 0.5  # a mouth opened wide would show that the portrait has nothing behind its lips
RATE = Fraction(25)
SAMPLES = Path("src/fomm_cli/assets/samples")


def main(folder: Path, checkpoint: Path) -> None:
    """Animate the portrait by the clip."""
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


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
