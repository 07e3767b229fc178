"""Options of `fomm live`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from fomm_cli.animation.options import MotionScale
from fomm_cli.faces.options import FaceBackend
from fomm_cli.marks.options import LABEL
from fomm_cli.media.options import ResultSize, check_result_size
from fomm_cli.models.options import Checkpoint, ConfigName
from fomm_cli.options import Option, check_bounds
from fomm_cli.runtime.options import Device, EngineName, Precision, Threads
from fomm_cli.runtime.precision import check_precision

_FILES = "avatars, camera and output"


@dataclass(frozen=True)
class LiveJob:
    """Animate avatars by a camera. The output is `window`, `mjpeg`, or a file to record to."""

    source_image: Annotated[
        tuple[Path, ...],
        Option(
            "one or more portraits, or folders of them (default: a sample in the package)",
            short="-s", metavar="IMAGE", group=_FILES,
        ),
    ] = ()  # fmt: skip
    camera: Annotated[
        str,
        Option("a number or a name of --list_cameras, a video file, or an address such as rtsp://...", group=_FILES),
    ] = "0"
    output: Annotated[
        str,
        Option(
            "window, mjpeg (a stream that OBS and browsers show, see docs/live.md), or a file to record to",
            short="-o", group=_FILES,
        ),
    ] = "window"  # fmt: skip
    port: Annotated[int, Option("port of --output mjpeg", metavar="N", low=1, high=65535, group=_FILES)] = 8765
    label: Annotated[
        bool, Option(f'show others of --output mjpeg a small label "{LABEL}" (default), or do not', group=_FILES)
    ] = True
    realtime: Annotated[
        bool,
        Option("play a video file as a camera would (default), or animate every frame of it", group=_FILES),
    ] = True
    mirror: Annotated[bool, Option("mirror the camera, as a mirror shows you", group="motion")] = False
    motion_scale: MotionScale = 1.0
    crop: Annotated[
        Literal["auto", "none"],
        Option("follow the face (default: auto, for models of faces), or take the middle of the frame", group="faces"),
    ] = "auto"
    face_backend: FaceBackend = "auto"
    size: ResultSize = "model"
    checkpoint: Checkpoint = None
    config: ConfigName = None
    device: Device = "auto"
    engine: EngineName = "auto"
    precision: Precision = "auto"
    threads: Threads = None

    def __post_init__(self) -> None:
        """Validate the options; raise InputError on an impossible value."""
        check_bounds(self)
        check_result_size(self.size)
        check_precision(self.engine, self.precision)
