"""Face landmarks by the face-alignment package, with its weights checked before they are used."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from fomm_cli.errors import FommError
from fomm_cli.hashing import sha256_of

logger = logging.getLogger(__name__)

SITE = "https://www.adrianbulat.com/downloads/python-fan"
WEIGHTS = {  # what face-alignment 1.5 asks torch.hub for, with the SHA-256 it does not check
    "s3fd-619a316812.pth": "619a31681264d3f7f7fc7a16a42cbbe8b23f31a256f75a366e5a1bcd59b33543",
    "2DFAN4-11f355bf06.pth.tar": "11f355bf0693120222f5955ce3f9dc8fb5763ebb30a47d7906e509490d32e4aa",
}


def landmark_detector(device: torch.device) -> Callable[[np.ndarray], np.ndarray | None]:
    """A function from a picture, uint8 (H, W, 3), to the 68 landmarks (68, 2) of its first face, or None.

    Downloads the weights (190 MB) on first use.

    Raises:
        FommError: the weights cannot be had, or are not what they should be.
    """
    for name, sha256 in WEIGHTS.items():
        _ensure(name, sha256)
    from face_alignment import FaceAlignment, LandmarksType  # slow to import

    aligner = FaceAlignment(LandmarksType.TWO_D, flip_input=True, device=str(device), compile=False)

    def detect(picture: np.ndarray) -> np.ndarray | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "no faces": None says it too
            faces = aligner.get_landmarks(picture)
        return np.asarray(faces[0]) if faces else None

    return detect


def weights_path(name: str) -> Path:
    """Where face-alignment looks for a file of weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" / name


def _ensure(name: str, sha256: str) -> None:
    """Have one file of weights in torch.hub's folder, whole and genuine."""
    path = weights_path(name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        logger.info("downloading %s/%s", SITE, name)
        try:
            torch.hub.download_url_to_file(f"{SITE}/{name}", str(path), hash_prefix=sha256, progress=False)
        except (OSError, RuntimeError) as error:
            raise FommError(
                f"the face-alignment weights {name} cannot be downloaded ({error})",
                f"Put the file from {SITE}/{name} into {path.parent}",
            ) from error
        return
    if (found := sha256_of(path)) != sha256:
        raise FommError(
            f"{path} is not the file it should be: its SHA-256 is {found}, not {sha256}",
            "Delete it, and it is downloaded again",
        )
