r"""Write a checkpoint for a config with more layers than the weights at hand; it computes nearly the same.

python recipes/mini-256/widen.py checkpoints/mini-256-training.safetensors \
    recipes/mini-256/second-round.yaml wider.pth.tar

New residual blocks and hints add nothing at first, and guided up-sampling starts as bilinear interpolation.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from fomm_cli.config.reading import load_config
from fomm_cli.config.schema import Config
from fomm_cli.models.checkpoint import Checkpoint, read_checkpoint
from fomm_cli.models.layers import ResBlock
from fomm_cli.models.networks import Networks


def main(argv: Sequence[str] | None = None) -> None:
    """Widen a checkpoint file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("config")
    parser.add_argument("target", type=Path, help=".pth.tar to write")
    arguments = parser.parse_args(argv)
    config = load_config(arguments.config)
    write_checkpoint(widened(read_checkpoint(arguments.checkpoint), config), config, arguments.target)


def write_checkpoint(networks: Networks, config: Config, target: Path) -> None:
    """Write a model in the format that `fomm` reads, with its config."""
    state = {name: network.state_dict() for name, network in networks.parts().items()}
    torch.save({**state, "config": config.model_dump_json()}, target)


def widened(checkpoint: Checkpoint, config: Config) -> Networks:
    """Build the networks of `config` and carry the weights over."""
    torch.manual_seed(0)
    networks = Networks.build(config)
    for name, network in networks.parts().items():
        _silence(network)
        state = network.state_dict()
        network.load_state_dict({**state, **checkpoint.networks[name]})
    return networks


def _silence(network: nn.Module) -> None:
    """Let every residual block, until it gets weights, add nothing."""
    for block in network.modules():
        if isinstance(block, ResBlock):
            for parameter in block.conv2.parameters():
                nn.init.zeros_(parameter)


if __name__ == "__main__":
    main()
