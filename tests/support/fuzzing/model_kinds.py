"""Make hostile checkpoints, configs, motion templates, trainings to resume, and caches."""

from __future__ import annotations

import json
import random
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from support.fuzzing.common import (
    MODEL,
    MOTION,
    PARITY,
    PLAIN,
    PORTRAIT,
    Originals,
    moving,
    write_portrait,
    write_video,
)
from support.fuzzing.mutations import mutated_bytes, mutated_structure, odd_values, special_file
from support.fuzzing.trial import Trial
from support.training_help import write_perceptual

CONFIG, CHECKPOINT = Path(MODEL[1]), Path(MODEL[3])


def _animate(what: str, *arguments: str, driving: str = PORTRAIT, may_change: tuple[str, ...] = ()) -> Trial:
    result = "result.png" if driving == PORTRAIT else "result.mp4"
    files = ("-s", PORTRAIT, "-d", driving, "-o", result)
    return Trial(["animate", *files, *PLAIN, *arguments], what, (result,), may_change)


class Templates:
    """Motion templates with other arrays, other kinds of numbers, and damaged archives."""

    name = "templates"
    weight = 80

    def prepare(self, originals: Path) -> list[Trial]:
        """Extract a template by the command line in the first trial; the second one uses it."""
        self._folder = originals
        write_portrait(originals / PORTRAIT)
        write_video(originals / MOTION, moving())
        extract = ["motion", "extract", *MODEL, "--cpu", "--threads", "1", "--crop", "none"]
        return [
            Trial([*extract, "-d", MOTION, "-o", "motion.npz"], "", ("motion.npz",)),
            _animate("", *MODEL, driving="motion.npz"),
        ]

    def trial(self, dice: random.Random, folder: Path) -> Trial:
        """Change an array of the template, or its bytes."""
        originals, target = Originals(self._folder), folder / "motion.npz"
        originals.copy(PORTRAIT, folder)
        if dice.random() < 0.3:
            _, what = originals.mutate(dice, "motion.npz", folder)
        else:
            with np.load(self._folder / "motion.npz") as file:
                arrays = dict(file.items())
            what = _change_array(dice, arrays)
            np.savez_compressed(target, **arrays)
            if dice.random() < 0.2:
                what += ", " + _rezipped(dice, target)
        return _animate(what, *MODEL, driving="motion.npz")


def _change_array(dice: random.Random, arrays: dict[str, np.ndarray]) -> str:
    name = dice.choice(sorted(arrays))
    array = arrays[name]
    big = (2**62, -(2**62), 10**18, 1, 0, -1)
    changes: dict[str, Callable[[], np.ndarray]] = {
        "of integers": lambda: np.full(array.shape, dice.choice(big), np.int64),
        "of NaN": lambda: np.full(array.shape, np.nan, np.float32),
        "of infinity": lambda: np.full(array.shape, np.inf, np.float32),
        "of 1e38": lambda: np.full(array.shape, 1e38, np.float32),
        "without elements": lambda: np.zeros((*array.shape[:1], 0, *array.shape[2:]), array.dtype),
        "a number": lambda: np.array(dice.choice((0, 1, -1, 2**62, 2**63, 0.5))),
        "a text": lambda: np.array(dice.choice(("", "x" * 100_000, "\x1b[31m", "\u202e"))),
        "of bytes": lambda: np.array([b"x" * 10]),
        "of times": lambda: np.zeros(array.shape, "datetime64[s]"),
        "complex": lambda: np.zeros(array.shape, np.complex64),
        "a record": lambda: np.zeros(3, [("a", "i4"), ("b", "f8")]),
        "float64": lambda: np.asarray(array, np.float64) if array.dtype.kind in "fiub" else array,
        "with another axis": lambda: array[None],
        "in the order of Fortran": lambda: np.asfortranarray(array),
        "big-endian": lambda: array.astype(array.dtype.newbyteorder(">")),
        "with one odd element": lambda: _with_one(dice, array, dice.choice(big)),
    }
    if dice.random() < 0.1:
        del arrays[name]
        return f"{name} is missing"
    if dice.random() < 0.12:
        count = 4_000_000
        arrays["times"] = np.stack([np.arange(count), *[np.ones(count)] * 3], axis=1).astype(np.int64)
        arrays["value"] = np.zeros((count, 0, 2), np.float32)
        return "four million frames without keypoints"
    what, change = dice.choice(sorted(changes.items()))
    arrays[name] = change()
    return f"{name} is {what}"


