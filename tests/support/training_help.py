"""Make a training small enough for tests: tiny networks, the sample in the package as video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from fomm_cli.config.reading import parse_config
from fomm_cli.config.schema import Config
from fomm_cli.media.image import write_image
from fomm_cli.media.resize import fit_frame
from fomm_cli.media.video.reader import open_clip
from fomm_cli.models.bundled import sample
from fomm_cli.training.perceptual import PerceptualNetwork

SIZE = 64

TINY: dict[str, Any] = {
    "model_params": {
        "common_params": {"num_kp": 4, "num_channels": 3, "estimate_jacobian": True},
        "kp_detector_params": {
            "temperature": 0.1, "block_expansion": 8, "max_features": 16, "num_blocks": 2, "scale_factor": 0.25,
        },
        "generator_params": {
            "block_expansion": 8, "max_features": 16, "num_down_blocks": 2, "num_bottleneck_blocks": 1,
            "estimate_occlusion_map": True,
            "dense_motion_params": {"block_expansion": 8, "max_features": 16, "num_blocks": 2, "scale_factor": 0.25},
        },
        "discriminator_params": {
            "scales": [1], "block_expansion": 4, "max_features": 16, "num_blocks": 2, "sn": True, "use_kp": True,
        },
    },
    "dataset_params": {"frame_shape": [SIZE, SIZE, 3], "in_memory": True},
    "train_params": {
        "num_epochs": 2, "num_repeats": 8, "epoch_milestones": [1], "batch_size": 4, "scales": [1, 0.5],
        "checkpoint_freq": 1, "loss_weights": {"perceptual": [10, 10]},
    },
}  # fmt: skip


def changed(data: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return a copy of a config with values at places such as ``train_params__batch_size``."""
    copy = {key: changed(value) if isinstance(value, dict) else value for key, value in data.items()}
    for place, value in values.items():
        *parents, key = place.split("__")
        section = copy
        for parent in parents:
            section = section.setdefault(parent, {})
        section[key] = value
    return copy


def config_of(**values: Any) -> Config:
    return parse_config(changed(TINY, **values), "test")


def write_training(folder: Path, **values: Any) -> Path:
    """Write a folder with clips, a perceptual network and a config that names them; returns the config."""
    write_perceptual(folder / "perceptual.safetensors")
    for place in ("train", "test"):
        for person in ("one", "two"):
            write_frames(folder / place / f"{person}_01", start=0 if person == "one" else 12)
    places = {
        "dataset_params__root_dir": str(folder),
        "train_params__perceptual": str(folder / "perceptual.safetensors"),
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(changed(TINY, **places, **values)))
    return path


def write_frames(folder: Path, *, start: int, count: int = 6) -> list[np.ndarray]:
    """Write frames of the sample's driving video as images in a folder."""
    folder.mkdir(parents=True)
    frames = sample_frames(start + 2 * count)[start::2]
    for index, frame in enumerate(frames):
        write_image(folder / f"{index:03d}.png", frame, {})
    return frames


def sample_frames(count: int) -> list[np.ndarray]:
    clip = open_clip(sample()[1], max_frames=count)
    return [fit_frame(frame.image, (SIZE, SIZE), "stretch") for frame in clip.frames()]


def write_perceptual(path: Path) -> None:
    """Write a real perceptual network of two blocks, with few channels and random weights."""
    random = torch.Generator().manual_seed(5)
    weights = {}
    for name, before, after in (("0.0", 3, 4), ("1.0", 4, 6)):
        weights[f"{name}.weight"] = torch.randn(after, before, 3, 3, generator=random) / (3 * before**0.5)
        weights[f"{name}.bias"] = torch.zeros(after)
    PerceptualNetwork(weights, "imagenet").save(path)
