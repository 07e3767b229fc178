"""`fomm train`: train from a folder of videos to a checkpoint."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from fomm_cli.config.reading import load_config
from fomm_cli.config.schema import Config
from fomm_cli.errors import InputError, foreign_errors
from fomm_cli.files.atomic import make_folder, replacing
from fomm_cli.models.checkpoint import DISCRIMINATOR, Checkpoint, open_checkpoint, read_checkpoint
from fomm_cli.models.networks import Networks, load_networks
from fomm_cli.runtime.device import describe_device
from fomm_cli.runtime.signals import Stopped, stop_requests
from fomm_cli.runtime.threads import prefetch
from fomm_cli.training.dataset import PairDataset
from fomm_cli.training.discriminator import MultiScaleDiscriminator
from fomm_cli.training.distributed import Processes, joined_processes
from fomm_cli.training.log import TrainingLog
from fomm_cli.training.options import TrainJob
from fomm_cli.training.perceptual import load_perceptual
from fomm_cli.training.preview import training_grid
from fomm_cli.training.step import Step, Trainer

logger = logging.getLogger(__name__)

LAST = "last.pth.tar"
CONFIG = "config.yaml"
SAVE_EVERY = 600  # seconds; what a crash costs at most
_BATCHES_AHEAD = 3
_GRID_ROWS = 4
_FILTER = "down.weight"

State = dict[str, Any]
Perceptual = Callable[[str], nn.Module]


@dataclass(frozen=True)
class TrainResult:
    """The result of a training.

    Attributes:
        path: the checkpoint.
        steps: number of steps, those before a resumption included.
        epochs: number of epochs begun.
        finished: whether all epochs of the config are done.
        skipped: number of steps whose gradients were not finite.
        losses: averages over the last steps, by name.
        seconds: duration of this run.
        device: the device of the training.
    """

    path: Path
    steps: int
    epochs: int
    finished: bool
    skipped: int
    losses: dict[str, float]
    seconds: float
    device: str


def train(job: TrainJob, *, perceptual: Perceptual = load_perceptual) -> TrainResult:
    """Train a model, in every process that torchrun started.

    Args:
        job: the options.
        perceptual: loads the perceptual network of a `train_params.perceptual` value.

    Raises:
        FommError: the training cannot start or has diverged; `Stopped` after SIGINT and SIGTERM, when all is saved.
    """
    with joined_processes(job.device) as processes:
        return _Training(job, processes, perceptual).run()


class _Training:
    def __init__(self, job: TrainJob, processes: Processes, perceptual: Perceptual) -> None:
        self._began = time.monotonic()
        self._job, self._processes = job, processes
        state = _read_state(job.log_dir / LAST) if job.resume else None
        _check_is_free(job)
        self._config = config = _choose_config(job)
        _check_config(config, processes, job.data)
        train = config.train_params
        root = job.data or Path(config.dataset_params.root_dir or "")
        self._data = PairDataset(config.dataset_params, root / "train", batch_size=train.batch_size, seed=train.seed)
        self._steps_per_epoch = self._data.steps_per_epoch(train.num_repeats)
        self._total = train.num_epochs * self._steps_per_epoch
        network = perceptual(train.perceptual)
        self._trainer = _build_trainer(config, job.checkpoint, network, processes)
        self._step = 0
        if state is not None:
            with _damaged(job.log_dir / LAST):
                self._trainer.load_state(state)
            self._step = state["training"]["step"]
        with _damaged(job.log_dir / LAST):
            self._log = self._start_log(state)
        self._averages: dict[str, float] = {}
        self._samples = self._sample_pairs(root)
        self._saved = time.monotonic()

    def run(self) -> TrainResult:
        """Train until the end, the time limit or a signal."""
        logger.info(
            "training on %s: %d steps of %d pairs (%d an epoch), from step %d",
            *(describe_device(self._processes.device), self._total, self._config.train_params.batch_size),
            *(self._steps_per_epoch, self._step),
        )
        with closing(self._data), closing(self._log) if self._log else nullcontext(), stop_requests() as request:
            with closing(prefetch(self._batches(), depth=_BATCHES_AHEAD)) as batches:
                for pairs in batches:
                    self._train_on(pairs)
                    # every process has to stop after the same step
                    if self._processes.any(bool(request) or self._out_of_time()):
                        break
            finished = self._step >= self._total
            self._save()
        if request:
            raise Stopped(f"stopped after step {self._step}; all is saved", self._how_to_go_on(), request)
        if not finished:
            logger.info("the time limit was reached after step %d. %s", self._step, self._how_to_go_on())
        return TrainResult(
            path=self._job.log_dir / LAST,
            steps=self._step,
            epochs=-(-self._step // self._steps_per_epoch),
            finished=finished,
            skipped=self._trainer.skipped,
            losses=self._averages,
            seconds=time.monotonic() - self._began,
            device=describe_device(self._processes.device),
        )

    def _start_log(self, state: State | None) -> TrainingLog | None:
        """Write the config, and open the log; the first process alone has one."""
        if self._processes.rank:
            return None
        folder = self._job.log_dir
        make_folder(folder)
        text = yaml.safe_dump(self._config.model_dump(mode="json"), sort_keys=False)
        with replacing(folder / CONFIG) as part:
            part.write_text(text, encoding="utf-8")
        return TrainingLog(folder, self._step, state and state["training"]["log"])

    def _sample_pairs(self, root: Path) -> np.ndarray:
        """Load the same few pairs for every preview, uint8 (N, 2, H, W, 3); test data where there are any."""
        folder = root / "test" if (root / "test").is_dir() else root / "train"
        params = self._config.dataset_params.model_copy(update={"stills_params": None, "in_memory": False})
        with closing(PairDataset(params, folder, batch_size=_GRID_ROWS, seed=0)) as data:
            return data.load(0, range(_GRID_ROWS))

    def _slots(self) -> range:
        """Return the part of each batch that this process trains on; stills are spread over all processes."""
        return range(self._processes.rank, self._data.batch_size, self._processes.count)

    def _batches(self) -> Iterator[np.ndarray]:
        for step in range(self._step, self._total):
            yield self._data.load(step, self._slots())

    def _train_on(self, pairs: np.ndarray) -> None:
        epoch = self._step // self._steps_per_epoch
        clips = self._data.batch_size - self._data.stills
        stills = sum(slot >= clips for slot in self._slots())
        seed = (self._config.train_params.seed, self._step, self._processes.rank)
        result = self._trainer.step(pairs, stills, epoch=epoch, seed=seed)
        self._step += 1
        if self._log is not None:
            self._note(self._log, result, epoch)
        if self._step % (self._steps_per_epoch * self._config.train_params.checkpoint_freq) == 0:
            self._save(f"{epoch:08d}-checkpoint.pth.tar")
        elif time.monotonic() - self._saved > SAVE_EVERY:
            self._save()

    def _note(self, log: TrainingLog, result: Step, epoch: int) -> None:
        log.add(result.losses, self._data.batch_size, skipped=result.skipped)
        if self._step % self._job.log_every == 0 or self._step == self._total:
            rate = self._config.train_params.lr_generator * self._trainer.decay(epoch)
            self._averages = log.write(self._step, epoch, rate, self._trainer.skipped)
        log.tell(self._step, self._total)

    def _out_of_time(self) -> bool:
        limit = self._job.max_minutes
        return limit is not None and time.monotonic() - self._began > 60 * limit

    def _how_to_go_on(self) -> str:
        return f"Go on with: fomm train --log_dir {self._job.log_dir} --resume"

    def _save(self, name: str | None = None) -> None:
        """Write the checkpoint to resume from, one to keep if it has a name, and a grid of images."""
        if self._log is None:
            return
        state = self._trainer.state()
        state["epoch"] = self._step // self._steps_per_epoch
        state["config"] = self._config.model_dump_json()
        state["training"] |= {"step": self._step, "log": self._log.state()}
        for each in (LAST, name) if name else (LAST,):
            with replacing(self._job.log_dir / each) as part:
                torch.save(state, part)
        self._log.image(self._step, training_grid(self._trainer, self._samples, self._config))
        self._saved = time.monotonic()


def _build_trainer(config: Config, checkpoint: Path | None, perceptual: nn.Module, processes: Processes) -> Trainer:
    """Build the networks with random weights, or with those of a checkpoint."""
    torch.manual_seed(config.train_params.seed)  # every process has to begin with the same weights
    networks = Networks.build(config)
    discriminator = _build_discriminator(config)
    if checkpoint is not None:
        weights = read_checkpoint(checkpoint, optional=(DISCRIMINATOR,))
        networks = load_networks(_with_filters_of(networks, weights), config)
        if discriminator is not None and DISCRIMINATOR in weights.networks:
            try:
                discriminator.load_state_dict(weights.networks[DISCRIMINATOR])
            except RuntimeError:
                logger.warning(
                    "the discriminator in %s does not fit the config and starts with random weights", checkpoint
                )
    return Trainer(config, networks, discriminator, perceptual, processes.device, distributed=processes.count > 1)


def _with_filters_of(networks: Networks, checkpoint: Checkpoint) -> Checkpoint:
    """Replace the down-sampling filters of a checkpoint: constants that depend on the image size."""
    fitting = dict(checkpoint.networks)
    for name, network in networks.parts().items():
        filters = {key: tensor for key, tensor in network.state_dict().items() if key.endswith(_FILTER)}
        learned = {key: tensor for key, tensor in fitting[name].items() if not key.endswith(_FILTER)}
        fitting[name] = {**learned, **filters}
    return replace(checkpoint, networks=fitting)


def _build_discriminator(config: Config) -> MultiScaleDiscriminator | None:
    if not config.train_params.loss_weights.generator_gan:
        return None
    if config.model_params.discriminator_params is None:
        raise InputError(
            "train_params.loss_weights.generator_gan needs a discriminator",
            "Add model_params.discriminator_params to the config, or set generator_gan to 0",
        )
    return MultiScaleDiscriminator(config.model_params.common_params, config.model_params.discriminator_params)


def _read_state(path: Path) -> State:
    if not path.is_file():
        raise InputError(f"there is no training to resume: {path} is missing", "Leave --resume out to begin one")
    with _damaged(path):
        state: State = torch.load(path, map_location="cpu", weights_only=True)
        training = state["training"]
        step, log = training["step"], training["log"]
        kinds = ((step, int), (log["sums"], dict), (log["count"], int))
        if not all(isinstance(value, kind) for value, kind in kinds) or step < 0:
            raise TypeError("step or log")
    return state


def _damaged(path: Path) -> AbstractContextManager[None]:
    """Say that the training in a file cannot be resumed, whatever is raised in the block."""
    return foreign_errors(
        f"{path} cannot be resumed: it is damaged, or holds weights only", "Start from its weights with --checkpoint"
    )


def _check_is_free(job: TrainJob) -> None:
    if not job.resume and (job.log_dir / LAST).exists():
        raise InputError(
            f"{job.log_dir} holds a training already", "Add --resume to go on with it, or choose another --log_dir"
        )


def _choose_config(job: TrainJob) -> Config:
    if job.config is not None:
        return load_config(job.config)
    if job.resume:
        return load_config(str(job.log_dir / CONFIG))
    config = None if job.checkpoint is None else open_checkpoint(job.checkpoint).config
    if config is None:
        raise InputError("--config is missing", "Name a bundled one such as vox-256, or a YAML file")
    return config


def _check_config(config: Config, processes: Processes, folder: Path | None) -> None:
    """Raise InputError if a config, with the videos in `folder`, cannot be trained."""
    data, train = config.dataset_params, config.train_params
    if data.root_dir is None and folder is None:
        raise InputError("the config names no videos", "Give --data FOLDER with train/ and test/")
    if not train.lr_generator and not train.lr_kp_detector:
        raise InputError(
            "lr_generator and lr_kp_detector are both 0: nothing would be trained", "Raise one of them in train_params"
        )
    crop = data.augmentation_params.crop_param
    if crop is not None and crop.size != data.frame_shape[:2]:
        raise InputError(
            f"augmentation_params.crop_param.size is {[*crop.size]}, but frames are {[*data.frame_shape[:2]]}",
            "Make them the same",
        )
    if train.batch_size % processes.count or (data.stills_params and train.batch_size < 2):
        raise InputError(
            f"batches of {train.batch_size} cannot be shared by {processes.count} process(es)",
            "Change train_params.batch_size",
        )
