"""`fomm convert`: write a small, safe file from a published checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fomm_cli.config.reading import load_config
from fomm_cli.errors import InputError
from fomm_cli.files.atomic import replacing
from fomm_cli.files.guard import protect_inputs
from fomm_cli.models.checkpoint import DISCRIMINATOR, open_checkpoint, read_values, write_safetensors
from fomm_cli.models.loading import choose_config
from fomm_cli.models.networks import empty_networks
from fomm_cli.models.options import ConvertJob


@dataclass(frozen=True)
class ConvertResult:
    """The file written, and both sizes in bytes."""

    path: Path
    bytes_before: int
    bytes_after: int


def convert(job: ConvertJob) -> ConvertResult:
    """Convert a checkpoint to safetensors.

    Raises:
        InputError: the checkpoint is not one, or does not fit the config.
    """
    if job.target.suffix.lower() != ".safetensors":
        raise InputError(f"{job.target} does not end in .safetensors", "Give the target that suffix")
    protect_inputs((job.checkpoint, job.config), (job.target,))
    given = None if job.config is None else load_config(job.config)
    checkpoint = open_checkpoint(job.checkpoint, optional=(DISCRIMINATOR,) if job.training else ())
    config = choose_config(given, checkpoint)
    empty_networks(checkpoint, config)  # a file with the wrong config inside would be worse than none
    checkpoint = read_values(checkpoint)
    with replacing(job.target) as part:
        write_safetensors(checkpoint, config, part, half=job.half)
    return ConvertResult(job.target, job.checkpoint.stat().st_size, job.target.stat().st_size)
