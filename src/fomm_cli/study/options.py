"""Options of `fomm study`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fomm_cli.errors import InputError
from fomm_cli.options import MOST, Option, check_bounds, invalid, point
from fomm_cli.runtime.options import Device, Threads

NamedSize = tuple[str, float]
NamedPlace = tuple[str, tuple[float, float]]


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.rpartition("=")
    return (name if equals else value), value


def _size(text: str) -> NamedSize:
    name, value = _named(text)
    return name, float(value)


def _place(text: str) -> NamedPlace:
    name, value = _named(text)
    return name, point(value)


@dataclass(frozen=True)
class StudyJob:
    """Animate portraits in many framings, and other images, with driving videos, and score the results."""

    source_images: Annotated[
        tuple[Path, ...],
        Option(
            "portraits to make the series of sizes and places from",
            short="-s", flag="source_image", metavar="IMAGE", group="images",
        ),
    ] = ()  # fmt: skip
    driving_videos: Annotated[
        tuple[Path, ...],
        Option(
            "what moves them, repeatable; without it, the report in --out is written again",
            short="-d", flag="driving_video", metavar="VIDEO", group="images",
        ),
    ] = ()  # fmt: skip
    out: Annotated[
        Path,
        Option(
            "folder of the study; results in it are kept",
            short="-o",
            aliases=("output",),
            metavar="FOLDER",
            group="images",
        ),
    ] = Path("study")
    kinds: Annotated[
        tuple[str, ...],
        Option(
            "further images: an image or folder with its label, a folder of such folders, or a CSV (kind,image)",
            flag="kind", metavar="LABEL=PATH", group="images",
        ),
    ] = ()  # fmt: skip
    sizes: Annotated[
        tuple[NamedSize, ...] | None,
        Option("heights of the face, in heights of the driving face", metavar="NAME=X", parse=_size, group="images"),
    ] = None
    places: Annotated[
        tuple[NamedPlace, ...] | None,
        Option("middle of the face, as fractions of the frame", metavar="NAME=X,Y", parse=_place, group="images"),
    ] = None
    checkpoints: Annotated[
        tuple[Path, ...],
        Option(
            "a file of weights, or a name such as vox; repeat it to compare models (default: the small model)",
            flag="checkpoint", metavar="FILE", group="models",
        ),
    ] = ()  # fmt: skip
    configs: Annotated[
        tuple[str | None, ...],
        Option("config of each checkpoint, or of all", flag="config", metavar="NAME", group="models"),
    ] = ()
    max_frames: Annotated[
        int | None, Option("stop after N frames of the driving video", metavar="N", low=2, high=MOST)
    ] = None
    ratings: Annotated[
        Path | None,
        Option("points that people gave in study.html; alone: of the study in --out", metavar="CSV"),
    ] = None
    device: Device = "auto"
    workers: Annotated[int, Option("processes that animate", metavar="N", low=1, high=256, group="engine")] = 1
    threads: Threads = None

    def __post_init__(self) -> None:
        """Validate the options; raise InputError on an impossible combination."""
        check_bounds(self)
        images = bool(self.source_images or self.kinds)
        if images and not self.driving_videos:
            raise InputError("--driving_video is missing", "Give the video that moves the images")
        if self.driving_videos and not images:
            raise InputError("there is nothing to animate", "Give --source_image, or --kind label=image, or both")
        if not images and self.ratings is None:
            raise InputError("there is nothing to do", "Give --source_image and --driving_video, or --ratings")
        if len(self.configs) not in (0, 1, len(self.checkpoints)):
            raise InputError("there are more --config than --checkpoint", "Give one for each, or one for all")
        for name, place in self.places or ():
            if not all(0 <= value <= 1 for value in place):
                wrong = f"{name}={place[0]:g},{place[1]:g}"
                raise invalid("places", wrong, "x,y from 0 to 1, fractions of the frame")
