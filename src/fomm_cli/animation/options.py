"""Options of `fomm animate` and `fomm motion extract`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from fomm_cli.errors import InputError
from fomm_cli.faces.options import CropChoice, FaceAt, FaceBackend, FaceChoice, FaceGroup, check_one_face
from fomm_cli.marks.options import C2pa, C2paCert, C2paKey, Label, Mark
from fomm_cli.media.options import (
    BackgroundChoice,
    End,
    Fit,
    Fps,
    MaxFrames,
    ResultSize,
    Start,
    check_background,
    check_result_size,
    check_times,
    colour_of,
)  # fmt: skip
from fomm_cli.models.options import AlignCorners, Checkpoint, ConfigName
from fomm_cli.options import MOST, Option, check_bounds, seconds
from fomm_cli.runtime.options import Device, EngineName, Precision, Threads
from fomm_cli.runtime.precision import check_precision

_FILES = "files (without source and driving: a sample in the package)"

MotionScale = Annotated[
    float,
    Option(
        "multiply the motion since the initial frame",
        metavar="X", low=0, high=10, expected="0 (no motion) to 10; 1 leaves the motion as it is", group="motion",
        web=True,
    ),
]  # fmt: skip


@dataclass(frozen=True)
class AnimateJob:
    """Animate a source image by a driving video. Times are seconds of the driving video; frames count from 0."""

    source_image: Annotated[Path, Option("the portrait to animate", short="-s", metavar="IMAGE", group=_FILES)]
    driving_video: Annotated[
        Path,
        Option(
            "a video, folder of frames, image or motion template, or a motion of the package: "
            "nod, shake, smile, talk, blink, wink, look_around, surprised or idle (default: idle)",
            short="-d",
            metavar="VIDEO",
            group=_FILES,
        ),
    ]
    result_video: Annotated[
        Path | None,
        Option(
            ".mp4, .webm, .mov, .gif, .webp, or a folder or name_%05d.png for lossless frames; replaces an existing "
            "file (default: result.mp4)",
            short="-o", aliases=("output",), metavar="FILE", group=_FILES,
        ),
    ] = None  # fmt: skip
    checkpoint: Checkpoint = None
    config: ConfigName = None
    relative: Annotated[
        bool,
        Option(
            "transfer the motion since the initial frame (default), or the pose itself",
            shortcuts={"absolute": False}, group="motion", web=True,
        ),
    ] = True  # fmt: skip
    adapt_scale: Annotated[
        bool,
        Option("scale the motion to the size of the source's face (default), or do not", group="motion", web=True),
    ] = True
    find_best_frame: Annotated[bool, Option("start from the frame most like the source", group="motion", web=True)] = (
        False
    )
    best_frame: Annotated[
        int | None,
        Option(
            "start from this driving frame, counted from 0", metavar="N", low=0, high=MOST, group="motion", web=True
        ),
    ] = None
    motion_scale: MotionScale = 1.0
    duration: Annotated[
        float | None,
        Option(
            "length of a motion of the package, as seconds or h:m:s (default: its natural one)",
            metavar="TIME", parse=seconds, low=0.2, high=600, expected="0.2 to 600 seconds", group="motion",
            web=True,
        ),
    ] = None  # fmt: skip
    smooth: Annotated[bool, Option("smooth the motion over time, against jitter", group="motion", web=True)] = False
    start: Start = 0.0
    end: End = None
    max_frames: MaxFrames = None
    fit: Fit = "stretch"
    fps: Fps = None
    face: FaceChoice = None
    face_at: FaceAt = None
    face_backend: FaceBackend = "auto"
    crop: CropChoice = "auto"
    paste_back: Annotated[
        bool, Option("put the animated face back into the whole image, as sharp as that", group="faces", web=True)
    ] = False
    size: ResultSize = "model"
    background: BackgroundChoice = None
    audio: Annotated[bool, Option("carry over the audio of the driving video", group="output", web=True)] = False
    crf: Annotated[
        int | None,
        Option(
            "quality of the encoding: 0 is best, 51 worst",
            metavar="N", low=0, high=51, expected="0 (best) to 51", group="output", web=True,
        ),
    ] = None  # fmt: skip
    visualize: Annotated[
        bool, Option("also write source, driving and result side by side, with keypoints", group="output")
    ] = False
    mark: Mark = "all"
    label: Label = None
    c2pa: C2pa = False
    c2pa_cert: C2paCert = None
    c2pa_key: C2paKey = None
    device: Device = "auto"
    engine: EngineName = "auto"
    precision: Precision = "auto"
    threads: Threads = None
    align_corners: AlignCorners = True

    def __post_init__(self) -> None:
        """Validate the options; raise InputError on an impossible combination."""
        check_bounds(self)
        check_times(self.start, self.end)
        check_result_size(self.size)
        if self.background is not None:
            check_background(self.background)
        if self.find_best_frame and self.best_frame is not None:
            raise InputError("--find_best_frame and --best_frame exclude each other", "Leave one of them out")
        check_one_face(self.face, self.face_at)
        if self.motion_scale != 1 and not self.relative:
            raise InputError("--motion_scale multiplies relative motion", "Leave out --absolute")
        check_precision(self.engine, self.precision)
        if isinstance(self.face, FaceGroup):
            self._check_group(self.face)

    def _check_group(self, group: FaceGroup) -> None:
        refused = {"--visualize": self.visualize, f"--crop {self.crop}": self.crop in ("none", "driving")}
        for flag in (flag for flag, is_asked in refused.items() if is_asked):
            raise InputError(
                f"{flag} does not go with --face {group}, which cuts several faces out of the source",
                f"Leave out {flag}, or choose one face",
            )

    @property
    def background_image(self) -> Path | None:
        """Return the file of --background; None where that is a colour, or not given."""
        return None if self.background is None or colour_of(self.background) else Path(self.background)


@dataclass(frozen=True)
class ExtractJob:
    """Save the motion of a driving video as a motion template."""

    driving_video: Annotated[
        Path, Option("a video, folder of frames or image", short="-d", metavar="VIDEO", group="files")
    ]
    output: Annotated[Path, Option("the motion template to write", short="-o", metavar="FILE", group="files")] = Path(
        "motion.npz"
    )
    checkpoint: Checkpoint = None
    config: ConfigName = None
    start: Start = 0.0
    end: End = None
    max_frames: MaxFrames = None
    fit: Fit = "stretch"
    fps: Fps = None
    crop: Annotated[
        Literal["auto", "none", "driving"],
        Option("crop to the face (default: auto, if framed unlike the training data, for face models)", group="faces"),
    ] = "auto"
    face_backend: FaceBackend = "auto"
    device: Device = "auto"
    threads: Threads = None

    def __post_init__(self) -> None:
        """Validate the options; raise InputError on an impossible combination."""
        check_bounds(self)
        check_times(self.start, self.end)
