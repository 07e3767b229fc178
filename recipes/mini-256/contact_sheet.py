"""Draw the contact sheet of the model card: six portraits, eight frames each, the driving faces as landmarks only.

python recipes/mini-256/contact_sheet.py .faces model.safetensors docs/model-card.webp

Of the held-out clips it takes those that open their mouths, close their eyes and turn their heads the most, from
where the face is calm. Needs mediapipe.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.cbook import get_sample_data
from PIL import Image
from skimage import data
from skimage.draw import line

from fomm_cli import Animator
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.face import Face, FaceDetector, Pose
from fomm_cli.faces.framing import head_square
from fomm_cli.geometry import Region
from fomm_cli.media.crop import region_of
from fomm_cli.media.image import read_image
from fomm_cli.media.resize import fit_frame
from fomm_cli.media.video.reader import open_clip
from fomm_cli.training.dataset import find_videos

SIDE = 256
SHOWN = 144  # pixels of each image on the sheet
FRAMES = 8
STILLS = ("1.jpg", "52.jpg", "356.jpg", "640.jpg")  # One Million Impressions, CC BY-NC-SA 4.0


def main(folder: Path, checkpoint: Path, target: Path) -> None:
    """Animate, draw, save."""
    animator = Animator.load(checkpoint, device="cpu")
    with open_detector("mediapipe", landmarks=True) as detector:
        portraits = [head(image, detector) for image in _images(folder)]
        clips = _expressive(folder / "test", detector, len(portraits))
    rows = []
    for portrait, (frames, faces) in zip(portraits, clips, strict=True):
        results = list(animator.animate(portrait, frames))
        shown = np.linspace(0, len(frames) - 1, FRAMES).astype(int)
        rows.append([np.full((SIDE, SIDE, 3), 255, np.uint8), *(_drawn(faces[index]) for index in shown)])
        rows.append([portrait, *(results[index] for index in shown)])
    sheet = np.concatenate([np.concatenate([_shrunk(tile) for tile in row], axis=1) for row in rows])
    Image.fromarray(sheet).save(target, quality=80)


def hopper() -> np.ndarray:
    """Return the portrait of Grace Hopper, in the public domain, uint8 (H, W, 3)."""
    return np.asarray(Image.open(str(get_sample_data("grace_hopper.jpg", asfileobj=False))).convert("RGB"))


def _images(folder: Path) -> list[np.ndarray]:
    return [np.asarray(data.astronaut()), hopper(), *(read_image(folder / "stills" / name) for name in STILLS)]


def head(image: np.ndarray, detector: FaceDetector) -> np.ndarray:
    """Crop the largest face as the model expects it, uint8 (256, 256, 3)."""
    region = Region.square_around(head_square(detector.detect(image)[0].box))
    return fit_frame(region_of(image, region), (SIDE, SIDE), "stretch")


def _expressive(folder: Path, detector: FaceDetector, count: int) -> list[tuple[list[np.ndarray], list[Face]]]:
    """Choose the clips that move the most, one a person, from the calmest frame to the largest movement."""
    found = []
    for path in find_videos(folder):
        frames = [fit_frame(frame.image, (SIDE, SIDE), "stretch") for frame in open_clip(path).frames()][:150:3]
        faces = [(detector.detect(frame) or [None])[0] for frame in frames]
        if any(face is None or face.blendshapes is None or face.pose is None for face in faces):
            continue
        curves = np.array([_expression(face) for face in faces if face is not None])
        calm = int(np.abs(curves[: len(curves) // 2]).sum(1).argmin())
        movement = np.ptp(curves[calm:], axis=0).sum()
        found.append((movement, path.stem.partition("_")[0], frames[calm:], faces[calm:]))
    best: dict[str, tuple[list[np.ndarray], list[Face]]] = {}
    for _, identity, frames, faces in sorted(found, key=lambda each: -each[0]):
        best.setdefault(identity, (frames, faces))
    return list(best.values())[:count]


def _expression(face: Face) -> tuple[float, float, float]:
    """Return the opening of mouth and eyes, 0 to 1, and the turn of the head, -1 to 1."""
    shapes, pose = face.blendshapes or {}, face.pose or Pose(0, 0, 0)
    return shapes["jawOpen"], (shapes["eyeBlinkLeft"] + shapes["eyeBlinkRight"]) / 2, pose.yaw / 45


def _drawn(face: Face) -> np.ndarray:
    from mediapipe.tasks.python.vision import FaceLandmarksConnections as Lines

    image = np.full((SIDE, SIDE, 3), 255, np.uint8)
    marks = np.clip(np.asarray(face.landmarks).round().astype(int), 0, SIDE - 1)
    for connection in (
        *Lines.FACE_LANDMARKS_CONTOURS,
        *Lines.FACE_LANDMARKS_LEFT_IRIS,
        *Lines.FACE_LANDMARKS_RIGHT_IRIS,
    ):
        (x0, y0), (x1, y1) = marks[connection.start], marks[connection.end]
        image[line(y0, x0, y1, x1)] = 40
    return image


def _shrunk(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((SHOWN, SHOWN), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
