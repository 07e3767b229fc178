"""Checkpoints that claim more than they hold, or hold what is no weight: one error, and no memory taken."""

from __future__ import annotations

import json
import math
import os
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from fomm_cli.config.reading import load_config, parse_config
from fomm_cli.errors import InputError
from fomm_cli.models.checkpoint import NETWORKS, read_checkpoint
from fomm_cli.models.convert import convert
from fomm_cli.models.loading import load_model
from fomm_cli.models.options import ConvertJob
from support.parity_data import PARITY

TINY = PARITY / "tiny_first_order"
KEY = "kp.weight"


def tiny_weights() -> dict[str, dict[str, Any]]:
    return dict(torch.load(f"{TINY}.pth.tar", weights_only=True))


weights = pytest.fixture(tiny_weights)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_model(path, f"{TINY}.yaml", torch.device("cpu"))
    return str(caught.value)


def _sparse(tensor: Tensor) -> Tensor:
    return tensor.to_sparse()


ODD: dict[str, Callable[[Tensor], object]] = {
    "sparse": _sparse,
    "csr": lambda tensor: tensor.flatten(1).to_sparse_csr(),
    "quantised": lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8),
    "meta": lambda tensor: tensor.to("meta"),
    "float8": lambda tensor: tensor.to(torch.float8_e4m3fn),
    "complex": lambda tensor: tensor.to(torch.complex64),
    "bool": lambda tensor: tensor > 0,
    "whole numbers": lambda tensor: tensor.to(torch.int64),
    "uint8 of another shape": lambda tensor: tensor.to(torch.uint8)[:1],
    "text": lambda _: "weights",
    "list": lambda tensor: tensor.tolist(),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.filterwarnings("ignore")
def test_odd_tensors_are_refused_by_name(kind: str, weights: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    weights["kp_detector"][KEY] = ODD[kind](weights["kp_detector"][KEY])
    torch.save(weights, tmp_path / "odd.pth.tar")
    said = refusal(tmp_path / "odd.pth.tar")
    assert f"kp_detector.{KEY}" in said or "damaged" in said or "code" in said


def test_a_tensor_without_a_name(weights: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    weights["kp_detector"][""] = torch.zeros(1)
    torch.save(weights, tmp_path / "odd.pth.tar")
    assert "kp_detector.'' has no place in it" in refusal(tmp_path / "odd.pth.tar")


def _peak(*, anew: bool = False) -> int:
    """Return the peak memory of this process in bytes, or where it is to begin `anew`, what is in use now."""
    if anew and os.access("/proc/self/clear_refs", os.W_OK):
        Path("/proc/self/clear_refs").write_text("5")  # Linux forgets the peak of the tests before
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def sparse_safetensors(path: Path, shapes: dict[str, list[int]]) -> Path:
    """Write a file of zeros that takes no room on the disk."""
    header, place = {}, 0
    for name, shape in shapes.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [place, place + 4 * math.prod(shape)]}
        place += 4 * math.prod(shape)
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + place)
    return path


@pytest.mark.parametrize("target", [None, "small.safetensors"])
def test_shapes_are_compared_before_the_weights_take_memory(target: str | None, tmp_path: Path) -> None:
    shapes = {f"{name}.{key}": list(value.shape) for name in NETWORKS for key, value in tiny_weights()[name].items()}
    path = sparse_safetensors(tmp_path / "large.safetensors", {**shapes, "generator.extra": [300, 1000, 1000]})
    before = _peak(anew=True)
    with pytest.raises(InputError, match="'extra' has no place in it"):
        if target is None:
            load_model(path, f"{TINY}.yaml", torch.device("cpu"))
        else:
            convert(ConvertJob(path, tmp_path / target, config=f"{TINY}.yaml"))
    assert _peak() - before < 200e6  # of 1.2 GB


@pytest.mark.parametrize("zipped", [True, False])
def test_repeated_numbers_take_no_memory(weights: dict[str, dict[str, Any]], tmp_path: Path, zipped: bool) -> None:
    weights["generator"]["first.conv.weight"] = torch.zeros(1).expand(1 << 15, 1 << 15)  # 4 GB out of 4 bytes
    torch.save(weights, tmp_path / "bomb.pth.tar", _use_new_zipfile_serialization=zipped)
    before = _peak(anew=True)
    assert "claims to hold more than the file has bytes" in refusal(tmp_path / "bomb.pth.tar")
    assert _peak() - before < 200e6


