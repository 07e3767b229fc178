"""Train on one batch, and keep everything that such steps change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fomm_cli.config.schema import Config
from fomm_cli.errors import FommError, InputError
from fomm_cli.models.generator import Generator
from fomm_cli.models.keypoint_detector import KPDetector
from fomm_cli.models.networks import Networks
from fomm_cli.training.augmentation import augment
from fomm_cli.training.discriminator import MultiScaleDiscriminator
from fomm_cli.training.losses import DiscriminatorLosses, GeneratorLosses, Reconstruction
from fomm_cli.training.warp import Warp

MOST_SKIPPED = 20  # steps in a row whose gradients are not finite


@dataclass(frozen=True)
class Step:
    """The outcome of a step.

    Attributes:
        losses: weighted, by name, on the device.
        skipped: whether the weights were left alone because gradients were not finite.
        source: source frames, RGB in [0, 1], shape (B, 3, H, W).
        driving: driving frames in the same form.
    """

    losses: dict[str, Tensor]
    skipped: bool
    source: Tensor
    driving: Tensor


class Trainer:
    """Networks, optimizers and moving averages of a training, on one device of one or several processes."""

    def __init__(
        self,
        config: Config,
        networks: Networks,
        discriminator: MultiScaleDiscriminator | None,
        perceptual: nn.Module,
        device: torch.device,
        *,
        distributed: bool = False,
    ) -> None:
        """Take ownership of the networks.

        Args:
            config: of the networks and of the training.
            networks: to train.
            discriminator: to train against; None without adversarial training.
            perceptual: from images (B, 3, H, W) in [0, 1] to a list of features.
            device: where to work.
            distributed: average gradients with the other processes of torch.distributed.
        """
        self.config, self.device = config, device
        self.skipped, self.skipped_in_a_row = 0, 0
        self._generator_losses = GeneratorLosses(networks, config, perceptual)
        self._generator_losses.to_device(device)
        self.networks = nn.ModuleDict(networks.parts())
        self.discriminator = discriminator
        if device.type == "cuda":
            self.networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        train = config.train_params
        self.ema: AveragedModel | None = None
        if train.ema_decay:
            average = get_ema_multi_avg_fn(train.ema_decay)  # type: ignore[no-untyped-call]
            self.ema = AveragedModel(self.networks, multi_avg_fn=average, use_buffers=True)
        self._rates = {"generator": train.lr_generator, "kp_detector": train.lr_kp_detector}
        modules = dict(self.networks.items())
        self._discriminator_losses: DiscriminatorLosses | None = None
        if discriminator is not None:
            self._discriminator_losses = DiscriminatorLosses(discriminator, config).to(device)
            self._rates["discriminator"] = train.lr_discriminator
            modules["discriminator"] = discriminator
        for name, module in modules.items():
            module.requires_grad_(bool(self._rates[name]))
        self._modules = modules
        self.optimizers = {
            name: torch.optim.Adam(module.parameters(), self._rates[name], betas=(0.5, 0.999))
            for name, module in modules.items()
        }
        self._generate = self._parallel(self._generator_losses) if distributed else self._generator_losses
        self._judge: nn.Module | None = self._discriminator_losses
        if distributed and self._discriminator_losses is not None:
            self._judge = self._parallel(self._discriminator_losses)

    def _parallel(self, module: nn.Module) -> nn.Module:
        on_gpu = self.device.type == "cuda"
        if on_gpu:  # torch has synchronised batch norms for GPUs only
            nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return DistributedDataParallel(module, device_ids=[self.device] if on_gpu else None)

    def step(self, pairs: np.ndarray, stills: int, *, epoch: int, seed: tuple[int, ...]) -> Step:
        """Train on a batch.

        Args:
            pairs: uint8 (B, 2, H, W, 3), the source first.
            stills: how many of them, the last ones, are an image and itself, to be warped.
            epoch: for the learning rates.
            seed: of everything random in this step.

        Raises:
            FommError: the gradients have not been finite for `MOST_SKIPPED` steps.
        """
        random = torch.Generator(self.device).manual_seed(_folded(seed))
        source, driving = self._prepare(pairs, stills, random).unbind(1)
        warp = Warp.random(len(source), self.config.train_params.transform_params, random)
        running = [buffer.clone() for buffer in self.networks.buffers()]
        for name, network in self.networks.items():
            network.train(bool(self._rates[name]))
        self._set_rates(epoch)
        with _frozen(self.discriminator), self._precision():
            losses, result = self._generate(source, driving, warp, self.discriminator)
        finite = self._descend(losses, ("generator", "kp_detector"))
        if not finite:
            with torch.no_grad():  # batch norms have seen what must not stay in their averages
                for buffer, before in zip(self.networks.buffers(), running, strict=True):
                    buffer.copy_(before)
        elif self._judge is not None:
            with self._precision():
                judged = self._judge(driving, result)
            finite = self._descend(judged, ("discriminator",))
            losses |= judged
        self._count(skipped=not finite)
        if self.ema is not None and finite:
            self.ema.update_parameters(self.networks)
        return Step({name: loss.detach() for name, loss in losses.items()}, not finite, source, driving)

    def _prepare(self, pairs: np.ndarray, stills: int, random: torch.Generator) -> Tensor:
        """Augment pairs in [0, 1], shape (B, 2, 3, H, W); stills get two different warps each."""
        params = self.config.dataset_params
        tensor = torch.from_numpy(pairs).to(self.device, non_blocking=True).permute(0, 1, 4, 2, 3).float() / 255
        if stills and params.stills_params:
            images = tensor[-stills:].flatten(0, 1)
            warp = Warp.random(len(images), params.stills_params.transform_params, random)
            tensor = torch.cat((tensor[:-stills], warp.images(images).view_as(tensor[-stills:])))
        return augment(tensor, params.augmentation_params, random)

    def _precision(self) -> torch.autocast:
        enabled = self.config.train_params.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def _descend(self, losses: Mapping[str, Tensor], names: tuple[str, ...]) -> bool:
        """Step the optimizers of some networks; False, and nothing done, where gradients are not finite."""
        optimizers = {name: self.optimizers[name] for name in names}
        for optimizer in optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        torch.stack([loss.float() for loss in losses.values()]).sum().backward()  # type: ignore[no-untyped-call]
        limit = self.config.train_params.max_gradient_norm or torch.inf
        norms = [nn.utils.clip_grad_norm_(self._modules[name].parameters(), limit) for name in names]
        if not torch.isfinite(torch.stack(norms)).all():
            return False
        for optimizer in optimizers.values():
            optimizer.step()
        return True

    def _set_rates(self, epoch: int) -> None:
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self._rates[name] * self.decay(epoch)

    def decay(self, epoch: int) -> float:
        """Return the factor of the learning rates in an epoch, counted from 0."""
        return float(0.1 ** sum(milestone <= epoch for milestone in self.config.train_params.epoch_milestones))

    def _count(self, *, skipped: bool) -> None:
        self.skipped += skipped
        self.skipped_in_a_row = self.skipped_in_a_row + 1 if skipped else 0
        if self.skipped_in_a_row == MOST_SKIPPED:
            raise FommError(
                f"the training has diverged: gradients have not been finite for {MOST_SKIPPED} steps",
                "Resume with lower learning rates or with train_params.max_gradient_norm: 1 in the config",
            )

    def best(self) -> Networks:
        """Return the networks to animate with: the moving averages where there are any."""
        averaged = self.ema is not None and bool(self.ema.n_averaged)
        modules = cast("nn.ModuleDict", self.ema.module if self.ema is not None and averaged else self.networks)
        return Networks(cast("KPDetector", modules["kp_detector"]), cast("Generator", modules["generator"]))

    @torch.no_grad()
    def reconstruct(self, source: Tensor, driving: Tensor) -> tuple[Reconstruction, Tensor, Tensor | None]:
        """Rebuild driving frames as `fomm animate` would; also the warped source and the occlusion map."""
        networks = self.best()
        detector, generator = networks.kp_detector.eval(), networks.generator.eval()
        kp_source, kp_driving = detector(source), detector(driving)
        encoded = generator.encode(source)
        motion = generator.motion(encoded, kp_source, kp_driving)
        result = Reconstruction(generator.decode(encoded, motion), kp_source, kp_driving)
        return result, generator.warp(source, motion), motion.occlusion_map

    def state(self) -> dict[str, Any]:
        """Return everything that changes: the published format, and under ``training`` what resuming needs too."""
        state: dict[str, Any] = {name: network.state_dict() for name, network in self.best().parts().items()}
        for name, optimizer in self.optimizers.items():
            state[f"optimizer_{name}"] = optimizer.state_dict()
        if self.discriminator is not None:
            state["discriminator"] = self.discriminator.state_dict()
        training: dict[str, Any] = {"skipped": self.skipped, "skipped_in_a_row": self.skipped_in_a_row}
        if self.ema is not None:
            training["averaged"] = int(self.ema.n_averaged)
            training["networks"] = self.networks.state_dict()
        return {**state, "training": training}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned.

        Raises:
            InputError: it is the state of another training.
        """
        training = state["training"]
        try:
            averages = {f"{part}.{key}": value for part in self.networks for key, value in state[part].items()}
            self.networks.load_state_dict(training.get("networks", averages))
            if self.ema is not None and "averaged" in training:
                self.ema.module.load_state_dict(averages)
                self.ema.n_averaged.fill_(training["averaged"])
            if self.discriminator is not None:
                self.discriminator.load_state_dict(state["discriminator"])
            for name, optimizer in self.optimizers.items():
                optimizer.load_state_dict(state[f"optimizer_{name}"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise InputError(
                "the config does not fit the training that is to be resumed",
                "Resume without --config, or start again from its weights with --checkpoint and another --log_dir",
            ) from error
        self.skipped, self.skipped_in_a_row = training["skipped"], training["skipped_in_a_row"]


@contextmanager
def _frozen(network: nn.Module | None) -> Iterator[None]:
    """Exclude a network's weights from the gradients inside the block."""
    if network is None:
        yield
        return
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _folded(seed: tuple[int, ...]) -> int:
    """Combine several numbers to one seed, within the range that torch takes on every device."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0])
