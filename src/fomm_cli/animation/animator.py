"""Animation on arrays: the engine behind `fomm animate`, and the library's front door."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from fomm_cli.animation.transfer import MotionTransfer, Smoother
from fomm_cli.config.schema import Config
from fomm_cli.engines.engine import Engine
from fomm_cli.engines.opening import open_engine
from fomm_cli.errors import InputError, OutOfMemoryError
from fomm_cli.keypoints import KeyPoints
from fomm_cli.media.resize import Fit, fit_frame, fit_source
from fomm_cli.models.loading import LoadedModel, load_model
from fomm_cli.models.networks import Networks
from fomm_cli.runtime.device import choose_engine_device, trim_memory
from fomm_cli.runtime.prefetch import batched, in_parallel

logger = logging.getLogger(__name__)

Batch = TypeVar("Batch", np.ndarray, KeyPoints)
Part = TypeVar("Part")

REHEARSAL = 8  # driving frames that an engine is calibrated on


@dataclass(frozen=True)
class Rendered:
    """A batch of animated frames.

    Attributes:
        images: uint8 (B, H, W, 3) RGB.
        key_points: positions in the driving frames, (B, K, 2), x before y, in [-1, 1].
    """

    images: np.ndarray
    key_points: np.ndarray


class Animator:
    """A model that is loaded and ready to animate any number of sources.

    Example:
        >>> animator = Animator.load("vox-cpk.pth.tar", "vox-256")  # doctest: +SKIP
        >>> for frame in animator.animate(source, driving_frames):  # doctest: +SKIP
        ...     show(frame)
    """

    def __init__(
        self,
        networks: Networks,
        config: Config,
        device: torch.device,
        checkpoint_sha256: str = "",
        *,
        engine: str = "torch",
        precision: str = "fp32",
    ) -> None:
        """Take ownership of the networks: they are moved to `device` and made ready for inference."""
        networks.prepare_inference(device, fold=engine != "reference")
        self.networks = networks
        self.config = config
        self.device = device
        self.checkpoint_sha256 = checkpoint_sha256
        self.engine: Engine = open_engine(engine, precision, LoadedModel(networks, config, device, checkpoint_sha256))
        self.batch_size = self.engine.batch_size
        trim_memory()

    @classmethod
    def load(
        cls,
        checkpoint: str | Path | None = None,
        config: str | Path | None = None,
        *,
        device: str = "auto",
        align_corners: bool = True,
        engine: str = "torch",
        precision: str = "fp32",
    ) -> Animator:
        """Load a model.

        Args:
            checkpoint: a file in the published format or safetensors, or the name of a published one, such as vox;
                None for the small model in the package.
            config: a bundled name or a YAML file; None for the one in the checkpoint, or else vox-256.
            device: auto, cpu, cuda, cuda:N or mps.
            align_corners: True samples as the published weights were trained, False as the original does on
                PyTorch 1.3 and later.
            engine: torch, onnxruntime or openvino.
            precision: auto, fp32, bf16, fp16 or int8, as far as the engine has it. Auto is bf16 where the hardware
                computes in it.

        Raises:
            InputError: a file that is missing, damaged or does not fit; an engine that is not installed, or does not
                run on this device or in this precision.
        """
        model = load_model(checkpoint, config, choose_engine_device(engine, device), align_corners=align_corners)
        return cls(model.networks, model.config, model.device, model.sha256, engine=engine, precision=precision)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the frames that the model works on."""
        return self.config.dataset_params.frame_shape[:2]

    def animate(
        self,
        source: np.ndarray,
        driving: Iterable[np.ndarray],
        *,
        initial: np.ndarray | None = None,
        relative: bool = True,
        adapt_scale: bool = True,
        fit: Fit = "stretch",
    ) -> Iterator[np.ndarray]:
        """Animate a picture by a video, frame by frame, in constant memory.

        Args:
            source: uint8 (H, W, 3) RGB of any size.
            driving: frames, uint8 (H, W, 3) RGB of any size; read as they are needed.
            initial: the driving frame in which the pose is that of the source; the first one when None.
            relative: transfer the motion since `initial` to the source's own key points.
            adapt_scale: scale that motion by the ratio of the sizes of the two faces.
            fit: how pictures of another shape are brought to the model's.

        Yields:
            uint8 (height, width, 3) RGB, one for each driving frame.

        Raises:
            InputError: there are no driving frames.
        """
        frames = (fit_frame(frame, self.size, fit) for frame in driving)
        first = list(islice(frames, 1 if self.engine.ready else REHEARSAL))
        if not first:
            raise InputError("there are no driving frames")
        animation = self.start(
            fit_source(source, self.size, fit),
            first[0] if initial is None else fit_frame(initial, self.size, fit),
            relative=relative,
            adapt_scale=adapt_scale,
            rehearsal=(self.detect(frame[None]) for frame in first),
        )
        batches = (np.stack(batch) for batch in batched(chain(first, frames), self.batch_size))
        with closing(animation.render_all(batches)) as results:
            for rendered in results:
                yield from rendered.images

    @torch.inference_mode()
    def start(
        self,
        source: np.ndarray,
        initial: np.ndarray | KeyPoints,
        *,
        relative: bool,
        adapt_scale: bool,
        motion_scale: float = 1.0,
        smoother: Smoother | None = None,
        rehearsal: Iterable[KeyPoints] = (),
    ) -> Animation:
        """Do all that is done once for a source and a driving video.

        Args:
            source: float32 (height, width, 3) in [0, 1], of the model's size.
            initial: the initial driving frame, uint8 (height, width, 3), or its key points, B = 1.
            relative: transfer relative motion.
            adapt_scale: adapt its scale.
            motion_scale: multiplies relative motion.
            smoother: filters the driving key points over time; None leaves them as they are.
            rehearsal: key points of some driving frames, B = 1, looked at if the engine is still to be calibrated.
        """
        if isinstance(initial, np.ndarray):
            initial = self.detect(initial[None])
        points = self.detect(source[None])
        transfer = MotionTransfer.between(
            points, initial.to(self.device), relative=relative, adapt_scale=adapt_scale, strength=motion_scale
        )
        if not self.engine.ready:
            poses = (transfer(pose.to(self.device)) for pose in chain([initial], rehearsal))
            self.engine.calibrate(self.to_tensor(source[None]), points, poses)
        return Animation(self, source, points, transfer, smoother)

    @torch.inference_mode()
    def detect(self, pictures: np.ndarray) -> KeyPoints:
        """Key points of pictures, uint8 or float32 in [0, 1], (B, height, width, 3)."""
        points: KeyPoints = self.networks.kp_detector(self.to_tensor(pictures))
        return points

    def to_tensor(self, pictures: np.ndarray) -> Tensor:
        """Pictures (B, H, W, 3), uint8 or float32 in [0, 1], as float32 (B, 3, H, W) on the device."""
        # a copy, for strides as of a fresh array: convolutions choose their algorithm, and so their rounding, by them
        tensor = torch.from_numpy(pictures.copy()).to(self.device).permute(0, 3, 1, 2)
        return tensor.float() / 255 if tensor.dtype == torch.uint8 else tensor.float()


