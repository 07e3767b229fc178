"""Decode a result from its first frame to its last with the ffmpeg program, and refuse an empty or still one.

python tests/tools/check_result.py result.mp4
"""

from __future__ import annotations

import sys
from itertools import pairwise

import imageio_ffmpeg
import numpy as np


def main(path: str) -> None:
    reader = imageio_ffmpeg.read_frames(path)
    meta = next(reader)
    frames = [np.frombuffer(frame, np.uint8) for frame in reader]
    moving = float(np.mean([np.abs(a.astype(int) - b).mean() for a, b in pairwise(frames)]))
    sys.stdout.write(f"{path}: {len(frames)} frames of {meta['size']}, {meta['fps']} fps, mean change {moving:.2f}\n")
    if len(frames) != 80 or meta["size"] != (512, 512) or meta["fps"] != 20 or moving < 0.1:
        sys.exit(f"{path} is not what the sample should give")


if __name__ == "__main__":
    main(sys.argv[1])
