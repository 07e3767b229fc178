"""Choose the engine and precision for `--engine auto`: the fastest that is installed and loses nothing visible.

PyTorch in float32, which gives the original's numbers, is the rule. Long clips have the alternatives timed for about a
second each; what was measured is kept in the cache folder, and used for clips of any length with the same model.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import platform
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fomm_cli.engines.engine import Decoder
from fomm_cli.engines.opening import open_engine
from fomm_cli.engines.openvino import GOOD_PSNR, is_calibrated
from fomm_cli.errors import FommError
from fomm_cli.extras import EXTRAS, is_installed
from fomm_cli.files.atomic import replacing
from fomm_cli.files.cache import cache_folder
from fomm_cli.keypoints import KeyPoints
from fomm_cli.media.difference import psnr
from fomm_cli.media.first_frame import read_first_frame
from fomm_cli.media.resize import fit_frame, fit_source
from fomm_cli.media.video.reader import open_clip
from fomm_cli.models.bundled import sample
from fomm_cli.models.loading import LoadedModel
from fomm_cli.runtime.precision import has_bf16, has_int8
from fomm_cli.runtime.threads import on_shared_threads
from fomm_cli.version import __version__

logger = logging.getLogger(__name__)

Variant = tuple[str, str]
"""An engine and a precision."""

EXACT: Variant = ("torch", "fp32")
_INT8: Variant = ("openvino", "int8")
_LEAST_TIMED = 250  # frames; for fewer, timing takes longer than it saves
_LEAST_CALIBRATED = 60.0  # seconds in float32; calibrating int8 takes half as long for the published networks
_SECONDS = 1.0  # to time each variant for
_COMPARED = 3  # frames
_LEAST_GAIN = 1.1  # by which other numbers than the original's have to be faster
_PACKAGES = ("torch", *EXTRAS["openvino"])


@dataclass(frozen=True)
class Speed:
    """The measurements of a variant.

    Attributes:
        load: seconds until the first frame.
        fps: frames per second from then on, without detecting keypoints.
        psnr: of frames against those of float32, in dB.
    """

    load: float
    fps: float
    psnr: float

    def seconds(self, frames: int | None) -> float:
        """Return how long a clip takes; of one without a known end, a frame."""
        return 1 / self.fps if frames is None else self.load + frames / self.fps


_UNABLE = Speed(load=0.0, fps=1e-9, psnr=0.0)


def choose_fastest(model: LoadedModel, frames: int | None) -> Variant:
    """Choose an engine and a precision for `--engine auto`.

    Args:
        model: what is to be run; its networks are as they were loaded, and stay so.
        frames: length of the clip; None where it is unknown, as with a camera: then nothing is timed.
    """
    if model.device.type != "cpu":
        return "torch", "auto"
    path = _kept_at(model)
    known, is_long = _read(path), (frames or 0) >= _LEAST_TIMED
    if not known and not is_long:
        return EXACT
    able = _variants(model)
    if is_long and set(able) - set(known):
        known |= _time_all([EXACT, *able], model)
        _write(path, known)
    exact = known.get(EXACT)
    chosen = _fastest({variant: known[variant] for variant in able if variant in known}, exact, frames)
    can_calibrate = has_int8() and is_installed("openvino")
    if _INT8 not in able and exact and (frames or 0) / exact.fps > _LEAST_CALIBRATED and can_calibrate:
        chosen = _INT8
    _say(chosen, able, is_long)
    return chosen


def _variants(model: LoadedModel) -> list[Variant]:
    """Return what may be faster here than PyTorch in float32. ONNX Runtime never was."""
    low = ["bf16"] if has_bf16("cpu") else []
    found = [("torch", precision) for precision in low]
    if is_installed("openvino"):
        found += [("openvino", precision) for precision in ("fp32", *low)]
        if is_calibrated(model):
            found.append(_INT8)
    return found


def _fastest(others: dict[Variant, Speed], exact: Speed | None, frames: int | None) -> Variant:
    """Return the variant that takes least time, float32 in PyTorch unless another gains enough."""
    good = {variant: speed for variant, speed in others.items() if speed.psnr >= GOOD_PSNR}
    if exact is None or not good:
        return EXACT
    best = min(good, key=lambda variant: good[variant].seconds(frames))
    return best if good[best].seconds(frames) * _LEAST_GAIN < exact.seconds(frames) else EXACT


def _say(chosen: Variant, able: list[Variant], is_long: bool) -> None:
    """Say in a line what was chosen, where it is not float32 in PyTorch, and what would be faster still."""
    more = ""
    if chosen != _INT8 and _INT8 not in able and has_int8() and is_long:
        what = "add --precision int8" if is_installed("openvino") else f"pip install {' '.join(EXTRAS['openvino'])}"
        more = f"; int8 may be up to 1.9 times as fast: {what}"
    if chosen != EXACT or more:
        logger.info("computing with %s in %s (--precision fp32 gives the original's numbers)%s", *chosen, more)


def _time_all(variants: list[Variant], model: LoadedModel) -> dict[Variant, Speed]:
    logger.info("timing %d ways to compute this model, once on this machine", len(variants))
    measured: dict[Variant, Speed] = {}
    exact: list[Tensor] = []
    for variant in variants:
        try:
            speed, frames = _timed(variant, copy.deepcopy(model))
        except Exception as error:  # noqa: BLE001 - an extra that is broken here must not end the run
            logger.debug("%s in %s does not run here: %s", *variant, error)
            measured[variant] = _UNABLE
            continue
        exact = exact or frames
        errors = [float((a - b).square().mean()) for a, b in zip(frames, exact, strict=True)]
        measured[variant] = Speed(*speed, psnr(float(np.mean(errors))))
    return measured


@torch.inference_mode()
def _timed(variant: Variant, model: LoadedModel) -> tuple[tuple[float, float], list[Tensor]]:
    """Return seconds until the first frame and frames per second of the package's sample, and its first frames."""
    model.networks.prepare_inference(model.device)
    source, driving = _sample_for(model)
    keypoints, poses = model.networks.kp_detector(source), [model.networks.kp_detector(frame) for frame in driving]
    began = time.perf_counter()
    engine = open_engine(*variant, model)
    decoder = engine.encode(source, keypoints)
    decoder(poses[0])
    load = time.perf_counter() - began
    frames = [decoder(pose).frames for pose in poses]
    return (load, _rate(decoder, poses, engine.workers)), frames


