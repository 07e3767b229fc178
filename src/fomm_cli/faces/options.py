"""Options that choose a face and its detector, and those of `fomm check` and `fomm crop`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from fomm_cli.errors import InputError
from fomm_cli.media.options import Fit
from fomm_cli.options import MOST, Option, check_bounds, invalid, point, size

_GROUP = "faces"

DetectorName = Literal["auto", "mediapipe", "face-alignment", "builtin"]
"""The detectors, the best first; each is a module of `faces/detectors`."""
FaceBackend = Annotated[
    DetectorName, Option("the face detector (default: auto, the first of them that works)", group=_GROUP)
]
FaceNumber = Annotated[
    int | None,
    Option("which face of the source: 1 is the largest (default)", metavar="N", low=1, high=MOST, group=_GROUP),
]
FaceAt = Annotated[
    tuple[float, float] | None,
    Option("the face of the source at this pixel", metavar="X,Y", parse=point, group=_GROUP),
]


CropChoice = Annotated[
    Literal["auto", "none", "source", "driving", "both"],
    Option(
        "what is cropped to its face (default: auto, what is framed unlike the training data, for face models)",
        group=_GROUP,
    ),
]


def check_one_face(face: int | None, face_at: tuple[float, float] | None) -> None:
    """Raise InputError if a face is chosen both by number and by place."""
    if face is not None and face_at is not None:
        raise InputError("--face and --face_at exclude each other", "Leave one of them out")


@dataclass(frozen=True)
class CheckJob:
    """Tell how well an image will animate."""

    source_image: Annotated[Path, Option("the portrait", short="-s", metavar="IMAGE")]
    driving_video: Annotated[Path | None, Option("the video to animate it with", short="-d", metavar="VIDEO")] = None
    fit: Fit = "stretch"
    face: FaceNumber = None
    face_at: FaceAt = None
    face_backend: FaceBackend = "auto"
    crop: CropChoice = "auto"

    def __post_init__(self) -> None:
        """Validate the options; raise InputError on an impossible combination."""
        check_bounds(self)
        check_one_face(self.face, self.face_at)


@dataclass(frozen=True)
class CropJob:
    """Cut every face out of a video or image, as square clips framed as training data."""

    inp: Annotated[Path, Option("the video or image", short="-i", aliases=("input", "driving_video"), metavar="FILE")]
    result_dir: Annotated[Path, Option("folder for the clips", short="-o", aliases=("output",), metavar="FOLDER")] = (
        Path("crops")
    )
    image_shape: Annotated[
        tuple[int, int], Option("size of the clips in pixels, two even numbers", metavar="WIDTH,HEIGHT", parse=size)
    ] = (256, 256)
    increase: Annotated[
        float, Option("add this fraction of the box of a head at each side", metavar="X", low=0, high=100)
    ] = 0.1
    iou_with_initial: Annotated[
        float,
        Option(
            "least overlap (intersection over union) with the first box of a track",
            metavar="X", low=0, high=0.999, expected="0 to below 1",
        ),
    ] = 0.25  # fmt: skip
    min_frames: Annotated[int, Option("leave out tracks with fewer frames", metavar="N", low=0, high=MOST)] = 150
    dry_run: Annotated[bool, Option("print the ffmpeg commands instead of running them")] = False
    face_backend: FaceBackend = "auto"

    def __post_init__(self) -> None:
        """Validate the options; raise InputError on an impossible combination."""
        check_bounds(self)
        if any(side % 2 or not 16 <= side <= 8192 for side in self.image_shape):
            shape = "{},{}".format(*self.image_shape)
            raise invalid("image_shape", shape, "two even numbers from 16 to 8192")
