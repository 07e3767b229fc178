"""Every engine and precision against the float32 of PyTorch."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from fomm_cli import Animator
from fomm_cli.cli import main
from fomm_cli.config.schema import Config
from fomm_cli.engines.cpu_layers import (
    WIDE_CHANNELS,
    DoublingBlock,
    HeadConv2d,
    MatrixConv2d,
    SplitHeadConv2d,
    WinogradConv2d,
    lightened,
)
from fomm_cli.engines.engine import Decoder
from fomm_cli.engines.opening import open_engine
from fomm_cli.engines.store import is_whole
from fomm_cli.errors import InputError
from fomm_cli.files.hashing import sha256_of
from fomm_cli.models.layers import DownBlock, ResBlock, UpBlock, head
from fomm_cli.models.loading import LoadedModel
from fomm_cli.models.networks import Networks
from fomm_cli.runtime import precision as precision_module
from fomm_cli.runtime.precision import check_precision, choose_precision
from support.parity_data import PARITY, TINY, TOLERANCE, config_of, networks_of, recording

INPUTS = np.load(PARITY / "inputs.npz")
MODEL = [f"--config={PARITY / 'tiny_zero_order.yaml'}", f"--checkpoint={PARITY / 'tiny_zero_order.pth.tar'}"]

needs_onnx = pytest.mark.skipif(
    any(find_spec(package) is None for package in ("onnx", "onnxruntime", "onnxscript")),
    reason="pip install onnx onnxruntime onnxscript",
)
needs_openvino = pytest.mark.skipif(
    any(find_spec(package) is None for package in ("openvino", "nncf"))
    or os.environ.get("ONEDNN_MAX_CPU_ISA") == "SSE41",  # it still asks the processor itself, and then combines both
    reason="pip install openvino nncf, and no oneDNN that is held to SSE4.1",
)
pytestmark = pytest.mark.usefixtures("one_thread", "cache")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FOMM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def model_of(name: str, sha256: str = "") -> LoadedModel:
    recorded = recording(name)
    config = config_of(name)
    height, width = recorded["source"].shape[2:]
    params = config.dataset_params.model_copy(update={"frame_shape": (height, width, 3)})
    return LoadedModel(
        networks_of(name), config.model_copy(update={"dataset_params": params}), torch.device("cpu"), sha256
    )


def recorded_frames(name: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Which transferred keypoints the recorded predictions belong to."""
    for mode in ("absolute", "relative_adapt"):
        yield f"kp_transferred/{mode}/2", recording(name)[f"align_corners=True/{mode}/2/prediction"]


