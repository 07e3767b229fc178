"""Prove what cropping is for, by hand, with a trained model: any image animates as its well cropped portrait.

PYTHONPATH=tests python tests/tools/prove_crop.py --checkpoint vox [--config vox-256] [--frames 12] [clip.mp4 ...]

Each clip, framed as training data are, drives its own first frame, so that every frame has a right answer: itself.
That first frame is animated alone, and out of scenes in which the face is small, in a corner, partly outside, turned
by EXIF, or beside a second person, and pasted back. The figures are PSNR in dB, in the region of the face, against the
right answer and against the result of the portrait alone. The bound: with the default crop a scene loses at most 2 dB
against the portrait alone, and with --crop none more than that. Without clips: Grace Hopper, moved by affine maps, and
some of $FOMM_SHARED/faces, whose pixels are written to a temporary folder only.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from fomm_cli.cli import main
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.media.video.reader import open_clip
from support.portraits import HOPPER_FACE, SCENES, faces_in_scene, hopper, load_frames, psnr, save_frames, save_scene

BOUND = 2.0  # dB
CLIPS = 4

Face = tuple[float, float, float, float]


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def default_clips() -> list[Path]:
    folder = Path(os.environ.get("FOMM_SHARED", "../shared")) / "faces" / "train"
    clips = sorted(folder.glob("*_01.mp4"))
    return clips[:: max(1, len(clips) // CLIPS)][:CLIPS]


def read(clip: Path, count: int, backend: str) -> tuple[np.ndarray, Face] | None:
    """Read every second frame of a clip of 256x256, and find the face in the first one."""
    frames = np.stack([frame.image for frame in islice(open_clip(clip).frames(), 0, 2 * count, 2)])
    if frames.shape[1:] != (256, 256, 3):
        raise SystemExit(f"{clip} is not 256x256")
    with open_detector(backend) as detector:
        faces = detector.detect(frames[0])
    return (frames, tuple(vars(faces[0].box).values())) if faces else None


class Prover:
    def __init__(self, folder: Path, flags: list[str]) -> None:
        self._folder = folder
        self._flags = flags
        self._results = 0

    def animate(self, source: Path, driving: Path, *flags: str) -> np.ndarray:
        self._results += 1
        result = self._folder / f"result{self._results}"
        files = ["-s", str(source), "-d", str(driving), "-o", str(result)]
        if main(["animate", *files, "--paste_back", "--quiet", *self._flags, *flags]) != 0:
            raise SystemExit("animating failed")
        return load_frames(result)

    def prove(self, name: str, frames: np.ndarray, face: Face) -> dict[str, tuple[float, float]]:
        """Print what each scene loses in dB, cropped and uncropped."""
        folder = self._folder / name
        folder.mkdir()
        driving = save_frames(folder / "driving", frames)
        Image.fromarray(frames[0]).save(folder / "alone.png")
        well = self.animate(folder / "alone.png", driving)
        losses = {}
        for scene in SCENES:
            path = folder / f"{scene}.png"
            save_scene(scene, frames[0], path)
            (rows, columns), (scene_rows, scene_columns) = faces_in_scene(scene, face)
            truth, portrait = frames[:, rows, columns], well[:, rows, columns]
            best = psnr(portrait, truth)
            cropped, whole = (
                self.animate(path, driving, *flags)[:, scene_rows, scene_columns] for flags in ((), ("--crop", "none"))
            )
            losses[scene] = best - psnr(cropped, truth), best - psnr(whole, truth)
            line = [best, psnr(cropped, truth), psnr(whole, truth), psnr(cropped, portrait), psnr(whole, portrait)]
            say(
                f"{name:<14}{scene:<10}" + "".join(f"{value:>9.2f}" for value in line) + f"   {verdict(*losses[scene])}"
            )
        return losses


def verdict(cropped: float, whole: float) -> str:
    said = ["pass" if cropped <= BOUND else f"FAIL: the crop loses {cropped:.2f} dB"]
    if whole <= BOUND:
        said.append(f"FAIL: without a crop only {whole:.2f} dB are lost")
    return ", ".join(said[1:] if len(said) > 1 and said[0] == "pass" else said)


def run() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--checkpoint")
    parser.add_argument("--config")
    parser.add_argument("--frames", type=int, default=12, help="of each clip, every second one")
    parser.add_argument("--face_backend", default="auto")
    options = parser.parse_args()
    flags = ["--face_backend", options.face_backend]
    for name in ("checkpoint", "config"):
        flags += [f"--{name}", getattr(options, name)] if getattr(options, name) else []
    videos = {clip.stem: read(clip, options.frames, options.face_backend) for clip in options.clips or default_clips()}
    if not options.clips:
        videos = {"hopper": (hopper(), HOPPER_FACE), **videos}
    say(f"{'':24}{'to the right answer':^27}{'to the portrait':^18}")
    say(f"{'':24}" + "".join(f"{name:>9}" for name in ("alone", "cropped", "none", "cropped", "none")))
    with tempfile.TemporaryDirectory() as place:
        prover = Prover(Path(place), flags)
        losses = [prover.prove(name, *video) for name, video in videos.items() if video is not None]
    for name in [name for name, video in videos.items() if video is None]:
        say(f"{name}: no face found")
    say("\nmean loss of all videos in dB")
    failed = False
    for scene in SCENES:
        cropped, whole = np.mean([loss[scene] for loss in losses], axis=0).tolist()
        failed |= cropped > BOUND or whole <= BOUND
        say(f"{scene:<10} cropped {cropped:6.2f}   --crop none {whole:6.2f}   {verdict(cropped, whole)}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(run())