def _with_one(dice: random.Random, array: np.ndarray, value: int) -> np.ndarray:
    copy = array.copy()
    if copy.size and copy.dtype.kind in "fi":
        copy.reshape(-1)[dice.randrange(copy.size)] = value
    return copy


def _rezipped(dice: random.Random, path: Path) -> str:
    """Damage one member of a zip archive, whose checksums then still hold, or the archive's directory."""
    with zipfile.ZipFile(path) as archive:
        members = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    name = dice.choice(sorted(members))
    members[name], what = mutated_bytes(dice, members[name])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return f"{name}: {what}"


def hostile_tensor(dice: random.Random, tensor: torch.Tensor) -> torch.Tensor | Any:
    """Return a tensor of another kind, shape or memory in the place of a valid one, or no tensor at all."""
    shape = tuple(tensor.shape)
    kinds = (
        torch.int8, torch.int64, torch.bool, torch.float16, torch.bfloat16, torch.float64, torch.complex64,
        torch.float8_e4m3fn, torch.uint16, torch.uint64,
    )  # fmt: skip
    changes: dict[str, Callable[[], Any]] = {
        "of NaN": lambda: torch.full(shape, torch.nan),
        "of infinity": lambda: torch.full(shape, torch.inf),
        "of 1e38": lambda: torch.full(shape, 1e38),
        "of a huge shape": lambda: torch.zeros(1).expand(1 << 15, 1 << 15),
        "of a huge shape of its rank": lambda: torch.zeros(1).expand(*(1 << 30 // len(shape),) * len(shape)),
        "of an impossible shape": lambda: torch.zeros(1).expand(1 << 40, 1 << 20),
        "expanded": lambda: torch.zeros((1,) * len(shape)).expand(shape),
        "of another type": lambda: torch.zeros(shape).to(dice.choice(kinds)),
        "of another type and shape": lambda: torch.zeros(3, 5).to(dice.choice(kinds)),
        "sparse": lambda: torch.zeros(shape).to_sparse(),
        "sparse and huge": lambda: torch.sparse_coo_tensor(
            torch.zeros(2, 1, dtype=torch.long), torch.ones(1), (1 << 20,) * 2
        ),
        "csr": lambda: torch.zeros(4, 4).to_sparse_csr(),
        "quantised": lambda: torch.quantize_per_tensor(torch.zeros(shape), 0.1, 0, torch.qint8),
        "meta": lambda: torch.zeros(shape, device="meta"),
        "conjugated": lambda: torch.zeros(shape, dtype=torch.complex64).conj(),
        "negative": lambda: torch._neg_view(torch.zeros(shape)),
        "a parameter": lambda: torch.nn.Parameter(torch.zeros(shape)),
        "transposed": lambda: tensor.detach().transpose(0, -1) if tensor.ndim else tensor,
        "empty": lambda: torch.zeros(0),
        "a number": lambda: torch.tensor(1.0),
        "of another rank": lambda: torch.zeros(1, *shape),
    }
    if dice.random() < 0.25:
        return dice.choice(odd_values())
    what, change = dice.choice(sorted(changes.items()))
    made = change()
    made.what = f"a tensor {what}"
    return made


def _odd(dice: random.Random, value: Any) -> Any:
    return hostile_tensor(dice, value) if isinstance(value, torch.Tensor) else dice.choice(odd_values())


class Checkpoints:
    """Checkpoints of both formats with other tensors, keys, metadata and bytes."""

    name = "checkpoints"
    weight = 160

    def prepare(self, originals: Path) -> list[Trial]:
        """Write the tiny checkpoint in each format."""
        self._originals = Originals(originals)
        write_portrait(originals / PORTRAIT)
        self._weights = torch.load(CHECKPOINT, weights_only=True)
        torch.save(self._weights, originals / "zip.pth.tar")
        torch.save(self._weights, originals / "legacy.pth.tar", _use_new_zipfile_serialization=False)
        convert = ["convert", "zip.pth.tar", "small.safetensors", "--config", str(CONFIG)]
        return [
            Trial(convert, "", ("small.safetensors",)),
            *(self._used(name, "") for name in ("zip.pth.tar", "legacy.pth.tar", "small.safetensors")),
        ]

    def trial(self, dice: random.Random, folder: Path) -> Trial:
        """Change tensors, metadata or bytes."""
        self._originals.copy(PORTRAIT, folder)
        name = dice.choice(("zip.pth.tar", "legacy.pth.tar", "small.safetensors"))
        act = dice.random()
        if act < 0.25:
            name, what = self._originals.mutate(dice, name, folder)
        elif act < 0.35:
            self._originals.copy("zip.pth.tar", folder)
            name, what = "zip.pth.tar", _rezipped(dice, folder / "zip.pth.tar")
        elif act < 0.4:
            name, what = "bomb.pth.tar", _bomb(folder / "bomb.pth.tar")
        elif name.endswith(".safetensors"):
            what = _change_safetensors(dice, self._originals.folder / name, folder / name)
        else:
            data, what = mutated_structure(dice, dict(self._weights), _odd)
            what = _saved(data, folder / name, legacy=name.startswith("legacy")) + what
        if dice.random() < 0.25:
            arguments = ["convert", name, "made.safetensors", "--config", str(CONFIG)]
            return Trial(arguments, what, ("made.safetensors",))
        return self._used(name, what)

    def _used(self, name: str, what: str) -> Trial:
        config = [] if name.endswith(".safetensors") else ["--config", str(CONFIG)]
        return _animate(what, *config, "--checkpoint", name)


def _saved(data: Any, path: Path, *, legacy: bool = False) -> str:
    """Save what can be saved; a checkpoint of nothing where torch refuses."""
    try:
        torch.save(data, path, _use_new_zipfile_serialization=not legacy)
    except Exception:  # noqa: BLE001 - not every odd value can be pickled by torch
        torch.save({}, path)
        return "(could not be saved, so it is empty) "
    return ""


def _bomb(path: Path) -> str:
    """Write a small archive whose pickle unpacks to 2 GB of zeros."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    checksum, block = 0, bytes(1 << 24)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/version", b"3\n")
        with archive.open(zipfile.ZipInfo("archive/data.pkl"), "w", force_zip64=True) as member:
            member._compressor, member._zinfo.compress_type = packer, zipfile.ZIP_DEFLATED  # type: ignore[attr-defined]
            for _ in range(128):
                member.write(block)
    del checksum
    return "its pickle unpacks to 2 GB"


def _change_safetensors(dice: random.Random, original: Path, target: Path) -> str:
    """Change the head: a shape, an offset, a type, or the metadata with the config."""
    data = original.read_bytes()
    length = int.from_bytes(data[:8], "little")
    head, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    if dice.random() < 0.6:
        metadata = head["__metadata__"]
        config, what = mutated_structure(dice, json.loads(metadata["config"]), _huge)
        texts = {
            "changed": json.dumps(config), "deep": "[" * 100_000, "digits": "9" * 5000, "cut": metadata["config"][:100],
            "doubled": '{"model_params": {}, "model_params": {}}', "nothing": "",
        }  # fmt: skip
        kind = dice.choice(("changed",) * 6 + tuple(texts))
        metadata["config"] = texts[kind]
        if dice.random() < 0.2:
            metadata["steps"] = dice.choice(("9" * 5000, "-1", "x", "\x1b[31m", "1e9", ""))
            what += f", steps {metadata['steps'][:10]!r}"
        what = f"config in the metadata {kind}: {what}" if kind == "changed" else f"config in the metadata {kind}"
    else:
        head, what = mutated_structure(dice, head, _huge)
    text = json.dumps(head).encode()
    target.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return what


def _huge(dice: random.Random, value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and dice.random() < 0.6:
        return dice.choice((0, -1, 2, 1000, 10**5, 10**7, 10**9, 2**63, value + 1))
    return dice.choice(odd_values())


class Configs:
    """Configs with other values, of absurd sizes, deep, or with references that grow."""

    name = "configs"
    weight = 80

    def prepare(self, originals: Path) -> list[Trial]:
        """Keep the config of the tiny model."""
        self._originals = Originals(originals)
        write_portrait(originals / PORTRAIT)
        shutil.copy(CONFIG, originals / "model.yaml")
        self._config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
        return [_animate("", "--config", "model.yaml", "--checkpoint", str(CHECKPOINT))]

    def trial(self, dice: random.Random, folder: Path) -> Trial:
        """Change a value, the text, or all of it."""
        self._originals.copy(PORTRAIT, folder)
        target, act = folder / "model.yaml", dice.random()
        if act < 0.55:
            config, what = mutated_structure(dice, self._config, _huge)
            target.write_text(yaml.safe_dump(config, allow_unicode=False), encoding="utf-8")
        elif act < 0.8:
            what = hostile_yaml(dice, target, CONFIG.read_text(encoding="utf-8"))
        else:
            _, what = self._originals.mutate(dice, "model.yaml", folder)
        if dice.random() < 0.2:
            return Trial(["train", "--config", "model.yaml", "--log_dir", "log", "--cpu"], what, ("log?",))
        return _animate(what, "--config", "model.yaml", "--checkpoint", str(CHECKPOINT))


def hostile_yaml(dice: random.Random, path: Path, sound: str) -> str:
    """Write YAML that grows, nests or is of another kind; returns what it is."""
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefghijk", "bcdefghijkl", strict=True)
    )
    texts = {
        "a bomb of references": bomb + "model_params: *l\n",
        "a bomb in a key that is known": bomb + "model_params: {common_params: {num_kp: *l}}\n",
        "a bomb of merged keys": sound + "\nx: &x {a: 1}\ny: &y {<<: [*x, *x]}\n",
        "nested deeply": "[" * 50_000,
        "nested deeply with keys": "{a: " * 3_000 + "1" + "}" * 3_000,
        "a reference to itself": "&a [*a]\n",
        "with a reference to itself": sound + "\nextra: &a {b: *a}\n",
        "a tag that runs code": sound + "\nextra: !!python/object/apply:os.system ['true']\n",
        "with a date": sound.replace("num_kp: 10", "num_kp: 2001-01-01"),
        "with an impossible date": sound.replace("num_kp: 10", "num_kp: 2001-99-99"),
        "with binary data": sound.replace("num_kp: 10", "num_kp: !!binary '////'"),
        "with a set": sound.replace("num_kp: 10", "num_kp: !!set {a, b}"),
        "with a number of 5000 digits": sound.replace("num_kp: 10", "num_kp: " + "9" * 5000),
        "with a number of base 60": sound.replace("num_kp: 10", "num_kp: 1:" + "59:" * 500 + "0"),
        "with a key that is a list": sound + "\n? [1, 2]\n: 3\n",
        "of two documents": sound + "\n---\n" + sound,
        "with control characters": sound.replace("data/none", '"\\x1b[31m\\a"'),
        "with keys of control characters": sound + '\n"\\x1b[31m\\u202e": 1\n',
        "nothing": "\n",
        "a number": "1\n",
        "a list": "- 1\n",
        "tabs": "\tmodel_params:\n",
        "of the wrong encoding": "\udcff",
        "UTF-16": "utf-16",
        "a key of a megabyte": f"{'k' * 1_000_000}: 1\n",
        "a million keys": "".join(f"k{number}: 1\n" for number in range(20_000)),
    }
    what = dice.choice(sorted(texts))
    if texts[what] == "utf-16":
        path.write_bytes(sound.encode("utf-16"))
    else:
        path.write_bytes(texts[what].encode("utf-8", errors="surrogateescape"))
    return what


_TRAINING = {
    "dataset_params": {"root_dir": "data", "frame_shape": [64, 64, 3], "in_memory": True},
    "train_params": {
        "num_epochs": 2, "num_repeats": 2, "epoch_milestones": [1], "batch_size": 2, "scales": [1],
        "checkpoint_freq": 1,
        "perceptual": "perceptual.safetensors",
        "loss_weights": {"perceptual": [10, 10], "generator_gan": 1, "feature_matching": [1, 1]},
    },
}  # fmt: skip


class Trainings:
    """Trainings to resume whose last checkpoint was changed."""

    name = "trainings"
    weight = 66

    def prepare(self, originals: Path) -> list[Trial]:
        """Make a training of one epoch by the command line in the first trial, which the second one resumes."""
        self._folder = originals
        from PIL import Image

        for place in ("train", "test"):
            clip = originals / "data" / place / "one"
            clip.mkdir(parents=True)
            for index, frame in enumerate(moving(3)):
                Image.fromarray(frame).save(clip / f"{index}.png")
        write_perceptual(originals / "perceptual.safetensors")
        config = yaml.safe_load((PARITY / "tiny_first_order.yaml").read_text(encoding="utf-8")) | _TRAINING
        (originals / "training.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        begin = ["train", "--config", "training.yaml", "--log_dir", "log", "--cpu", "--max_minutes", "0.0001"]
        return [Trial(begin, "", ("log",)), self._resumed("")]

    def trial(self, dice: random.Random, folder: Path) -> Trial:
        """Change the state of the optimizers, the log, the weights, the config or the bytes."""
        shutil.copytree(self._folder, folder, dirs_exist_ok=True)
        last, act = folder / "log" / "last.pth.tar", dice.random()
        if act < 0.15:
            data, what = mutated_bytes(dice, last.read_bytes())
            last.write_bytes(data)
        elif act < 0.25:
            what = _rezipped(dice, last)
        elif act < 0.3:
            last.unlink()
            what = special_file(dice, last)
        elif act < 0.35:
            what = hostile_yaml(dice, folder / "log" / "config.yaml", (folder / "log" / "config.yaml").read_text())
        else:
            state = torch.load(last, weights_only=True)
            part = dice.choice((None, "training", "training", "optimizer_generator", "optimizer_kp_detector", "config"))
            if part is None or part not in state:
                state, what = mutated_structure(dice, state, _odd)
            else:
                state[part], what = mutated_structure(dice, state[part], _odd)
            what = f"{_saved(state, last)}{part or ''} {what}"
        return self._resumed(what)

    def _resumed(self, what: str) -> Trial:
        arguments = ["train", "--log_dir", "log", "--resume", "--cpu", "--max_minutes", "0.0001"]
        return Trial(arguments, what, (), ("log",))


class Caches:
    """Damaged caches: exported models, the models of the face detectors, keypoints of a batch."""

    name = "caches"
    weight = 15

    def prepare(self, originals: Path) -> list[Trial]:
        """Fill the cache by the command line in the first trial; the second one uses it."""
        self._folder = originals
        write_portrait(originals / PORTRAIT)
        return [self._used(""), self._used("")]

    def trial(self, dice: random.Random, folder: Path) -> Trial:
        """Damage a file of the cache, remove it, or put something else in its place."""
        shutil.copytree(self._folder, folder, dirs_exist_ok=True)
        files = sorted(path for path in (folder / "home").rglob("*") if path.is_file() and path.suffix != ".lock")
        victim, act = dice.choice(files), dice.random()
        if act < 0.6:
            data, what = mutated_bytes(dice, victim.read_bytes())
            victim.write_bytes(data)
        elif act < 0.8:
            victim.unlink()
            what = "removed"
        else:
            victim.unlink()
            what = special_file(dice, victim)
        return self._used(f"{victim.relative_to(folder)}: {what}")

    def _used(self, what: str) -> Trial:
        return _animate(what, *MODEL, "--engine", "onnxruntime")
