"""Read and write checkpoint files (`.pth.tar`, `.safetensors`), and recognise what is mistaken for them."""

from __future__ import annotations

import difflib
import json
import pickle
import re
import tarfile
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from fomm_cli.config.reading import parse_config
from fomm_cli.config.schema import Config
from fomm_cli.errors import InputError, foreign_errors
from fomm_cli.files.hashing import sha256_of
from fomm_cli.files.inputs import check_file
from fomm_cli.files.kind import HEAD_BYTES, disguise
from fomm_cli.files.limits import CONFIG_BYTES, PICKLE_BYTES
from fomm_cli.models.catalogue import CATALOGUE

NETWORKS = ("generator", "kp_detector")
DISCRIMINATOR = "discriminator"

_WEIGHTS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_COUNTERS = (*_WEIGHTS, torch.int64, torch.int32)
_STEPS_DIGITS = 15

DOWNLOAD_AGAIN = "Download it again and compare sizes (vox-cpk.pth.tar has 728,766,691 bytes)"


@dataclass(frozen=True)
class Checkpoint:
    """Weights of the two networks, and of the discriminator if that was asked for.

    Attributes:
        path: of the file.
        networks: tensors by network (`generator`, `kp_detector`) and name, without the prefix that DataParallel
            leaves in names. They are float32 and finite once `read_values` has read them.
        config: the config in the file's metadata, if it has one.
        sha256: of the file.
        steps: of training behind the weights, where the file tells.
    """

    path: Path
    networks: dict[str, dict[str, Tensor]]
    config: Config | None
    sha256: str
    steps: int | None = None

    @property
    def name(self) -> str:
        """Return the file's name, for messages."""
        return self.path.name


def read_checkpoint(path: Path, optional: tuple[str, ...] = ()) -> Checkpoint:
    """Read weights, never code; for arguments and errors see `open_checkpoint` and `read_values`."""
    return read_values(open_checkpoint(path, optional))


def open_checkpoint(path: Path, optional: tuple[str, ...] = ()) -> Checkpoint:
    """Read the names and shapes of the weights; the values stay in the file until `read_values`.

    So the shapes can be compared with a config before the weights take memory. Only the legacy format of PyTorch is
    read whole, since it cannot be mapped.

    Args:
        path: the published format (legacy or zip serialisation) or safetensors; told apart by content, not by name.
        optional: networks to read beside `NETWORKS`, where they are in it.

    Raises:
        InputError: it is missing, something else, damaged, or the weights of another model.
    """
    _check_is_file(path)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    _check_is_no_lookalike(path, head)
    if head[8:9] == b"{":
        tensors, config, steps = _read_safetensors(path)
    else:
        tensors, config, steps = _read_torch(path)
    wanted = (*NETWORKS, *(name for name in optional if tensors.get(name)))
    for name in wanted:
        _check_kinds(path, name, tensors[name])
    claimed = sum(tensor.numel() * tensor.element_size() for name in wanted for tensor in tensors[name].values())
    if claimed > path.stat().st_size:  # such as one number that is repeated along every axis
        raise _claims_too_much(path)
    networks = {
        name: {str(key).removeprefix("module."): tensor for key, tensor in tensors[name].items()} for name in wanted
    }
    return Checkpoint(path, networks, config, sha256_of(path), steps)


def read_values(checkpoint: Checkpoint) -> Checkpoint:
    """Read the weights of an opened checkpoint as float32 into memory of their own.

    Raises:
        InputError: some are not finite.
    """
    networks = {
        network: {key: _value(checkpoint.path, f"{network}.{key}", tensor) for key, tensor in weights.items()}
        for network, weights in checkpoint.networks.items()
    }
    return replace(checkpoint, networks=networks)


def write_safetensors(checkpoint: Checkpoint, config: Config, path: Path, *, half: bool) -> None:
    """Write the networks, and the config as metadata, so that the file needs no `--config`.

    Args:
        checkpoint: the weights.
        config: the config they belong to.
        path: where to write.
        half: store half precision, in half the size; read back as float32.
    """
    tensors = {
        f"{network}.{key}": (tensor.half() if half and tensor.is_floating_point() else tensor).contiguous()
        for network, weights in checkpoint.networks.items()
        for key, tensor in weights.items()
    }
    metadata = {"format": "fomm", "config": config.model_dump_json(), "source_sha256": checkpoint.sha256}
    if checkpoint.steps is not None:
        metadata["steps"] = str(checkpoint.steps)
    path.write_bytes(save(tensors, metadata))  # save_file would leave the file unreadable to others