def psnr(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(-10 * torch.log10((one - other).square().mean()))


@torch.inference_mode()
def assert_parity(name: str, decode: Decoder) -> None:
    for prefix, prediction in recorded_frames(name):
        decoded, recorded = decode(recording(name).keypoints(prefix)), recording(name)
        torch.testing.assert_close(decoded.frames, prediction, rtol=0, atol=TOLERANCE)
        kind = f"align_corners=True/{prefix.split('/', 1)[1]}"
        for part, found in (("deformation", decoded.flow), ("occlusion_map", decoded.occlusion_map)):
            if f"{kind}/{part}" in recorded:
                torch.testing.assert_close(found, recorded[f"{kind}/{part}"], rtol=0, atol=TOLERANCE)


@torch.inference_mode()
def started(name: str, engine: str, precision: str = "fp32", sha256: str = "") -> Decoder:
    recorded = recording(name)
    opened = open_engine(engine, precision, model_of(name, sha256))
    points = recorded.keypoints("kp_source")
    if not opened.ready:
        opened.calibrate(recorded["source"], points, (recorded.keypoints("kp_driving")[t : t + 1] for t in range(4)))
    return opened.encode(recorded["source"], points)


@pytest.mark.parity
@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("engine", ["torch", "reference"])
def test_torch_in_float32_is_the_original(name: str, engine: str) -> None:
    assert_parity(name, started(name, engine))


@needs_onnx
@pytest.mark.parametrize("name", ["tiny_first_order"])
def test_onnxruntime_is_the_original(name: str) -> None:
    assert_parity(name, started(name, "onnxruntime"))


@needs_openvino
@pytest.mark.parametrize("name", TINY)
def test_openvino_in_float32_is_the_original(name: str) -> None:
    assert_parity(name, started(name, "openvino"))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("name", TINY)
@torch.inference_mode()
def test_half_precision_looks_the_same(name: str, precision: str) -> None:
    decode = started(name, "torch", precision)
    for prefix, prediction in recorded_frames(name):
        frame = decode(recording(name).keypoints(prefix)).frames
        assert frame.dtype == torch.float32
        assert not torch.equal(frame, prediction)
        assert psnr(frame, prediction) >= 40


@needs_openvino
@torch.inference_mode()
def test_int8_looks_the_same_and_is_kept(cache: Path) -> None:
    name = "tiny_single_jacobian"
    decode = started(name, "openvino", "int8", sha256="c0ffee")
    for prefix, prediction in recorded_frames(name):
        frame = decode(recording(name).keypoints(prefix)).frames
        assert psnr(frame, prediction) >= 35
        assert (frame - prediction).abs().max() > 1e-4
    assert len(list((cache / "engines").glob("openvino-int8-*/paint.xml"))) == 1
    kept = open_engine("openvino", "int8", model_of(name, "c0ffee"))
    assert kept.ready
    again = kept.encode(recording(name)["source"], recording(name).keypoints("kp_source"))
    assert torch.equal(again(recording(name).keypoints(prefix)).frames, frame)
    assert not open_engine("openvino", "int8", model_of(name, "other weights")).ready
    (folder,) = (path for path in (cache / "engines").glob("openvino-int8-*") if path.is_dir())
    (folder / "paint.xml").write_text("<net/>")  # as a full disk may leave it, sums of the half files included
    (folder / "sums.json").write_text(json.dumps({path.name: sha256_of(path) for path in folder.glob("[ep]*")}))
    assert is_whole(folder)
    assert not open_engine("openvino", "int8", model_of(name, "c0ffee")).ready  # so it is calibrated again


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param(("onnxruntime", "fp32", 1e-4), marks=needs_onnx),
        pytest.param(("openvino", "fp32", 1e-4), marks=needs_openvino),
        pytest.param(("openvino", "int8", 0.2), marks=needs_openvino),
        ("torch", "bf16", 0.05),
    ],
    ids=lambda engine: "-".join(map(str, engine[:2])),
)
@torch.inference_mode()
def test_models_with_skips(engine: tuple[str, str, float]) -> None:
    name, precision, tolerance = engine
    frames = []
    for each in (("torch", "fp32"), (name, precision)):
        model = with_skips()
        opened = open_engine(*each, model)
        source = torch.from_numpy(INPUTS["source_256"].astype(np.float32)).permute(2, 0, 1)[None]
        points = model.networks.kp_detector(source)
        moved = replace(points, value=points.value * 0.9 + 0.05)
        if not opened.ready:
            opened.calibrate(source, points, [points, moved])
        frames.append(opened.encode(source, points)(moved).frames)
    assert (frames[0] - frames[1]).abs().max() <= tolerance
    assert (frames[0] - frames[1]).square().mean() <= 1e-4  # 40 dB


def with_skips() -> LoadedModel:
    """An untrained model with everything that the small model has and the published ones have not."""
    config = config_of("tiny_first_order")
    params = config.model_params
    motion = params.generator_params.dense_motion_params.model_copy(update={"guided_upsampling": True})
    generator = params.generator_params.model_copy(
        update={"skips": True, "padding": "border", "hints": 4, "dense_motion_params": motion}
    )
    config = config.model_copy(update={"model_params": params.model_copy(update={"generator_params": generator})})
    torch.manual_seed(0)
    networks = Networks.build(config)
    networks.prepare_inference(torch.device("cpu"))
    return LoadedModel(networks, config, torch.device("cpu"), "")


