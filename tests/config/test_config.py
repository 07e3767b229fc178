"""Config files: the bundled values, and what a wrong one is told."""

import copy
import datetime
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from fomm_cli.config import reading as config_module
from fomm_cli.config.reading import config_names, load_config, parse_config
from fomm_cli.config.schema import Config, DatasetParams
from fomm_cli.errors import InputError

PARITY = Path(__file__).parents[1] / "parity"
BUNDLED = [
    "bair-256",
    "fashion-256",
    "mgif-256",
    "mini-256",
    "nemo-256",
    "taichi-256",
    "taichi-adv-256",
    "vox-256",
    "vox-adv-256",
]
ORIGINAL = [name for name in BUNDLED if name != "mini-256"]
MODEL = {
    "common_params": {"num_kp": 5, "num_channels": 3},
    "kp_detector_params": {"temperature": 0.1, "block_expansion": 4, "max_features": 16, "num_blocks": 3, "pad": 3},
    "generator_params": {
        "block_expansion": 4,
        "max_features": 16,
        "num_down_blocks": 2,
        "num_bottleneck_blocks": 1,
        "dense_motion_params": {"block_expansion": 4, "max_features": 16, "num_blocks": 3},
    },
}


def changed(dotted, value):
    """The smallest config with one value replaced; ``None`` as value deletes the key."""
    data = {"model_params": copy.deepcopy(MODEL)}
    *parents, key = dotted.split(".")
    section = data
    for parent in parents:
        section = section.setdefault(parent, {})
    section[key] = value
    if value is None:
        del section[key]
    return data


def message(data, origin="some.yaml"):
    with pytest.raises(InputError) as caught:
        parse_config(data, origin)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(origin)
    assert caught.value.exit_code == 2
    return text


def file_message(path):
    with pytest.raises(InputError) as caught:
        load_config(str(path))
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    return text


# --- the bundled configs


def test_names():
    assert config_names() == BUNDLED


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_config_loads_with_and_without_ending_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config(name) == load_config(f"{name}.yaml")


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_config_survives_json(name):
    config = load_config(name)
    assert parse_config(json.loads(config.model_dump_json()), "metadata") == config


@pytest.mark.parametrize("name", ["vox-256", "vox-adv-256", "mgif-256"])
def test_networks_have_the_recorded_shapes(name):
    recorded = json.loads((PARITY / f"state_dict_{name}.json").read_text())
    shapes = {f"{part}.{key}": shape for part, tensors in recorded.items() for key, (shape, _) in tensors.items()}
    model = load_config(name).model_params
    common, detector, generator = model.common_params, model.kp_detector_params, model.generator_params
    motion, discriminator = generator.dense_motion_params, model.discriminator_params

    def blocks(prefix):
        depth = len(prefix.split("."))
        return len({key.split(".")[depth] for key in shapes if key.startswith(f"{prefix}.")})

    def widest(prefix):
        return max(shape[0] for key, shape in shapes.items() if key.startswith(prefix) and len(shape) == 4)

    assert shapes["kp_detector.kp.weight"][0] == common.num_kp
    jacobian_maps = 1 if detector.single_jacobian_map else common.num_kp
    assert common.estimate_jacobian
    assert shapes["kp_detector.jacobian.weight"][0] == 4 * jacobian_maps

    for network, prefix, inputs in (
        (detector, "kp_detector.predictor", common.num_channels),
        (motion, "generator.dense_motion_network.hourglass", (common.num_kp + 1) * (common.num_channels + 1)),
    ):
        assert blocks(f"{prefix}.encoder.down_blocks") == blocks(f"{prefix}.decoder.up_blocks") == network.num_blocks
        assert shapes[f"{prefix}.encoder.down_blocks.0.conv.weight"][:2] == [2 * network.block_expansion, inputs]
        assert widest(f"{prefix}.encoder") == network.max_features
    for network, prefix in ((detector, "kp_detector"), (motion, "generator.dense_motion_network")):
        # the anti-alias kernel's size tells the scale: sigma = (1 / scale - 1) / 2, 4 sigma on each side
        assert shapes[f"{prefix}.down.weight"][-1] == 2 * round(4 * (1 / network.scale_factor - 1) / 2) + 1

    assert shapes["generator.first.conv.weight"][0] == generator.block_expansion
    assert blocks("generator.down_blocks") == generator.num_down_blocks
    assert blocks("generator.bottleneck") == generator.num_bottleneck_blocks
    assert ("generator.dense_motion_network.occlusion.weight" in shapes) == generator.estimate_occlusion_map

    assert discriminator.scales == (1,)
    assert type(discriminator.scales[0]) is int  # its text is a part of the tensors' names
    assert blocks("discriminator.discs.1.down_blocks") == discriminator.num_blocks
    assert ("discriminator.discs.1.conv.weight_orig" in shapes) == discriminator.sn
    weight = "weight_orig" if discriminator.sn else "weight"
    inputs = common.num_channels + common.num_kp * discriminator.use_kp
    assert shapes[f"discriminator.discs.1.down_blocks.0.conv.{weight}"][:2] == [
        2 * discriminator.block_expansion,
        inputs,
    ]
    assert widest("discriminator") == discriminator.max_features


