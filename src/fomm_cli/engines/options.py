"""Options of `fomm export`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fomm_cli.models.options import AlignCorners, Checkpoint, ConfigName
from fomm_cli.options import Option


@dataclass(frozen=True)
class ExportJob:
    """Write the networks of a checkpoint as ONNX files."""

    result_dir: Annotated[Path, Option("folder to write to", short="-o", aliases=("output",), metavar="FOLDER")] = Path(
        "onnx"
    )
    checkpoint: Checkpoint = None
    config: ConfigName = None
    align_corners: AlignCorners = True