class Animation:
    """One source that takes over the motion of one driving video."""

    @torch.inference_mode()
    def __init__(
        self,
        animator: Animator,
        source: np.ndarray,
        key_points: KeyPoints,
        transfer: MotionTransfer,
        smoother: Smoother | None,
    ) -> None:
        self._animator = animator
        self.key_points = key_points
        self._paint = animator.engine.start(animator.to_tensor(source[None]), key_points)
        self._transfer = transfer
        self._smoother = smoother
        self._batch_size = animator.batch_size

    def render_all(self, batches: Iterable[np.ndarray | KeyPoints]) -> Generator[Rendered, None, None]:
        """Animate batches one after the other, or on a CPU several at a time; each as `render` does.

        Args:
            batches: read a few ahead.
        """
        workers, threads = self._animator.engine.workers, torch.get_num_threads()
        if workers == 1:
            yield from map(self.render, batches)
            return
        share = partial(torch.set_num_threads, max(1, threads // workers))
        share()
        try:
            yield from in_parallel(self._paint_batch, (self._follow(batch) for batch in batches), workers, share)
        finally:
            torch.set_num_threads(threads)

    def render(self, driving: np.ndarray | KeyPoints) -> Rendered:
        """Animate driving frames, uint8 (B, height, width, 3), or their key points.

        When the device runs out of memory, the batch is halved and the work goes on.

        Raises:
            OutOfMemoryError: one frame alone does not fit into the memory of the device.
        """
        return self._paint_batch(self._follow(driving))

    def _follow(self, driving: np.ndarray | KeyPoints) -> KeyPoints:
        """Key points of the next driving frames, smoothed where that is asked for."""
        if isinstance(driving, KeyPoints):
            found = driving.to(self._animator.device)
        else:
            found = KeyPoints.joined(list(self._in_parts(self._animator.detect, driving)))
        if self._smoother is not None:
            found, self._smoother = self._smoother(found)
        return found

    def _paint_batch(self, found: KeyPoints) -> Rendered:
        images = np.concatenate(list(self._in_parts(self._paint_part, found)))
        return Rendered(images, found.value.cpu().numpy())

    @torch.inference_mode()
    def _paint_part(self, found: KeyPoints) -> np.ndarray:
        """Frames, uint8 (B, H, W, 3)."""
        images = (self.predict(found) * 255).round_().to(torch.uint8).permute(0, 2, 3, 1)
        return images.contiguous().cpu().numpy()

    def _in_parts(self, work: Callable[[Batch], Part], batch: Batch) -> Iterator[Part]:
        """Work on parts of a batch that fit into the memory of the device."""
        done = 0
        while done < len(batch):
            some = batch[done : done + self._batch_size]
            try:
                yield work(some)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._halve_batch(error)
                continue
            done += len(some)

    def predict(self, driving: KeyPoints) -> Tensor:
        """The frames that driving key points give, before rounding: RGB in [0, 1], shape (B, 3, H, W)."""
        return self._paint(self._transfer(driving))

    def _halve_batch(self, error: RuntimeError) -> None:
        if self._batch_size == 1:
            raise OutOfMemoryError(
                f"the {self._animator.device.type} device has not enough memory for one frame",
                "Close other programs that use it, or add --cpu",
            ) from error
        self._batch_size //= 2
        logger.warning("out of memory on the device; going on with batches of %d", self._batch_size)
        if self._animator.device.type == "cuda":
            torch.cuda.empty_cache()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch gave up since the memory of a device is full."""
    # Apple GPUs and the CPU report it as a plain RuntimeError
    text = str(error)
    return isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in text or "can't allocate memory" in text