@pytest.mark.parametrize("name", [name for name in ORIGINAL if name != "mgif-256"])
def test_published_networks_differ_from_vox_in_the_discriminator_only(name):
    ours, vox = load_config(name).model_params, load_config("vox-256").model_params
    assert ours.model_copy(update={"discriminator_params": None}) == vox.model_copy(
        update={"discriminator_params": None}
    )


def test_mgif_shares_one_jacobian_map():
    ours, vox = load_config("mgif-256").model_params, load_config("vox-256").model_params
    assert ours.kp_detector_params == vox.kp_detector_params.model_copy(update={"single_jacobian_map": True})
    assert ours.generator_params == vox.generator_params


@pytest.mark.parametrize(
    ("name", "epochs", "repeats", "milestones", "batch", "frequency", "lr_kp", "gan", "sn", "use_kp"),
    [
        ("vox-256", 100, 75, (60, 90), 40, 50, 2e-4, 0, True, False),
        ("vox-adv-256", 150, 75, (), 36, 50, 2e-4, 1, False, True),
        ("taichi-256", 100, 150, (60, 90), 30, 50, 2e-4, 0, False, False),
        ("taichi-adv-256", 150, 150, (), 27, 50, 0, 1, False, True),
        ("fashion-256", 100, 50, (60, 90), 27, 50, 2e-4, 1, False, False),
        ("mgif-256", 100, 25, (60, 90), 36, 100, 2e-4, 1, True, False),
        ("nemo-256", 100, 8, (60, 90), 36, 50, 2e-4, 1, True, False),
        ("bair-256", 20, 1, (12, 18), 36, 10, 2e-4, 1, True, False),
    ],
)
def test_training_values(name, epochs, repeats, milestones, batch, frequency, lr_kp, gan, sn, use_kp):
    config = load_config(name)
    train, weights = config.train_params, config.train_params.loss_weights
    assert (train.num_epochs, train.num_repeats, train.epoch_milestones) == (epochs, repeats, milestones)
    assert (train.batch_size, train.checkpoint_freq) == (batch, frequency)
    assert (train.lr_generator, train.lr_discriminator, train.lr_kp_detector) == (2e-4, 2e-4, lr_kp)
    assert train.scales == (1, 0.5, 0.25, 0.125)
    transform = train.transform_params
    assert (transform.sigma_affine, transform.sigma_tps, transform.points_tps) == (0.05, 0.005, 5)
    assert (weights.generator_gan, weights.discriminator_gan) == (gan, 1)
    assert (weights.feature_matching, weights.perceptual) == ((10,) * 4, (10,) * 5)
    assert (weights.equivariance_value, weights.equivariance_jacobian) == (10, 10)
    discriminator = config.model_params.discriminator_params
    assert (discriminator.sn, discriminator.use_kp, discriminator.kp_variance) == (sn, use_kp, 0.01)


JITTER = {"brightness": 0.1, "contrast": 0.1, "saturation": 0.1, "hue": 0.1}