@needs_onnx
@torch.inference_mode()
def test_export_writes_files_for_other_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import onnxruntime

    assert main(["export", "-o", str(tmp_path / "onnx"), *MODEL, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["max_difference"] < 1e-3
    sessions = {path.stem: onnxruntime.InferenceSession(path) for path in (tmp_path / "onnx").iterdir()}
    assert set(sessions) == {"kp_detector", "encoder", "generator"}
    for session in sessions.values():
        metadata = session.get_modelmeta().custom_metadata_map
        assert len(metadata["checkpoint_sha256"]) == 64
        assert Config.model_validate_json(metadata["config"]) == config_of("tiny_zero_order")

    source = INPUTS["source_256"].astype(np.float32).transpose(2, 0, 1)[None]
    driving = (INPUTS["driving"][:3] / np.float32(255)).transpose(0, 3, 1, 2)
    networks = networks_of("tiny_zero_order")
    points = []
    for pictures in (source, driving):
        points.append(networks.kp_detector(torch.from_numpy(pictures)))
        (found,) = sessions["kp_detector"].run(None, {"picture": pictures})
        torch.testing.assert_close(torch.from_numpy(found), points[-1].value, rtol=0, atol=TOLERANCE)
    features, thumbnail = sessions["encoder"].run(None, {"picture": source})
    given = {"source_value": points[0].value.numpy(), "driving_value": points[1].value.numpy()}
    found = sessions["generator"].run(None, {"features": features, "thumbnail": thumbnail, **given})
    encoded = networks.generator.encode(torch.from_numpy(source))
    motion = networks.generator.motion(encoded, *points)
    wanted = (networks.generator.decode(encoded, motion), motion.deformation)  # this model has no occlusion map
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(torch.from_numpy(one), other, rtol=0, atol=TOLERANCE)


@needs_onnx
def test_a_wrong_export_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fomm_cli.engines import onnx_export

    monkeypatch.setattr(onnx_export, "_save", lambda _network, path, _metadata: path.write_bytes(b"a network"))
    monkeypatch.setattr(onnx_export, "_difference", lambda _network, _path: 0.01)
    assert main(["export", "-o", str(tmp_path / "onnx"), *MODEL]) == 1
    assert list((tmp_path / "onnx").iterdir()) == []


@needs_openvino
def test_animate_by_openvino(tmp_path: Path) -> None:
    frames = {}
    for engine in ("torch", "openvino"):
        options = ["--engine", engine, "--precision", "fp32" if engine == "torch" else "int8", "--crop", "none"]
        assert main(["animate", *MODEL, "-o", str(tmp_path / engine), "--max_frames", "6", "--cpu", *options]) == 0
        paths = sorted((tmp_path / engine).iterdir())
        frames[engine] = torch.stack([torch.from_numpy(imread(path)) for path in paths]) / 255
    assert len(frames["openvino"]) == 6
    assert psnr(frames["openvino"], frames["torch"]) >= 35


def imread(path: Path) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(path))


@needs_openvino
def test_the_library_calibrates_on_the_first_frames() -> None:
    animator = Animator.load(
        PARITY / "tiny_zero_order.pth.tar",
        PARITY / "tiny_zero_order.yaml",
        device="cpu",
        engine="openvino",
        precision="int8",
    )
    frames = list(animator.animate(INPUTS["source"], iter(INPUTS["driving"])))
    assert len(frames) == 4


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--engine", "torch", "--precision", "int8"], "--engine openvino"),
        (["--engine", "onnxruntime", "--precision", "bf16"], "--precision fp32"),
        (["--engine", "openvino", "--precision", "fp16"], "int8"),
        (["--engine", "openvino", "--device", "cuda"], "--cpu"),
    ],
)
def test_what_does_not_go_together_is_said(
    options: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["animate", "-o", str(tmp_path / "out.mp4"), *options]) == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["animate", "--engine", "openvino"], "pip install openvino nncf"),
        (["animate", "--engine", "onnxruntime"], "pip install onnx onnxruntime onnxscript"),
        (["export"], "pip install onnx onnxruntime onnxscript"),
    ],
)
def test_a_missing_package_is_named(
    command: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("fomm_cli.extras.find_spec", lambda _name: None)
    assert main([*command, "-o", str(tmp_path / "out.mp4")]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("hardware", [True, False])
def test_auto_is_bf16_only_in_hardware(hardware: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision_module, "has_bf16", lambda _device: hardware)
    assert choose_precision("torch", "auto", "cuda") == ("bf16" if hardware else "fp32")
    assert choose_precision("openvino", "auto", "cpu") == ("bf16" if hardware else "fp32")
    monkeypatch.setattr(precision_module, "_has", lambda queries: hardware and "_is_amx_tile_supported" in queries)
    assert choose_precision("torch", "auto", "cpu") == ("bf16" if hardware else "fp32")
    assert choose_precision("onnxruntime", "auto", "cpu") == "fp32"
    assert choose_precision("reference", "auto", "cpu") == "fp32"
    assert choose_precision("torch", "fp32", "cpu") == "fp32"
    if hardware:
        assert choose_precision("openvino", "bf16", "cpu") == "bf16"
    else:
        with pytest.raises(InputError, match="does not compute in bf16"):
            choose_precision("openvino", "bf16", "cpu")
    check_precision("openvino", "int8")


def test_bf16_hardware_is_what_the_system_says() -> None:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        pytest.skip("no /proc/cpuinfo to compare with")
    flags = set(cpuinfo.read_text().split())
    assert precision_module.has_bf16("cpu") == bool(flags & {"avx512_bf16", "amx_bf16"})


def test_openvino_reports_nothing_home() -> None:
    if find_spec("openvino") is None:
        pytest.skip("pip install openvino")
    code = "from fomm_cli.engines.openvino import _openvino as o; o(); import sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in loaded if name.startswith("openvino_telemetry.")]


def test_bench_times_engines_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the processes of the other engines would take too long here
    monkeypatch.setattr("fomm_cli.evaluation.bench.is_installed", lambda _extra: False)
    file = tmp_path / "rows.json"
    options = ["--max_frames", "3", "--rounds", "2", "--threads", "1", "--cpu", "--quiet", "--json", str(file)]
    assert main(["bench", *MODEL, *options]) == 0
    rows = json.loads(file.read_text())
    keys = "engine precision device checkpoint fps_median fps_min fps_max ratio psnr_db max_abs peak_mb end_to_end"
    assert all(list(row) == keys.split() for row in rows)
    assert [row["end_to_end"] for row in rows] == sorted(row["end_to_end"] for row in rows)
    for row in rows:
        assert 0 < row["fps_min"] <= row["fps_median"] <= row["fps_max"]
        if row["engine"] == "reference":
            assert (row["ratio"], row["psnr_db"], row["max_abs"]) == (1, 100, 0)
        elif row["precision"] == "fp32":
            assert row["max_abs"] < 1e-4
        assert 100 < row["peak_mb"] < 3000 or sys.platform == "win32"
    assert {(row["engine"], row["precision"]) for row in rows} >= {("reference", "fp32"), ("torch", "fp32")}


@torch.inference_mode()
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("way", "kernel"), [(WinogradConv2d, 3), (MatrixConv2d, 3), (HeadConv2d, 7), (SplitHeadConv2d, 7)]
)
def test_other_ways_to_convolve(way: Callable[[torch.nn.Conv2d], torch.nn.Module], kernel: int, bias: bool) -> None:
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(WIDE_CHANNELS, WIDE_CHANNELS + 8, kernel, padding=kernel // 2, bias=bias)
    features = torch.randn(1, WIDE_CHANNELS, 8, 20)
    found = way(conv)(features)
    assert float((found - conv.double()(features.double())).abs().max()) < 1e-4


LIGHTENED = [  # a block, its input's height and width, and what computes it
    (ResBlock(WIDE_CHANNELS), 8, 20, WinogradConv2d),
    (DownBlock(512, 8), 4, 6, MatrixConv2d),
    (UpBlock(512, 8), 2, 3, MatrixConv2d),
    (UpBlock(WIDE_CHANNELS, 8), 8, 10, DoublingBlock),
    (head(16, 3, 7), 9, 12, HeadConv2d),
    (ResBlock(WIDE_CHANNELS), 6, 8, None),
    (ResBlock(8), 8, 8, None),
    (DownBlock(WIDE_CHANNELS, 8), 16, 16, None),
    (UpBlock(8, 8), 8, 10, None),
    (head(16, 3, 3), 8, 8, None),
    (torch.nn.Sequential(torch.nn.Conv2d(512, 8, 3, padding=1)), 8, 8, MatrixConv2d),
    (torch.nn.Sequential(torch.nn.Conv2d(512, 8, 3)), 8, 8, None),
    (torch.nn.Sequential(torch.nn.Conv2d(512, 8, 3, padding=1, stride=2)), 8, 8, None),
    (torch.nn.Identity(), 8, 8, None),
]


@torch.inference_mode()
@pytest.mark.parametrize(("block", "height", "width", "kind"), LIGHTENED)
def test_lightened_blocks_give_the_same(
    block: torch.nn.Module, height: int, width: int, kind: type[torch.nn.Module] | None
) -> None:
    torch.manual_seed(0)
    block = copy.deepcopy(block).eval()
    for norm in (layer for layer in block.modules() if isinstance(layer, torch.nn.BatchNorm2d)):
        norm.running_mean, norm.running_var = torch.randn(norm.num_features), torch.rand(norm.num_features) + 0.5
    channels = [layer.in_channels for layer in block.modules() if isinstance(layer, torch.nn.Conv2d)] or [8]
    features = torch.randn(1, channels[0], height, width)
    truth = copy.deepcopy(block).double()(features.double())
    given = 2 if isinstance(block, UpBlock) else 1
    found = lightened(block, given * height, given * width)
    ways = {type(layer) for layer in found.modules()} & {WinogradConv2d, MatrixConv2d, HeadConv2d, DoublingBlock}
    assert ways == ({kind} if kind else set())
    assert float((found(features) - truth).abs().max()) < 1e-4
