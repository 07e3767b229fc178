"""Options of `fomm score`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fomm_cli.models.options import Checkpoint, ConfigName
from fomm_cli.options import Option, check_bounds, invalid
from fomm_cli.runtime.options import Device


@dataclass(frozen=True)
class ScoreJob:
    """Score how well a result takes over the movement of its driving video.

    The model is only used where no face is found.
    """

    result: Annotated[Path, Option("the animated video", metavar="RESULT", positional=True)]
    driving_video: Annotated[Path, Option("what it was animated with", short="-d", metavar="VIDEO")]
    source_image: Annotated[
        Path | None, Option("what it was made from (default: its first frame)", short="-s", metavar="IMAGE")
    ] = None
    csv: Annotated[Path | None, Option("write the curves and scores of every frame", metavar="FILE")] = None
    plot: Annotated[Path | None, Option("draw the curves over time: .png, .svg or .pdf", metavar="FILE")] = None
    checkpoint: Checkpoint = None
    config: ConfigName = None
    device: Device = "auto"

    def __post_init__(self) -> None:
        """Validate the options; raise InputError on an impossible value."""
        check_bounds(self)
        if self.plot is not None and self.plot.suffix.lower() not in (".png", ".svg", ".pdf"):
            raise invalid("plot", self.plot, "a name that ends in .png, .svg or .pdf")