@pytest.mark.parametrize(
    ("name", "root", "by_identity", "pairs", "jitter"),
    [
        ("vox-256", "data/vox-png", True, "data/vox256.csv", JITTER),
        ("vox-adv-256", "data/vox-png", True, "data/vox256.csv", JITTER),
        ("taichi-256", "data/taichi-png", True, "data/taichi256.csv", JITTER),
        ("taichi-adv-256", "data/taichi-png", True, "data/taichi256.csv", JITTER),
        ("fashion-256", "data/fashion-png", False, None, {"hue": 0.1}),
        ("mgif-256", "data/moving-gif", False, None, {"hue": 0.5}),
        ("nemo-256", "data/nemo-png", False, None, None),
        ("bair-256", "data/bair", False, None, JITTER),
    ],
)
def test_dataset_values(name, root, by_identity, pairs, jitter):
    data = load_config(name).dataset_params
    assert (data.root_dir, data.id_sampling, data.pairs_list) == (root, by_identity, pairs)
    assert data.frame_shape == (256, 256, 3)
    augmentation = data.augmentation_params
    assert augmentation.flip_param.model_dump() == {"horizontal_flip": True, "time_flip": True}
    found = augmentation.jitter_param and augmentation.jitter_param.model_dump(exclude_defaults=True)
    assert found == jitter
    assert augmentation.rotation_param is None
    if name == "mgif-256":
        assert augmentation.resize_param.ratio == (0.9, 1.1)
        assert augmentation.crop_param.size == (256, 256)
    else:
        assert augmentation.resize_param is augmentation.crop_param is None


@pytest.mark.parametrize("name", ORIGINAL)
def test_values_common_to_all(name):
    config = load_config(name)
    assert config.reconstruction_params.model_dump() == {"num_videos": 1000, "format": ".mp4"}
    assert config.animate_params.model_dump() == {
        "num_pairs": 50,
        "format": ".mp4",
        "normalization_params": {
            "adapt_movement_scale": False,
            "use_relative_movement": True,
            "use_relative_jacobian": True,
        },
    }
    assert config.visualizer_params.model_dump() == {"kp_size": 5, "draw_border": True, "colormap": "gist_rainbow"}


@pytest.mark.parametrize("name", ORIGINAL)
def test_the_original_code_finds_every_key_it_needs(name):
    """It passes each network's section, and its data set's, as keyword arguments, so an unknown key would break it."""
    data = yaml.safe_load(load_text(name))
    assert set(data) == set(Config.model_fields)
    assert "frame_shape" in data["dataset_params"]
    model = data["model_params"]
    assert set(model["common_params"]) == {"num_kp", "num_channels", "estimate_jacobian"}
    hourglass = {"block_expansion", "max_features", "num_blocks", "scale_factor"}
    assert set(model["kp_detector_params"]) - {"single_jacobian_map"} == hourglass | {"temperature"}
    assert set(model["generator_params"]["dense_motion_params"]) == hourglass
    assert isinstance(data["train_params"]["lr_generator"], float)


def load_text(name):
    return (Path(__file__).parents[2] / "config" / f"{name}.yaml").read_text(encoding="utf-8")


# --- finding a config


def test_file_wins_over_bundled_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("vox-256.yaml").write_text(yaml.safe_dump(changed("model_params.common_params.num_kp", 7)))
    assert load_config("vox-256.yaml").model_params.common_params.num_kp == 7
    assert load_config("vox-256").model_params.common_params.num_kp == 10


def test_folder_does_not_hide_a_bundled_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("vox-256").mkdir()
    assert load_config("vox-256") == load_config("vox-256.yaml")


def test_installed_package_brings_its_configs(tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"model_params": MODEL}))
    monkeypatch.setattr(config_module, "_FOLDERS", (tmp_path, tmp_path / "missing"))
    assert config_names() == ["mine"]
    assert load_config("mine").model_params.common_params.num_kp == 5


def test_import_stays_light():
    heavy = "{'torch', 'numpy', 'scipy', 'av', 'imageio'}"
    code = f"import sys, fomm_cli.config.schema; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


# --- what loads


@pytest.mark.parametrize("path", sorted(PARITY.glob("tiny_*.yaml")), ids=lambda path: path.stem)
def test_configs_without_training_sections_load(path):
    written = yaml.safe_load(path.read_text())["model_params"]
    config = load_config(str(path))
    model = config.model_params
    assert model.common_params.model_dump(exclude_unset=True) == written["common_params"]
    assert model.kp_detector_params.model_dump(exclude_unset=True) == written["kp_detector_params"]
    assert model.generator_params.model_dump(exclude_unset=True) == written["generator_params"]
    assert config.train_params.num_epochs == 100
    assert parse_config(json.loads(config.model_dump_json()), "metadata") == config