def test_one_storage_in_many_tensors_takes_no_memory(weights: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    one = torch.zeros(1 << 18)
    weights["generator"] |= {f"extra{index}": one for index in range(500)}
    torch.save(weights, tmp_path / "bomb.pth.tar")
    before = _peak(anew=True)
    assert "claims to hold more" in refusal(tmp_path / "bomb.pth.tar")
    assert _peak() - before < 200e6


def test_a_deflated_pickle_is_not_inflated(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.pth.tar", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 26))
        archive.writestr("archive/version", "3")
    before = _peak(anew=True)
    assert "claims to hold more" in refusal(tmp_path / "bomb.pth.tar")
    assert _peak() - before < 30e6


def test_damage_anywhere_is_one_error(tmp_path: Path) -> None:
    whole = Path(f"{TINY}.pth.tar").read_bytes()
    for name in (b"data.pkl", b"PK\1\2", b"PK\5\6"):
        place = whole.find(name)
        for shift in range(0, 40, 3):
            damaged = bytearray(whole)
            damaged[place + shift] ^= 0xFF
            (tmp_path / "damaged.pth.tar").write_bytes(damaged)
            try:
                read_checkpoint(tmp_path / "damaged.pth.tar")
            except InputError as error:
                assert "damaged.pth.tar" in str(error)


METADATA = [
    {"steps": "9" * 5000},
    {"config": "[" * 100_000},
    {"config": '{"model_params": ' + "9" * 5000 + "}"},
    {"config": " " * (2 << 20)},
    {"config": '{"model_params": {}}'},
]


@pytest.mark.parametrize("metadata", METADATA, ids=range(len(METADATA)))
def test_hostile_metadata(metadata: dict[str, str], weights: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    flat = {f"{name}.{key}": tensor for name in ("generator", "kp_detector") for key, tensor in weights[name].items()}
    save_file(flat, tmp_path / "a.safetensors", metadata)
    if "steps" in metadata:
        assert read_checkpoint(tmp_path / "a.safetensors").steps is None
    else:
        with pytest.raises(InputError, match=r"a\.safetensors"):
            read_checkpoint(tmp_path / "a.safetensors")


def test_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.pth.tar")
    assert "is a named pipe" in refusal(tmp_path / "a.pth.tar")
    assert "File name too long" in refusal(tmp_path / ("n" * 300))


SIZES = [
    ("num_kp", "common_params", 10**9),
    ("num_bottleneck_blocks", "generator_params", 10_000_000),
    ("block_expansion", "generator_params", 10**9),
    ("max_features", "kp_detector_params", 10**12),
    ("pad", "kp_detector_params", 10**6),
]


@pytest.mark.parametrize(("key", "section", "value"), SIZES)
def test_sizes_in_a_config_have_bounds(key: str, section: str, value: int) -> None:
    data = json.loads(load_config("vox-256").model_dump_json())
    data["model_params"][section][key] = value
    with pytest.raises(InputError, match=rf"{section}\.{key} is {value}, but must be less than or equal to"):
        parse_config(data, "test")


def test_frames_have_a_bound() -> None:
    data = json.loads(load_config("vox-256").model_dump_json())
    data["dataset_params"]["frame_shape"] = [16384, 16384, 3]
    with pytest.raises(InputError, match=r"frame_shape\[0\] is 16384, but must be less than or equal to 1024"):
        parse_config(data, "test")
    data["dataset_params"]["frame_shape"] = [1024, 1024, 3]
    data["model_params"]["generator_params"]["block_expansion"] = 512
    with pytest.raises(InputError, match=r"would take 2\.1 GB for one layer"):
        parse_config(data, "test")


BOMBS = {
    "aliases": "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
    "itself": "a: &a [*a]\n",
    "deep": "[" * 50_000,
    "long": "a: " + "x" * (2 << 20),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_yaml_bombs(bomb: str, tmp_path: Path) -> None:
    (tmp_path / "bomb.yaml").write_text(BOMBS[bomb])
    before = _peak(anew=True)
    with pytest.raises(InputError, match=r"bomb\.yaml"):
        load_config(str(tmp_path / "bomb.yaml"))
    assert _peak() - before < 100e6