def _check_is_file(path: Path) -> None:
    try:
        is_folder = path.is_dir()
        is_there = path.exists()
    except (OSError, ValueError):  # what is wrong with it, check_file says
        is_folder, is_there = False, True
    if is_folder:
        raise InputError(
            f"the checkpoint {path} is a folder",
            "A .pth.tar file is used as it is and must not be unpacked; give the file itself",
        )
    if not is_there:
        raise InputError(f"there is no checkpoint {path}", _similar_file(path))
    check_file(path, "checkpoint")


def _similar_file(path: Path) -> str:
    names: list[str] = []
    with suppress(OSError):
        names = [entry.name for entry in path.parent.iterdir()]
    if close := difflib.get_close_matches(path.name, names, n=1):
        return f"Did you mean {path.parent / close[0]}?"
    if entry := next((entry for entry in CATALOGUE.values() if entry.file == path.name), None):
        return f"Download it: fomm download {entry.name}; or use --checkpoint {entry.name}"
    if known := difflib.get_close_matches(path.name, CATALOGUE, n=1):
        return f"Did you mean --checkpoint {known[0]}?"
    return "Check the path, or leave --checkpoint out"


def _check_is_no_lookalike(path: Path, head: bytes) -> None:
    """Raise InputError, with the name of what it is, for a file that is plainly not a checkpoint."""
    if not head:
        raise InputError(f"the checkpoint {path} is empty", DOWNLOAD_AGAIN)
    found = disguise(head)
    if found == "web page":
        raise InputError(
            f"the checkpoint {path} is a web page that was saved in place of the file",
            "Open the address in a browser, confirm the download there, and save the file itself",
        )
    if found is not None:
        raise InputError(
            f"the checkpoint {path} is a {found}, not the weights",
            "Run 'git lfs pull' in the repository it came from, or download the file itself",
        )
    if head.startswith(b"PK") and not zipfile.is_zipfile(path):
        raise InputError(f"the checkpoint {path} is cut short", DOWNLOAD_AGAIN)
    if _is_archive(path, head):
        raise InputError(
            f"the checkpoint {path} is an archive that somebody packed",
            "Unpack it and give the .pth.tar file inside (that file itself is not to be unpacked)",
        )


