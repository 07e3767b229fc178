"""Options that name a model, and those of `fomm convert`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fomm_cli.options import Option, boolean

Checkpoint = Annotated[
    Path | None,
    Option("a file of weights, or a name such as vox (default: the small model)", group="model"),
]
ConfigName = Annotated[str | None, Option("a bundled config such as vox-256, or a YAML file", group="model")]
AlignCorners = Annotated[
    bool,
    Option(
        "true (default) samples as the weights were trained, false as the original does on today's PyTorch",
        metavar="{true,false}",
        group="engine",
        parse=boolean,
    ),
]


@dataclass(frozen=True)
class ConvertJob:
    """Write the two networks of a checkpoint, with their config, to a small safetensors file."""

    checkpoint: Annotated[Path, Option("the checkpoint to read", positional=True)]
    target: Annotated[Path, Option("the .safetensors file to write", positional=True)]
    config: Annotated[str | None, Option("the config of the weights, kept inside (default: vox-256)")] = None
    half: Annotated[bool, Option("store half precision, in half the size")] = False
    training: Annotated[bool, Option("keep the discriminator, to go on training from it")] = False
