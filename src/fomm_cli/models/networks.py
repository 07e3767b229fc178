"""Build the networks, fill them with weights, and make them ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fomm_cli.config.reading import config_names, load_config
from fomm_cli.config.schema import Config
from fomm_cli.errors import InputError
from fomm_cli.models.checkpoint import NETWORKS, Checkpoint
from fomm_cli.models.generator import Generator
from fomm_cli.models.keypoint_detector import KPDetector
from fomm_cli.models.layers import ResBlock, SameBlock, lay_channels_last

Shapes = dict[str, torch.Size]


@dataclass(frozen=True)
class Networks:
    """The two networks that animate."""

    kp_detector: KPDetector
    generator: Generator

    @classmethod
    def build(cls, config: Config, *, align_corners: bool = True) -> Networks:
        """Build untrained networks of the dimensions in `config`."""
        model = config.model_params
        return cls(
            kp_detector=KPDetector(model.common_params, model.kp_detector_params),
            generator=Generator(model.common_params, model.generator_params, align_corners=align_corners),
        )

    def parts(self) -> dict[str, nn.Module]:
        """Return the networks by their names in a checkpoint."""
        return {"kp_detector": self.kp_detector, "generator": self.generator}

    def prepare_inference(self, device: torch.device, *, fold: bool = True) -> None:
        """Switch to evaluation, fold batch norms into convolutions, and move to a device. Not reversible."""
        for network in self.parts().values():
            network.eval().requires_grad_(False).to(device)
            if fold:
                fold_batch_norms(network)
        if fold and device.type == "cpu":  # the layout of images; otherwise every call converts them
            lay_channels_last(self.kp_detector)


def fold_batch_norms(network: nn.Module) -> None:
    """Merge batch norms into the convolutions before them, in place; what comes out stays the same."""
    for module in network.modules():
        if isinstance(module, SameBlock):
            _fold(module, "conv", "norm")
        elif isinstance(module, ResBlock):  # norm1 has no convolution before it
            _fold(module, "conv1", "norm2")


def _fold(block: nn.Module, conv: str, norm: str) -> None:
    setattr(block, conv, fuse_conv_bn_eval(getattr(block, conv), getattr(block, norm)))
    setattr(block, norm, nn.Identity())


def load_networks(checkpoint: Checkpoint, config: Config, *, align_corners: bool = True) -> Networks:
    """Build the networks of `config` and fill them with the weights of `checkpoint`.

    Raises:
        InputError: the weights belong to another architecture; the message names the config that they fit.
    """
    return fill_networks(empty_networks(checkpoint, config, align_corners=align_corners), checkpoint)


def empty_networks(checkpoint: Checkpoint, config: Config, *, align_corners: bool = True) -> Networks:
    """Build the networks of `config` without memory for their weights, and compare the shapes with `checkpoint`.

    Raises:
        InputError: the weights belong to another architecture; the message names the config that they fit.
    """
    with torch.device("meta"):
        networks = Networks.build(config, align_corners=align_corners)
    for name, network in networks.parts().items():
        found = {key: tensor.shape for key, tensor in checkpoint.networks[name].items()}
        if difference := _first_difference(_shapes(network), found):
            raise InputError(
                f"the weights in {checkpoint.name} do not fit the config: {name}.{difference}",
                _suggest_config(checkpoint),
            )
    return networks


def fill_networks(networks: Networks, checkpoint: Checkpoint) -> Networks:
    """Give the weights of `checkpoint` to networks from `empty_networks`; batch counters may be missing."""
    for name, network in networks.parts().items():
        counters = {key: torch.tensor(0) for key in network.state_dict() if key.endswith("num_batches_tracked")}
        network.load_state_dict({**counters, **checkpoint.networks[name]}, strict=True, assign=True)
    return networks


def _shapes(network: nn.Module) -> Shapes:
    return {key: tensor.shape for key, tensor in network.state_dict().items()}


def _first_difference(expected: Shapes, found: Mapping[str, torch.Size]) -> str:
    """Describe the first difference of two sets of weights; empty when they fit. Batch counters may be missing."""
    for key, shape in expected.items():
        if key not in found:
            if key.endswith("num_batches_tracked"):
                continue
            return f"{key} is missing"
        if found[key] != shape:
            return f"{key} has the shape {list(found[key])} where the config asks for {list(shape)}"
    unknown = next((key for key in found if key not in expected), None)
    return "" if unknown is None else f"{unknown!r} has no place in it"


def _suggest_config(checkpoint: Checkpoint) -> str:
    fitting = [name for name in config_names() if _fits(checkpoint.networks, load_config(name))]
    if fitting:
        return f"They fit --config {fitting[0]}"
    return "Give the --config that they were trained with"


def _fits(weights: Mapping[str, Mapping[str, Tensor]], config: Config) -> bool:
    with torch.device("meta"):
        parts = Networks.build(config).parts()
    return not any(
        _first_difference(_shapes(parts[name]), {key: tensor.shape for key, tensor in weights[name].items()})
        for name in NETWORKS
    )
