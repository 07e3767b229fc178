"""What a config can add to the published generator: border padding, hints, guided up-sampling."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from fomm_cli.config.schema import Config
from fomm_cli.keypoints import KeyPoints
from fomm_cli.models.coordinates import double_by_guide, warp
from fomm_cli.models.dense_motion import DenseMotion
from fomm_cli.models.networks import Networks
from support.parity_data import config_of


def changed(**generator: object) -> Config:
    config = config_of("tiny_first_order")
    motion = {"guided_upsampling": generator.pop("guided_upsampling", False)}
    params = config.model_params.generator_params
    params = params.model_copy(
        update={"skips": True, **generator, "dense_motion_params": params.dense_motion_params.model_copy(update=motion)}
    )
    return config.model_copy(
        update={"model_params": config.model_params.model_copy(update={"generator_params": params})}
    )


def test_a_flow_out_of_the_picture_samples_its_border() -> None:
    picture = torch.rand(1, 3, 8, 8)
    flow = torch.full((1, 8, 8, 2), 3.0)  # far beyond the lower right corner
    border = warp(picture, flow, align_corners=True, padding="border")
    torch.testing.assert_close(border, picture[:, :, -1:, -1:].expand_as(border))
    assert (warp(picture, flow, align_corners=True) == 0).all()


def test_a_silent_guide_interpolates() -> None:
    values = torch.rand(2, 3, 16, 12)
    doubled = double_by_guide(values, torch.zeros(2, 36, 16, 12))
    smooth = F.interpolate(values, size=(32, 24), mode="bilinear", align_corners=True)
    assert (doubled - smooth).abs().mean() < 0.05  # the least share of a neighbour smooths a little
    ramp = torch.linspace(0, 1, 16).view(1, 1, 16, 1).expand(1, 1, 16, 12)
    ramp_doubled = double_by_guide(ramp, torch.zeros(1, 36, 16, 12))[0, 0, :, 6]
    torch.testing.assert_close(ramp_doubled[2:-2], torch.linspace(0, 1, 32)[2:-2], atol=0.01, rtol=0)


def test_a_guide_makes_an_edge_sharp() -> None:
    values = torch.zeros(1, 1, 8, 8)
    values[..., 4:, :] = 1
    scores = torch.zeros(1, 9, 4, 8, 8)
    scores[:, 4] = 30.0  # every new pixel takes over the old one that it lies in
    doubled = double_by_guide(values, scores.flatten(1, 2))
    torch.testing.assert_close(doubled, F.interpolate(values, scale_factor=2))


def test_an_untrained_guide_changes_hardly_anything() -> None:
    torch.manual_seed(0)
    plain, guided = (Networks.build(changed(guided_upsampling=on)).generator.eval() for on in (False, True))
    guided.load_state_dict({**guided.state_dict(), **plain.state_dict()})
    source = torch.rand(1, 3, 64, 64)
    still = KeyPoints(torch.rand(1, 10, 2), torch.eye(2).expand(1, 10, 2, 2))
    moved = KeyPoints(still.value + 0.1, still.jacobian)
    with torch.no_grad():
        motions = [network.motion(network.encode(source), still, moved) for network in (plain, guided)]
    height, width = motions[0].deformation.shape[1:3]
    assert motions[1].deformation.shape[1:3] == (2 * height, 2 * width)
    smooth = F.interpolate(
        motions[0].deformation.permute(0, 3, 1, 2), size=(2 * height, 2 * width), mode="bilinear", align_corners=True
    )
    assert (motions[1].deformation.permute(0, 3, 1, 2) - smooth).abs().mean() < 0.02


def test_hints_reach_what_the_source_does_not_show() -> None:
    torch.manual_seed(0)
    generator = Networks.build(changed(hints=4)).generator.eval()
    encoded = generator.encode(torch.rand(1, 3, 64, 64))
    found = generator.motion(encoded, *2 * [KeyPoints(torch.zeros(1, 10, 2), torch.eye(2).expand(1, 10, 2, 2))])
    hidden = torch.zeros(1, 1, *found.deformation.shape[1:3])

    def painted(hints: torch.Tensor) -> torch.Tensor:
        return generator.decode(encoded, DenseMotion(found.deformation, found.mask, hidden, hints))

    assert found.hints is not None
    one, other = found.hints, found.hints + torch.rand_like(found.hints)
    with torch.no_grad():
        torch.testing.assert_close(painted(one), painted(other))  # silent until they are trained
        for layer in generator.hint_layers:
            nn.init.normal_(layer.weight)
        assert (painted(one) - painted(other)).abs().max() > 1e-3
