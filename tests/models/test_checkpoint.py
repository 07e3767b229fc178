"""Checkpoints: every format that is one, and a clear word for everything that is not."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fomm_cli.config.reading import load_config
from fomm_cli.errors import InputError
from fomm_cli.models.bundled import bundled_checkpoint
from fomm_cli.models.checkpoint import NETWORKS, read_checkpoint, write_safetensors
from fomm_cli.models.networks import load_networks
from support.parity_data import PARITY, TINY, config_of

ORIGINAL = PARITY / "tiny_first_order.pth.tar"


@pytest.mark.parametrize("name", TINY)
def test_legacy_and_zip_files_give_the_same_tensors(name: str, tmp_path: Path) -> None:
    legacy = PARITY / f"{name}.pth.tar"
    modern = tmp_path / "modern.pth.tar"
    torch.save(torch.load(legacy, weights_only=True), modern)
    assert zipfile.is_zipfile(modern)
    assert not zipfile.is_zipfile(legacy)
    first, second = read_checkpoint(legacy), read_checkpoint(modern)
    for network in NETWORKS:
        assert first.networks[network].keys() == second.networks[network].keys()
        for key, tensor in first.networks[network].items():
            assert torch.equal(tensor, second.networks[network][key])


def test_only_the_two_networks_are_kept() -> None:
    data = torch.load(ORIGINAL, weights_only=True)
    assert {"discriminator", "optimizer_generator", "epoch"} < data.keys()
    assert read_checkpoint(ORIGINAL).networks.keys() == {"generator", "kp_detector"}


@pytest.mark.parametrize("half", [False, True])
def test_a_converted_file_has_the_same_weights_and_its_config(half: bool, tmp_path: Path) -> None:
    checkpoint, config = read_checkpoint(ORIGINAL), config_of("tiny_first_order")
    path = tmp_path / "small.safetensors"
    write_safetensors(checkpoint, config, path, half=half)
    back = read_checkpoint(path)
    assert back.config == config
    for network in NETWORKS:
        for key, tensor in checkpoint.networks[network].items():
            assert back.networks[network][key].dtype == tensor.dtype
            expected = tensor.half().to(tensor.dtype) if half and tensor.is_floating_point() else tensor
            assert torch.equal(back.networks[network][key], expected)


def test_names_with_the_prefix_of_data_parallel_are_understood(tmp_path: Path) -> None:
    data = torch.load(ORIGINAL, weights_only=True)
    data["generator"] = {f"module.{key}": tensor for key, tensor in data["generator"].items()}
    torch.save(data, tmp_path / "parallel.pth.tar")
    load_networks(read_checkpoint(tmp_path / "parallel.pth.tar"), config_of("tiny_first_order"))


def test_old_files_without_batch_counters_are_understood(tmp_path: Path) -> None:
    data = torch.load(ORIGINAL, weights_only=True)
    for network in NETWORKS:
        data[network] = {k: v for k, v in data[network].items() if not k.endswith("num_batches_tracked")}
    torch.save(data, tmp_path / "old.pth.tar")
    load_networks(read_checkpoint(tmp_path / "old.pth.tar"), config_of("tiny_first_order"))


def test_the_bundled_model_fits_its_config() -> None:
    checkpoint = read_checkpoint(bundled_checkpoint())
    assert checkpoint.config == load_config("mini-256")
    load_networks(checkpoint, checkpoint.config)


class _Hostile:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch /tmp/fomm-was-here",)


def _web_page(path: Path) -> None:
    path.write_text("\n<!DOCTYPE html><html><title>Google Drive - Virus scan warning</title></html>")


def _lfs_pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:abb41ab1\nsize 728766691\n")


def _empty(path: Path) -> None:
    path.touch()


def _cut_legacy(path: Path) -> None:
    path.write_bytes(ORIGINAL.read_bytes()[:-50_000])


def _cut_early(path: Path) -> None:
    path.write_bytes(ORIGINAL.read_bytes()[:2_000])


def _cut_zip(path: Path) -> None:
    whole = io.BytesIO()
    torch.save(torch.load(ORIGINAL, weights_only=True), whole)
    path.write_bytes(whole.getvalue()[:-50_000])


def _cut_safetensors(path: Path) -> None:
    write_safetensors(read_checkpoint(ORIGINAL), config_of("tiny_first_order"), path, half=False)
    path.write_bytes(path.read_bytes()[:-5_000])


def _hostile_legacy(path: Path) -> None:
    torch.save({"generator": _Hostile()}, path, _use_new_zipfile_serialization=False)


def _hostile_zip(path: Path) -> None:
    torch.save({"generator": _Hostile()}, path)


def _hostile_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(_Hostile()))


def _tar_archive(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.add(ORIGINAL, "vox-cpk.pth.tar")


def _gzip_archive(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        archive.add(ORIGINAL, "vox-cpk.pth.tar")


def _zip_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(ORIGINAL, "vox-cpk.pth.tar")


def _unpacked(path: Path) -> None:
    (path / "archive").mkdir(parents=True)


def _noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 40)


def _text(path: Path) -> None:
    path.write_text("dszvc")


def _no_networks(path: Path) -> None:
    torch.save({"state_dict": {"weight": torch.ones(3)}}, path)


def _one_network(path: Path) -> None:
    torch.save({"generator": {"weight": torch.ones(3)}}, path)


def _thin_plate_splines(path: Path) -> None:
    torch.save({"kp_detector": {}, "bg_predictor": {}, "dense_motion_network": {}, "inpainting_network": {}}, path)


def _other_safetensors(path: Path) -> None:
    save_file({"unet.weight": torch.ones(3)}, path)


def _not_finite(path: Path) -> None:
    data = torch.load(ORIGINAL, weights_only=True)
    data["generator"]["final.bias"][0] = float("nan")
    torch.save(data, path)


def _no_tensors(path: Path) -> None:
    torch.save({"generator": {"final.bias": 3}, "kp_detector": {}}, path)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (_web_page, "web page"),
        (_lfs_pointer, "Git LFS pointer"),
        (_empty, "empty"),
        (_cut_legacy, "cut short"),
        (_cut_early, "cut short"),
        (_cut_zip, "cut short"),
        (_cut_safetensors, "cut short"),
        (_hostile_legacy, "holds code"),
        (_hostile_zip, "holds code"),
        (_hostile_pickle, "holds code"),
        (_tar_archive, "archive that somebody packed"),
        (_gzip_archive, "archive that somebody packed"),
        (_zip_archive, "archive that somebody packed"),
        (_unpacked, "must not be unpacked"),
        (_noise, "not a checkpoint"),
        (_text, "not a checkpoint"),
        (_no_networks, "no generator and no kp_detector"),
        (_one_network, "no kp_detector"),
        (_thin_plate_splines, "Thin-Plate-Spline"),
        (_other_safetensors, "no generator and no kp_detector"),
        (_not_finite, "generator.final.bias"),
        (_no_tensors, "is not a tensor"),
    ],
)
def test_what_is_no_checkpoint_is_named(write: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    path = tmp_path / "vox-cpk.pth.tar"
    write(path)
    with pytest.raises(InputError) as raised:
        read_checkpoint(path)
    message = str(raised.value)
    assert words in message
    assert str(path) in message
    assert raised.value.next_step
    assert "\n" not in message
    assert not Path("/tmp/fomm-was-here").exists()  # noqa: S108 - where the hostile pickle would leave its mark


def test_a_missing_file_is_found_under_a_similar_name(tmp_path: Path) -> None:
    shutil.copy(ORIGINAL, tmp_path / "vox-cpk.pth")
    with pytest.raises(InputError, match=r"Did you mean .*vox-cpk\.pth\?"):
        read_checkpoint(tmp_path / "vox-cpk.pth.tar")


def test_weights_of_another_architecture_name_the_config_they_fit() -> None:
    with pytest.raises(InputError, match=r"kp_detector\.\S+ has the shape .* where the config asks for"):
        load_networks(read_checkpoint(ORIGINAL), load_config("vox-256"))
    with pytest.raises(InputError, match="--config mini-256"):
        load_networks(read_checkpoint(bundled_checkpoint()), load_config("vox-256"))
    with pytest.raises(InputError, match="is missing"):
        load_networks(read_checkpoint(PARITY / "tiny_zero_order.pth.tar"), config_of("tiny_first_order"))
    with pytest.raises(InputError, match="has no place in it"):
        load_networks(read_checkpoint(ORIGINAL), config_of("tiny_zero_order"))