def _is_archive(path: Path, head: bytes) -> bool:
    """Return whether somebody packed the file; torch's own format is a zip archive with a `data.pkl` in it."""
    if zipfile.is_zipfile(path):
        with _damaged_otherwise(path), zipfile.ZipFile(path) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
        pickles = [size for name, size in sizes.items() if name.endswith("/data.pkl")]
        if pickles and (max(pickles) > PICKLE_BYTES or sum(sizes.values()) > path.stat().st_size):
            raise _claims_too_much(path)  # PyTorch stores without compression
        return not pickles
    return head.startswith((b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!")) or tarfile.is_tarfile(path)


def _read_safetensors(path: Path) -> tuple[dict[str, dict[str, Tensor]], Config | None, int | None]:
    with _damaged_otherwise(path), safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        flat = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    tensors = {
        name: {key.removeprefix(f"{name}."): value for key, value in flat.items() if key.startswith(f"{name}.")}
        for name in (*NETWORKS, DISCRIMINATOR)
    }
    _check_has_networks(path, {name: weights for name, weights in tensors.items() if weights}, list(flat))
    steps = metadata.get("steps", "")
    known = steps.isdecimal() and len(steps) <= _STEPS_DIGITS
    return tensors, _config_in(metadata, path), int(steps) if known else None


def _config_in(metadata: Mapping[str, Any], path: Path) -> Config | None:
    if "config" not in metadata:
        return None
    with foreign_errors(f"the config in {path} is not JSON", "Convert it again"):
        if len(metadata["config"]) > CONFIG_BYTES:
            raise ValueError("it is too long")
        data = json.loads(metadata["config"])
    return parse_config(data, f"{path} (metadata)")


def _read_torch(path: Path) -> tuple[dict[str, dict[str, Tensor]], Config | None, int | None]:
    """Read the networks, and the config and steps that `fomm train` stores beside them."""
    data = _load_pickle(path)
    _check_has_networks(path, data if isinstance(data, dict) else {}, list(data) if isinstance(data, dict) else [])
    networks = {name: data[name] for name in (*NETWORKS, DISCRIMINATOR) if isinstance(data.get(name), Mapping)}
    training = data.get("training")
    steps = training.get("step") if isinstance(training, Mapping) else None
    return networks, _config_in(data, path), steps if isinstance(steps, int) else None


def _load_pickle(path: Path) -> Any:
    with _damaged_otherwise(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of pickles that it then refuses
        try:
            # mapping keeps discriminator and optimizers out of memory; the legacy format cannot be mapped
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        except pickle.UnpicklingError as error:
            raise _refusal(path, str(error)) from error


def _damaged_otherwise(path: Path) -> AbstractContextManager[None]:
    return foreign_errors(f"the checkpoint {path} is damaged or cut short", DOWNLOAD_AGAIN)


def _claims_too_much(path: Path) -> InputError:
    return InputError(f"the checkpoint {path} claims to hold more than the file has bytes", DOWNLOAD_AGAIN)


def _refusal(path: Path, reason: str) -> InputError:
    """Explain why torch would not unpickle a file: it holds code, or it is no pickle at all."""
    with path.open("rb") as file:
        is_pickle = file.read(2) in {b"\x80" + bytes([protocol]) for protocol in range(2, 6)} or zipfile.is_zipfile(
            path
        )
    if not is_pickle:
        return InputError(f"{path} is not a checkpoint, or is damaged", DOWNLOAD_AGAIN)
    match = re.search(r"global:? (?:GLOBAL )?([\w.]+)", reason, re.IGNORECASE)
    code = f"code ({match[1]})" if match else "code"
    return InputError(
        f"the checkpoint {path} holds {code}, not just weights, and was not opened",
        "Get the weights from a source you trust; a safe file holds tensors only",
    )


def _check_has_networks(path: Path, networks: Mapping[str, object], keys: list[str]) -> None:
    missing = [name for name in NETWORKS if not isinstance(networks.get(name), Mapping)]
    if not missing:
        return
    if "inpainting_network" in keys:
        found = "the weights of a Thin-Plate-Spline Motion Model"
    else:
        found = f"no weights of a First Order Motion Model (no {' and no '.join(missing)} in it)"
    raise InputError(
        f"the checkpoint {path} holds {found}", "Give a file in the published format, such as vox-cpk.pth.tar"
    )


def _check_kinds(path: Path, network: str, weights: Mapping[str, object]) -> None:
    """Refuse what is not a plain tensor of numbers, before anything is computed with it."""
    for key, tensor in weights.items():
        if not isinstance(tensor, Tensor):
            raise InputError(f"{network}.{key} in the checkpoint {path} is not a tensor", DOWNLOAD_AGAIN)
        plain = not tensor.is_nested and not tensor.is_quantized and tensor.device.type == "cpu"
        kinds = _COUNTERS if str(key).endswith("num_batches_tracked") else _WEIGHTS
        if not plain or tensor.layout != torch.strided or tensor.dtype not in kinds:
            found = f"{tensor.dtype}, {tensor.layout}, on the device {tensor.device.type}".replace("torch.", "")
            raise InputError(
                f"{network}.{key} in the checkpoint {path} is not a plain tensor of floating-point numbers ({found})",
                "Save the weights as float32 or float16",
            )


def _value(path: Path, name: str, tensor: Tensor) -> Tensor:
    """Return a tensor in float32 (counters stay as they are) and in memory of its own: a mapped file can be closed."""
    if not torch.isfinite(tensor).all():
        raise InputError(
            f"{name} in the checkpoint {path} has values that are not finite",
            "The training that wrote it had diverged; use an earlier checkpoint",
        )
    return tensor.to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)
