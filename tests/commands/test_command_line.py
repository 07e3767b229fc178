"""The program as a process: start-up, signals, disk full, what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from safetensors import safe_open

from fomm_cli.models.bundled import sample
from support.interrupts import heed_interrupts
from support.media_helpers import describe
from support.parity_data import PARITY

MODEL = [f"--config={PARITY / 'tiny_first_order.yaml'}", f"--checkpoint={PARITY / 'tiny_first_order.pth.tar'}"]


def fomm(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fomm_cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, **options)


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, fomm_cli.cli as c; c.main(['--help'])"
    imported = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True).stderr
    names = {line.rsplit("|", 1)[-1].strip() for line in imported.splitlines()}
    assert "fomm_cli.cli" in names
    assert names.isdisjoint({"torch", "numpy", "scipy", "av", "PIL", "yaml", "pydantic", "tqdm", "skimage"})


def test_a_plain_animation_imports_only_what_it_needs(tmp_path: Path) -> None:
    """Every package costs each run of a short clip its time: scipy and scikit-image alone half a second."""
    code = (
        "import json, sys; from fomm_cli.cli import main; code = main(sys.argv[1:])\n"
        "print(json.dumps(sorted(name.partition('.')[0] for name in sys.modules))); sys.exit(code)"
    )
    image = tmp_path / "portrait.png"
    Image.new("RGB", (300, 260), "red").save(image)
    options = ["-s", image, "-d", sample()[1], "-o", tmp_path / "out.mp4", "--max_frames=1", "--crop=none", "--quiet"]
    command = [sys.executable, "-c", code, "animate", *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    unneeded = {
        "scipy", "skimage", "numba", "sklearn", "matplotlib", "pandas", "mediapipe", "onnx", "onnxruntime",
        "nncf", "imageio", "jinja2", "cryptography", "ray", "requests", "torchvision",
    }  # fmt: skip
    assert set(json.loads(done.stdout)) & unneeded == set()


@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads in /proc")
def test_products_of_numpy_take_no_threads_from_the_networks() -> None:
    code = """
import os
from fomm_cli.cli import main
main([])
import numpy as np
before = len(os.listdir("/proc/self/task"))
np.ones((600, 600)) @ np.ones((600, 600))
print(before, len(os.listdir("/proc/self/task")))
"""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == "1 1"


def test_every_option_has_a_help_text() -> None:
    shown = fomm("animate", "--help")
    assert shown.returncode == 0
    original = (
        "config checkpoint source_image driving_video result_video relative adapt_scale find_best_frame best_frame"
    )
    for name in [*original.split(), "audio", "cpu"]:
        assert f"--{name}" in shown.stdout


def test_version_and_no_command() -> None:
    assert fomm("--version").stdout.startswith("fomm ")
    alone = fomm()
    assert alone.returncode == 0
    assert alone.stdout == fomm("--help").stdout


def test_info_names_versions_and_devices() -> None:
    facts = json.loads(fomm("info", "--json").stdout)
    assert facts["torch"].startswith(tuple("0123456789"))
    assert "vox-256" in facts["configs"]
    assert facts["CUDA"]
    use, _, file = facts["terms of its weights"].partition(": ")
    assert use == "research and demonstration only"
    assert "Commercial use is not granted" in Path(file).read_text()


def test_convert_gives_a_file_that_needs_no_config(tmp_path: Path) -> None:
    small = tmp_path / "small.safetensors"
    done = fomm("convert", PARITY / "tiny_first_order.pth.tar", small, MODEL[0], "--half")
    assert done.returncode == 0, done.stderr
    with safe_open(small, framework="pt") as file:
        assert all(key.startswith(("generator.", "kp_detector.")) for key in file.keys())  # noqa: SIM118
    source, driving = sample()
    files = ["--source_image", source, "--driving_video", driving, "--result_video", tmp_path / "out.mp4"]
    animated = fomm("animate", "--checkpoint", small, *files, "--max_frames", 2, "--json", "--cpu")
    assert animated.returncode == 0, animated.stderr
    assert json.loads(animated.stdout)["frames"] == 2


def test_the_first_run_needs_nothing_and_names_the_published_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOMM_HOME", str(tmp_path / "home"))  # where the hint was not given today
    done = fomm("animate", "--max_frames", 2, "--crop", "none", "--result_video", tmp_path / "out.mp4")
    assert done.returncode == 0, done.stderr
    assert "small model in the package" in done.stderr
    assert "fomm download vox" in done.stderr
    assert "512x512" in describe(tmp_path / "out.mp4")


def test_convert_refuses_what_does_not_fit(tmp_path: Path) -> None:
    target = tmp_path / "small.safetensors"
    refused = fomm("convert", PARITY / "tiny_first_order.pth.tar", target, "--config", "vox-256")
    assert refused.returncode == 2
    assert "do not fit" in refused.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nothing(number: signal.Signals, code: int, tmp_path: Path) -> None:
    (tmp_path / "result.mp4").write_bytes(b"earlier")
    (tmp_path / "driving").mkdir()
    frame = (sample()[0]).read_bytes()
    for index in range(3000):  # far more than can be done before the signal
        (tmp_path / "driving" / f"{index}.png").write_bytes(frame) if index < 1 else os.link(
            tmp_path / "driving" / "0.png", tmp_path / "driving" / f"{index}.png"
        )
    files = ["--source_image", sample()[0], "--driving_video", tmp_path / "driving"]
    command = [sys.executable, "-m", "fomm_cli", "animate", *MODEL, *files, "--result_video", tmp_path / "result.mp4"]
    process = subprocess.Popen(
        [*map(str, command), "--cpu", "--quiet", "--crop", "none", "--engine", "torch"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts(),
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".result*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.glob(".result*")), "the run never began to write"
    time.sleep(0.3)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert out == ""
    assert len(err.splitlines()) == (1 if number == signal.SIGINT else 0)
    assert (tmp_path / "result.mp4").read_bytes() == b"earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["driving", "result.mp4"]


@pytest.fixture
def full_disk(tmp_path: Path) -> Path:
    """A file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("no right to mount a small tmpfs here")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="needs tmpfs")
@pytest.mark.parametrize("name", ["result.mp4", "result.gif", "result.webm", "frames"])
def test_a_full_disk_is_named_and_leaves_nothing(name: str, full_disk: Path) -> None:
    (full_disk / "result.mp4").write_bytes(b"earlier")
    files = ["--source_image", sample()[0], "--driving_video", sample()[1], "--result_video", full_disk / name]
    failed = fomm("animate", *MODEL, *files, "--cpu", "--crf", 0, "--quiet")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert len(failed.stderr.splitlines()) == 1
    assert str(full_disk / name) in failed.stderr
    assert "No space left" in failed.stderr
    assert [path.name for path in full_disk.iterdir()] == ["result.mp4"]
    assert (full_disk / "result.mp4").read_bytes() == b"earlier"