def test_model_defaults_are_those_of_the_original_constructors():
    model = parse_config({"model_params": {**MODEL, "discriminator_params": {"scales": [1, 0.5]}}}, "x").model_params
    assert model.common_params.estimate_jacobian is False
    detector = parse_config(changed("model_params.kp_detector_params.pad", 3), "x").model_params.kp_detector_params
    assert (detector.scale_factor, detector.single_jacobian_map) == (1, False)
    assert load_config("vox-256").model_params.kp_detector_params.pad == 0
    assert model.generator_params.estimate_occlusion_map is False
    motion = model.generator_params.dense_motion_params
    assert (motion.scale_factor, motion.kp_variance) == (1, 0.01)
    assert model.discriminator_params.model_dump() == {
        "scales": (1, 0.5),
        "block_expansion": 64,
        "num_blocks": 4,
        "max_features": 512,
        "sn": False,
        "use_kp": False,
        "kp_variance": 0.01,
    }


def test_image_shape_is_an_alias_of_frame_shape():
    assert DatasetParams().frame_shape == (256, 256, 3)
    data = changed("dataset_params.image_shape", [64, 128, 3])
    assert parse_config(data, "x").dataset_params.frame_shape == (64, 128, 3)


def test_one_number_stands_for_a_symmetric_range_or_a_square():
    data = changed("dataset_params.augmentation_params.rotation_param.degrees", 10)
    assert parse_config(data, "x").dataset_params.augmentation_params.rotation_param.degrees == (-10, 10)
    data = changed("dataset_params.augmentation_params.crop_param.size", 64)
    assert parse_config(data, "x").dataset_params.augmentation_params.crop_param.size == (64, 64)


def test_config_is_frozen_and_hashable():
    config = load_config("vox-256")
    assert hash(config) == hash(load_config("vox-256"))
    with pytest.raises(ValidationError, match="frozen"):
        config.model_params.common_params.num_kp = 3


@pytest.mark.parametrize("side", [8, 24, 256, 1024])
def test_sides_that_every_network_halves_evenly_fit(side):
    assert parse_config(changed("dataset_params.frame_shape", [side, side, 3]), "x")


# --- what is refused

KP, MOTION = "model_params.kp_detector_params", "model_params.generator_params.dense_motion_params"


@pytest.mark.parametrize(
    ("key", "value", "found", "allowed"),
    [
        ("model_params.common_params.num_kp", "10", '"10"', "a whole number. Write 10 without quotes"),
        ("model_params.common_params.num_kp", "1e1", '"1e1"', "Write it without an exponent"),
        ("model_params.common_params.num_kp", True, "true", "a whole number"),
        ("model_params.common_params.num_kp", 10.0, "10.0", "a whole number"),
        ("model_params.common_params.num_kp", 0, "0", "greater than 0"),
        ("model_params.common_params.num_kp", math.inf, "Infinity", "a whole number"),
        ("model_params.common_params.num_kp", datetime.date(2024, 1, 2), '"2024-01-02"', "a whole number"),
        ("model_params.common_params.num_channels", 1, "1", "3: images are RGB"),
        ("model_params.common_params.estimate_jacobian", 1, "1", "true or false"),
        ("model_params.common_params.estimate_jacobian", "true", '"true"', "true or false"),
        (f"{KP}.temperature", 0, "0", "greater than 0"),
        (f"{KP}.temperature", math.nan, "NaN", "a finite number"),
        (f"{KP}.temperature", "many " * 99, '"many many', "a number"),
        (f"{KP}.scale_factor", 0, "0", "greater than or equal to 0.001"),
        (f"{KP}.scale_factor", 2, "2", "less than or equal to 1"),
        (f"{KP}.num_blocks", 0, "0", "greater than or equal to 1"),
        (f"{KP}.num_blocks", 99, "99", "less than or equal to 16"),
        (f"{KP}.max_features", 3, "3", "at least block_expansion (4)"),
        (f"{KP}.pad", -1, "-1", "greater than or equal to 0"),
        (f"{MOTION}.kp_variance", 0, "0", "greater than 0"),
        ("model_params.generator_params.max_features", 2, "2", "at least block_expansion (4)"),
        ("model_params.generator_params.num_down_blocks", -1, "-1", "greater than or equal to 0"),
        ("model_params.discriminator_params", {"scales": []}, "[]", "a list of at least 1"),
        ("train_params.lr_generator", "2e-4", '"2e-4"', "a number. Write 2.0e-4: YAML takes 2e-4 for text"),
        ("train_params.lr_generator", "2.5e4", '"2.5e4"', "Write 2.5e+4"),
        ("train_params.scales", [1, 2], "2", "a number above 0 and at most 1"),
        ("train_params.scales", [True], "true", "a number above 0 and at most 1"),
        ("train_params.scales", 1, "1", "a list"),
        ("train_params", 3, "3", "a section with the keys num_epochs, num_repeats"),
        ("train_params.transform_params.sigma_affine", -1, "-1", "greater than or equal to 0"),
        ("animate_params.format", "mp4", '"mp4"', "a file ending such as .mp4"),
        ("visualizer_params.colormap", 3, "3", "text"),
        ("dataset_params.root_dir", 3, "3", "text"),
        ("dataset_params.frame_shape", [256, 256, 1], "1", "3: images are RGB"),
        ("dataset_params.frame_shape", [256, 256, 3, 3], "[256, 256, 3, 3]", "a list of at most 3"),
        ("dataset_params.image_shape", "256", '"256"', "a list"),
        ("dataset_params.augmentation_params.jitter_param.hue", 0.6, "0.6", "less than or equal to 0.5"),
        ("dataset_params.augmentation_params.resize_param.ratio", [2, 1], "[2, 1]", "a range from low to high"),
        ("dataset_params.augmentation_params.rotation_param.degrees", [2, 1], "[2, 1]", "a range from low to high"),
        ("dataset_params.augmentation_params.rotation_param.degrees", "9", '"9"', "a list"),
        ("dataset_params.augmentation_params.crop_param.size", [64], "[64]", "is missing"),
    ],
)
def test_wrong_value(key, value, found, allowed):
    text = message(changed(key, value))
    assert key in text
    assert allowed in text
    assert "missing" in allowed or f" is {found}" in text
    assert len(text) < 400


