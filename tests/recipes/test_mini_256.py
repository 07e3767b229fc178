"""The recipe of the bundled model, in miniature: a stranger's first run on a GPU must not end in a typing error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from conftest import REPOSITORY
from fomm_cli.models.checkpoint import read_checkpoint
from fomm_cli.training.perceptual import VGG16_LAYERS, PerceptualNetwork

RECIPE = REPOSITORY / "recipes" / "mini-256"


@pytest.mark.usefixtures("with_mediapipe", "one_thread")
def test_one_command_trains_measures_and_packs(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(RECIPE)
    data, work = tmp_path / "faces", tmp_path / "work"
    clips = sorted((shared / "faces" / "train").glob("*_01.mp4"), key=lambda clip: clip.stat().st_size)
    for part, file in (("train", clips[0]), ("test", clips[1]), ("stills", shared / "faces" / "stills" / "52.jpg")):
        (data / part).mkdir(parents=True)
        shutil.copy(file, data / part)
    _write_perceptual(data / "perceptual.safetensors")
    train_everything(data, work, minutes=0.05)
    first = torch.load(work / "round" / "state.pt", weights_only=True)
    assert first["step"] >= 1
    figures = json.loads((work / "figures.json").read_text())
    assert len(figures) == 3  # a copy, before, after
    for name, measured in figures.items():
        assert 0 < measured["L1"] < 0.2, name
    packed = read_checkpoint(work / "mini-256.safetensors")
    assert packed.config is not None
    assert packed.config.model_params.generator_params.padding == "border"
    train_everything(data, work, minutes=first["seconds"] / 60 / 0.4 + 0.05)  # windows take two fifths of it
    assert torch.load(work / "round" / "state.pt", weights_only=True)["step"] > first["step"]


def train_everything(data: Path, work: Path, *, minutes: float) -> None:
    from train_everything import main

    main([str(data), str(work), "--pairs", "1", "--minutes", str(minutes), "--people", "1"])


def _write_perceptual(path: Path) -> None:
    """A small network of the right shape with random weights."""
    widths, weights, before = (4, 4, 4, 4), {}, 3
    for block, (layers, width) in enumerate(zip(VGG16_LAYERS, widths, strict=False)):
        for layer in range(layers):
            weights[f"{block}.{layer}.weight"] = torch.randn(width, before, 3, 3) / 5
            weights[f"{block}.{layer}.bias"] = torch.zeros(width)
            before = width
    PerceptualNetwork(weights, "caffe").save(path, 4)
