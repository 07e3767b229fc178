"""Load a model from its checkpoint: find the file and its config, build the networks, fill them with the weights."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from fomm_cli.config.reading import load_config
from fomm_cli.config.schema import Config
from fomm_cli.models.bundled import bundled_checkpoint
from fomm_cli.models.checkpoint import Checkpoint, open_checkpoint, read_values
from fomm_cli.models.download import resolve_checkpoint
from fomm_cli.models.networks import Networks, empty_networks, fill_networks
from fomm_cli.progress import Progress, silent

logger = logging.getLogger(__name__)

DEFAULT_CONFIG = "vox-256"


@dataclass(frozen=True)
class LoadedModel:
    """Networks with their weights, and what they were made from.

    Attributes:
        networks: the keypoint detector and the generator.
        config: of the networks.
        device: where they are to run.
        sha256: of the checkpoint file; empty for weights that come from no file.
    """

    networks: Networks
    config: Config
    device: torch.device
    sha256: str = ""


def load_model(
    checkpoint: str | Path | None,
    config: str | Path | None,
    device: torch.device,
    *,
    align_corners: bool = True,
    progress: Progress = silent,
) -> LoadedModel:
    """Load a model that is to run on a device; the arguments and errors are those of `Animator.load`."""
    given = None if config is None else load_config(str(config))
    path, published = (bundled_checkpoint(), None) if checkpoint is None else resolve_checkpoint(checkpoint, progress)
    if given is None and published is not None:
        given = load_config(published)
    weights = open_checkpoint(path)
    fitting = choose_config(given, weights)
    networks = empty_networks(weights, fitting, align_corners=align_corners)  # before the weights take memory
    return LoadedModel(fill_networks(networks, read_values(weights)), fitting, device, weights.sha256)


def choose_config(given: Config | None, weights: Checkpoint) -> Config:
    """Choose the config of some weights: the given one, else the one inside their file, else `DEFAULT_CONFIG`."""
    if given is not None or weights.config is not None:
        return given or weights.config  # type: ignore[return-value]
    logger.info("no --config given for %s: taking %s", weights.name, DEFAULT_CONFIG)
    return load_config(DEFAULT_CONFIG)