def test_empty_section():
    data = {"model_params": MODEL, "train_params": None}
    assert "train_params is empty, but must be a section with the keys num_epochs" in message(data)


@pytest.mark.parametrize(
    "key",
    [
        "model_params",
        "model_params.common_params",
        "model_params.common_params.num_kp",
        "model_params.common_params.num_channels",
        KP,
        f"{KP}.temperature",
        MOTION,
        f"{MOTION}.block_expansion",
        "model_params.generator_params.num_bottleneck_blocks",
    ],
)
def test_missing_key(key):
    assert f"{key} is missing" in message(changed(key, None))


def test_missing_list_item():
    text = message(changed("dataset_params.frame_shape", [256, 256]))
    assert "dataset_params.frame_shape[2] is missing" in text


@pytest.mark.parametrize(
    ("key", "meant", "allowed"),
    [
        ("model_parms", "model_params", "Allowed there: animate_params, dataset_params, model_params"),
        (
            "model_params.common_params.num_kps",
            "num_kp",
            "Allowed there: estimate_jacobian, head_kernel, num_channels, num_kp",
        ),
        (f"{KP}.temprature", "temperature", "Allowed there: block_expansion, max_features, num_blocks"),
        (f"{MOTION}.kp_var", None, "kp_variance"),
        ("dataset_params.augmentation_params.flip_param.flip", None, "Allowed there: horizontal_flip, time_flip"),
        ("model_params.discriminator_params.spectral", None, "Allowed there: block_expansion, kp_variance"),
    ],
)
def test_unknown_key(key, meant, allowed):
    text = message(changed(key, 1))
    assert f"unknown key '{key}'" in text
    assert allowed in text
    assert meant is None or f"Did you mean {meant}?" in text


def test_misspelt_key_is_named_before_what_it_left_missing():
    data = changed("model_params.common_params.num_kp", None)
    data["model_params"]["common_params"]["num_kps"] = 5
    text = message(data)
    assert "unknown key 'model_params.common_params.num_kps' (and 1 more problem)." in text


def test_both_names_of_the_frame_shape():
    data = changed("dataset_params.frame_shape", [256, 256, 3])
    data["dataset_params"]["image_shape"] = [256, 256, 3]
    assert "unknown key 'dataset_params.image_shape'" in message(data)


def test_further_problems_are_counted():
    data = changed("model_params.common_params", {"num_kp": 0, "num_channels": 4, "estimate_jacobian": 2})
    assert "num_kp is 0, but must be greater than 0 (and 2 more problems)" in message(data)


