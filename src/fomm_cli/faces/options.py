"""Options that choose a face and its detector, and those of `fomm check` and `fomm crop`."""

from __future__ import annotations

import functools
from collections.abc import Callable
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
    DetectorName, Option("the face detector (default: auto, the first of them that works)", group=_GROUP, web=True)
]
FaceNumber = Annotated[
    int | None,
    Option("which face of the source: 1 is the largest (default)", metavar="N", low=1, high=MOST, group=_GROUP),
]


@dataclass(frozen=True)
class FaceGroup:
    """Several faces of one image, animated in one result.

    Attributes:
        everybody: whether every face is animated; those that are not named by the driving video.
        drivers: pairs of a face (1 is the largest) and what drives it: a video, a template or a motion of the
            package; None for the driving video.
    """

    everybody: bool = False
    drivers: tuple[tuple[int, Path | None], ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError where a face is named twice."""
        numbers = [number for number, _ in self.drivers]
        for number in numbers:
            if numbers.count(number) > 1:
                raise ValueError(f"face {number} is given twice")

    @property
    def own_drivers(self) -> tuple[Path, ...]:
        """Return what drives single faces, each once, in the order given."""
        return tuple(dict.fromkeys(path for _, path in self.drivers if path is not None))

    def mapped(self, change: Callable[[Path], Path]) -> FaceGroup:
        """Return the same faces with other paths."""
        return FaceGroup(
            self.everybody, tuple((number, None if path is None else change(path)) for number, path in self.drivers)
        )

    def __str__(self) -> str:
        """Return the group as the command line spells it."""
        named = [str(number) if path is None else f"{number}={path}" for number, path in self.drivers]
        return ";".join(["all"] * self.everybody + named)


def face_choice(text: str) -> int | FaceGroup:
    """Read ``N``, ``all`` or ``N=VIDEO``; several of them have semicolons between them.

    Raises:
        ValueError: it is none of them.
    """
    return functools.reduce(both_faces, (_one_choice(part.strip()) for part in text.split(";")))


def both_faces(earlier: int | FaceGroup, later: int | FaceGroup) -> int | FaceGroup:
    """Join two choices of faces; of two bare numbers the later one counts.

    Raises:
        ValueError: both name the same face.
    """
    if isinstance(earlier, int) and isinstance(later, int):
        return later
    one, other = (
        choice if isinstance(choice, FaceGroup) else FaceGroup(drivers=((choice, None),)) for choice in (earlier, later)
    )
    return FaceGroup(one.everybody or other.everybody, one.drivers + other.drivers)


def _one_choice(text: str) -> int | FaceGroup:
    if text.lower() == "all":
        return FaceGroup(everybody=True)
    number, equals, driver = text.partition("=")
    if not number.strip().isdecimal() or (equals and not driver.strip()):
        raise ValueError(f"{text!r} is not a face such as 2, all or 2=talking.mp4")
    if not equals:
        return int(number)
    if int(number) < 1:
        raise ValueError(f"{text!r} names no face: 1 is the largest")
    return FaceGroup(drivers=((int(number), Path(driver.strip())),))


FaceChoice = Annotated[
    int | FaceGroup | None,
    Option(
        "which face of the source: 1 is the largest (default), all for every face in one result, or N=VIDEO for a "
        "face with a driver of its own (may be repeated)",
        metavar="N|all|N=VIDEO", parse=face_choice, merge=both_faces, low=1, high=MOST, group=_GROUP, web=True,
    ),
]  # fmt: skip
FaceAt = Annotated[
    tuple[float, float] | None,
    Option("the face of the source at this pixel", metavar="X,Y", parse=point, group=_GROUP, web=True),
]


CropChoice = Annotated[
    Literal["auto", "none", "source", "driving", "both"],
    Option(
        "what is cropped to its face (default: auto, what is framed unlike the training data, for face models)",
        group=_GROUP,
        web=True,
    ),
]


def check_one_face(face: int | FaceGroup | None, face_at: tuple[float, float] | None) -> None:
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
