"""Each network against what the original computes, tensor by tensor."""

from __future__ import annotations

import json

import pytest
import torch

from fomm_cli.animation.transfer import MotionTransfer
from fomm_cli.config.reading import load_config
from fomm_cli.models.networks import Networks
from support.parity_data import PARITY, TINY, assert_close, assert_same_points, networks_of, recording

pytestmark = pytest.mark.parity

MODES = {
    "absolute": {"relative": False, "adapt_scale": False},
    "absolute_adapt": {"relative": False, "adapt_scale": True},
    "relative": {"relative": True, "adapt_scale": False},
    "relative_adapt": {"relative": True, "adapt_scale": True},
}


@pytest.mark.parametrize("name", TINY)
@torch.inference_mode()
def test_key_points_are_the_originals(name: str) -> None:
    recorded, detector = recording(name), networks_of(name).kp_detector
    for picture in ("source", "driving"):
        assert_same_points(detector(recorded[picture]), recorded.keypoints(f"kp_{picture}"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", TINY)
@torch.inference_mode()
def test_transferred_key_points_are_the_originals(name: str, mode: str) -> None:
    recorded = recording(name)
    driving = recorded.keypoints("kp_driving")
    transfer = MotionTransfer.between(recorded.keypoints("kp_source"), driving[0:1], **MODES[mode])
    transferred = transfer(driving)  # all frames in one batch
    for t in range(4):
        assert_same_points(transferred[t : t + 1], recorded.keypoints(f"kp_transferred/{mode}/{t}"))


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("mode", ["absolute", "relative_adapt"])
@pytest.mark.parametrize("name", TINY)
@torch.inference_mode()
def test_generator_is_the_originals(name: str, mode: str, align_corners: bool) -> None:
    recorded = recording(name)
    generator = networks_of(name, align_corners=align_corners).generator
    source = generator.encode(recorded["source"])
    motion = generator.motion(source, recorded.keypoints("kp_source"), recorded.keypoints(f"kp_transferred/{mode}/2"))
    found = {
        "mask": motion.mask,
        "deformation": motion.deformation,
        "occlusion_map": motion.occlusion_map,
        "deformed": generator.warp(recorded["source"], motion),
        "prediction": generator.decode(source, motion),
    }
    compared = 0
    for key, tensor in found.items():
        place = f"align_corners={align_corners}/{mode}/2/{key}"
        if place in recorded:
            assert_close(tensor, recorded[place])
            compared += 1
    assert compared >= 3


@pytest.mark.parametrize("name", ["vox-256", "vox-adv-256", "mgif-256"])
def test_tensors_are_the_published_ones(name: str) -> None:
    published = json.loads((PARITY / f"state_dict_{name}.json").read_text())
    with torch.device("meta"):
        parts = Networks.build(load_config(name)).parts()
    for part, network in parts.items():
        ours = {
            key: [list(tensor.shape), str(tensor.dtype).removeprefix("torch.")]
            for key, tensor in network.state_dict().items()
        }
        assert ours == published[part]