@pytest.mark.parametrize(
    ("key", "value", "need"),
    [
        (f"{KP}.num_blocks", 9, f"{KP} needs sides that are multiples of 512"),
        (f"{MOTION}.num_blocks", 9, f"{MOTION} needs sides that are multiples of 512"),
        ("model_params.generator_params.num_down_blocks", 9, "generator_params needs sides that are multiples of 512"),
        (f"{KP}.scale_factor", 0.015625, f"{KP} needs sides that are multiples of 512"),
        (f"{MOTION}.scale_factor", 0.3, f"{MOTION} needs sides that are multiples of 24"),
    ],
)
def test_networks_that_the_frame_does_not_fit(key, value, need):
    text = message(changed(key, value))
    assert "dataset_params.frame_shape is [256, 256, 3]" in text
    assert need in text


@pytest.mark.parametrize("shape", [[250, 256, 3], [256, 250, 3]])
def test_frame_that_does_not_fit(shape):
    text = message(changed("dataset_params.image_shape", shape))
    assert f"{KP} needs sides that are multiples of 8" in text
    assert str(shape) in text


def test_frame_too_small_for_the_heat_maps():
    data = changed(f"{KP}.pad", 0)
    data["model_params"]["kp_detector_params"] |= {"num_blocks": 1, "scale_factor": 0.25}
    data["dataset_params"] = {"frame_shape": [24, 24, 3]}
    assert f"{KP} needs sides of at least 32" in message(data)
    data["dataset_params"] = {"frame_shape": [32, 32, 3]}
    assert parse_config(data, "x")


@pytest.mark.parametrize(
    ("data", "found"), [(None, "it is empty"), ([1], "found [1]"), ("text", "found 'text'"), (3, "found 3")]
)
def test_not_a_mapping(data, found):
    text = message(data)
    assert "must hold the sections model_params, dataset_params" in text
    assert found in text


def test_structures_that_json_cannot_hold():
    endless = {}
    endless["model_params"] = endless
    assert "holds values that no config can have" in message(endless)
    assert "holds values that no config can have" in message({(1, 2): 3})


# --- files that are no configs


def test_no_such_config():
    text = file_message("vox-265")
    assert "Did you mean vox-256?" in text
    assert "Give the path of a .yaml file or one of: bair-256, " in text


def test_folder(tmp_path):
    assert "it is a folder" in file_message(tmp_path)


def test_name_too_long_for_the_file_system():
    assert "cannot read the config" in file_message("a" * 300)


def test_long_unknown_key_is_cut():
    assert len(message({**changed(KP + ".pad", 3), "words " * 99: 1})) < 300


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "must hold the sections"),
        (b"# nothing but a comment\n", "it is empty"),
        (b"- 1\n", "must hold the sections"),
        (b"just words", "found 'just words'"),
        (b"model_params:\n  a: [1, 2\n", "line 3 is not valid YAML"),
        (b"model_params:\n\ta: 1\n", "line 2 is not valid YAML"),
        (b"model_params: {}\ntrain_params: {}\nmodel_params: {}\n", "line 3 is not valid YAML: the key 'model_params'"),
        (b"a: !!python/object/apply:os.getcwd []\n", "line 1 is not valid YAML"),
        (b"a: 1\n---\nb: 2\n", "line 2 is not valid YAML"),
        (b"a: 2024-13-01\n", "is not valid YAML"),
        (b"a: !!map [1]\n", "is not valid YAML"),
        (b"[" * 5000, "is not valid YAML"),
        (b"a: &a [*a]\n", "aliases stand for more than"),
        (b"? [1]\n: 2\n", "line 1 is not valid YAML"),
        (b"caf\xe9: 1\n", "is not a plain text file in UTF-8"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M", "is not a plain text file in UTF-8"),
        (b"PK\x03\x04\x00\x00\x08\x08", "is not a plain text file in UTF-8"),
    ],
)
def test_file_that_is_no_config(tmp_path, content, problem):
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    assert problem in file_message(path)


def test_windows_text_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + load_text("vox-256").replace("\n", "\r\n").encode())
    assert load_config(str(path)) == load_config("vox-256")


def test_message_about_a_value_names_the_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(load_text("vox-256").replace("lr_generator: 2.0e-4", "lr_generator: 2e-4"))
    text = file_message(path)
    assert 'train_params.lr_generator is "2e-4", but must be a number. Write 2.0e-4' in text