def _rate(decoder: Decoder, poses: list[KeyPoints], workers: int) -> float:
    """Return frames per second, several at a time as in an animation."""

    def decode(pose: KeyPoints) -> None:
        with torch.inference_mode():
            decoder(pose)

    began = time.perf_counter()

    def endless() -> Iterator[KeyPoints]:
        while time.perf_counter() - began < _SECONDS:
            yield from poses

    count = sum(1 for _ in on_shared_threads(decode, endless(), workers))
    return count / (time.perf_counter() - began)


def _sample_for(model: LoadedModel) -> tuple[Tensor, list[Tensor]]:
    """Return the package's source and some driving frames as tensors (1, 3, height, width)."""
    height, width = model.config.dataset_params.frame_shape[:2]
    image, video = sample()
    source = fit_source(read_first_frame(image), (height, width), "stretch")
    frames = [fit_frame(frame.image, (height, width), "stretch") for frame in open_clip(video, max_frames=20).frames()]
    some = [frame.astype(np.float32) / 255 for frame in frames[:: len(frames) // _COMPARED][:_COMPARED]]
    source_tensor, *driving = (torch.from_numpy(array).permute(2, 0, 1)[None].contiguous() for array in (source, *some))
    return source_tensor, driving


def _kept_at(model: LoadedModel) -> Path:
    """Return the file for what is measured with this model, processor and versions."""
    parts = [model.sha256, model.config.model_dump_json(), _processor(), __version__, *map(_version, _PACKAGES)]
    return cache_folder() / "engines" / f"speeds-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}.json"


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("model name", "flags", "Features")):
                return f"{line} {has_int8()} {has_bf16('cpu')}"
    return f"{platform.machine()} {platform.processor()}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _read(path: Path) -> dict[Variant, Speed]:
    """Return what was measured; nothing where it cannot be read, so that it is measured again."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        speeds = {tuple(name.split()): Speed(**values) for name, values in kept.items()}
        checked = {(engine, precision): speed for (engine, precision), speed in speeds.items() if speed.fps > 0}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return checked


def _write(path: Path, speeds: dict[Variant, Speed]) -> None:
    with suppress(OSError, FommError):  # measured again the next time
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_text(
                json.dumps({" ".join(variant): asdict(speed) for variant, speed in speeds.items()}), "utf-8"
            )
