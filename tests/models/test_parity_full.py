"""The full-size vox-256 structure against what the original computes with the same weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fomm_cli.animation.transfer import MotionTransfer
from fomm_cli.config.reading import load_config
from fomm_cli.engines.opening import open_engine
from fomm_cli.models.checkpoint import read_checkpoint
from fomm_cli.models.loading import LoadedModel
from fomm_cli.models.networks import load_networks
from support.parity_data import PARITY, assert_close, assert_same_points, recording


@pytest.mark.parametrize("align_corners", [True, False])
@torch.inference_mode()
def test_full_size_model_is_the_originals(full_checkpoint: Path, align_corners: bool) -> None:
    config = load_config("vox-256")
    networks = load_networks(read_checkpoint(full_checkpoint), config, align_corners=align_corners)
    networks.prepare_inference(torch.device("cpu"))
    recorded = recording("full_vox-256")
    inputs = np.load(PARITY / "inputs.npz")
    source = torch.from_numpy(inputs["source_256"].astype(np.float32)).permute(2, 0, 1)[None]
    driving = torch.from_numpy(inputs["driving_256"].astype(np.float32)).permute(0, 3, 1, 2)

    kp_source, kp_driving = networks.kp_detector(source), networks.kp_detector(driving)
    assert_same_points(kp_source, recorded.keypoints("kp_source"))
    assert_same_points(kp_driving[0:1], recorded.keypoints("kp_driving_initial"))
    assert_same_points(kp_driving[1:2], recorded.keypoints("kp_driving"))
    transfer = MotionTransfer.between(kp_source, kp_driving[0:1], relative=True, adapt_scale=True)
    transferred = transfer(kp_driving[1:2])
    assert_same_points(transferred, recorded.keypoints("kp_transferred"))
    encoded = networks.generator.encode(source)
    motion = networks.generator.motion(encoded, kp_source, transferred)
    assert_close(motion.occlusion_map, recorded[f"align_corners={align_corners}/occlusion_map"])
    prediction = recorded[f"align_corners={align_corners}/prediction"]
    assert_close(networks.generator.decode(encoded, motion), prediction)
    engine = open_engine("torch", "fp32", LoadedModel(networks, config, torch.device("cpu"), ""))
    assert_close(engine.encode(source, kp_source)(transferred).frames, prediction)
