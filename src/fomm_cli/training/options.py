"""Options of `fomm train`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fomm_cli.errors import InputError
from fomm_cli.options import MOST, Option, check_bounds
from fomm_cli.runtime.options import Device


@dataclass(frozen=True)
class TrainJob:
    """Train a model. Under torchrun each process takes a GPU of its own."""

    log_dir: Annotated[Path, Option("folder for checkpoints, logs and images", metavar="FOLDER")]
    config: Annotated[
        str | None,
        Option(
            "a bundled config such as vox-256, or a YAML file; it says all about training "
            "(default: that of the training to resume, or of --checkpoint)",
            metavar="CONFIG",
        ),
    ] = None
    data: Annotated[
        Path | None,
        Option("folder of videos with train/ and test/ (default: root_dir of the config)", metavar="FOLDER"),
    ] = None
    checkpoint: Annotated[Path | None, Option("weights to start from (default: random ones)", metavar="FILE")] = None
    resume: Annotated[bool, Option("go on with the training in --log_dir")] = False
    max_minutes: Annotated[
        float | None, Option("stop after M minutes, ready to be resumed", metavar="M", above=0, high=1e7)
    ] = None
    log_every: Annotated[int, Option("steps from line to line of the log", metavar="N", low=1, high=MOST)] = 100
    device: Device = "auto"

    def __post_init__(self) -> None:
        """Validate the options; raise InputError on an impossible combination."""
        check_bounds(self)
        if self.resume and self.checkpoint is not None:
            raise InputError("--resume and --checkpoint exclude each other", "--resume takes last.pth.tar in --log_dir")
