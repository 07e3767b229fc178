"""Load a model once, then animate any number of sources: the main class of the library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fomm_cli.animation.animation import Animation, DrivingBatch, Refine
from fomm_cli.animation.enlarge import enlarged
from fomm_cli.animation.transfer import MotionTransfer, Smoother
from fomm_cli.animation.transparency import with_alpha
from fomm_cli.engines.engine import Engine
from fomm_cli.engines.opening import open_engine
from fomm_cli.errors import InputError
from fomm_cli.keypoints import KeyPoints
from fomm_cli.media.alpha import as_rgb, spread_colours
from fomm_cli.media.options import Fit
from fomm_cli.media.resize import fit_frame, fit_source
from fomm_cli.media.video.frame import Moment
from fomm_cli.models.loading import LoadedModel, load_model
from fomm_cli.progress import Progress, silent
from fomm_cli.runtime.device import choose_engine_device, trim_memory
from fomm_cli.runtime.precision import engine_of
from fomm_cli.runtime.threads import batched

REHEARSAL = 8  # driving frames that an engine is calibrated on


class Animator:
    """A model that is loaded and ready to animate any number of sources.

    Example:
        >>> animator = Animator.load("vox-cpk.pth.tar", "vox-256")  # doctest: +SKIP
        >>> for frame in animator.animate(source, driving_frames):  # doctest: +SKIP
        ...     show(frame)

    Attributes:
        networks: ready for inference, on `device`.
        config: of the networks.
        device: where they run.
        checkpoint_sha256: of the checkpoint file; empty for weights that come from no file.
        engine: what decodes frames.
        batch_size: frames that are best computed at once on this device.
    """

    def __init__(self, model: LoadedModel, *, engine: str = "torch", precision: str = "fp32") -> None:
        """Take ownership of the model: its networks are moved to their device and made ready for inference."""
        model.networks.prepare_inference(model.device, fold=engine != "reference")
        self.networks = model.networks
        self.config = model.config
        self.device = model.device
        self.checkpoint_sha256 = model.sha256
        self.engine: Engine = open_engine(engine, precision, model)
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
        frames: int | None = None,
        progress: Progress = silent,
    ) -> Animator:
        """Load a model.

        Args:
            checkpoint: a file in the published format or safetensors, or the name of a published one, such as vox;
                None for the small model in the package.
            config: a bundled name or a YAML file; None for the one in the checkpoint, or else vox-256.
            device: auto, cpu, cuda, cuda:N or mps.
            align_corners: True samples as the published weights were trained, False as the original does on
                PyTorch 1.3 and later.
            engine: torch, onnxruntime, openvino, or auto for the fastest that is known to be here.
            precision: auto, fp32, bf16, fp16 or int8, as far as the engine has it. Auto is the fastest that looks the
                same as float32.
            frames: how many will be animated, as far as that is known; only for many are engines timed.
            progress: told of the bytes of a checkpoint that has to be downloaded.

        Raises:
            InputError: a file that is missing, damaged or does not fit; an engine that is not installed, or does not
                run on this device or in this precision.
        """
        engine = engine_of(engine, precision)
        chosen = choose_engine_device(engine, device)
        model = load_model(checkpoint, config, chosen, align_corners=align_corners, progress=progress)
        if engine == "auto":
            from fomm_cli.engines.fastest import choose_fastest  # it reads the processor and the cache

            engine, precision = choose_fastest(model, frames)
        return cls(model, engine=engine, precision=precision)

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) of the frames that the model works on."""
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
        size: int | str = "model",
        keep_alpha: bool = False,
    ) -> Iterator[np.ndarray]:
        """Animate an image by a video, frame by frame, in constant memory.

        Args:
            source: uint8 (H, W, 3) RGB of any size; RGBA is laid over white, and grey is taken too.
            driving: frames of the same kinds as the source, read as they are needed. Nothing is cropped.
            initial: the driving frame in which the pose is that of the source; the first one when None.
            relative: transfer the motion since `initial` to the source's own keypoints.
            adapt_scale: scale that motion by the ratio of the sizes of the two faces.
            fit: how images of another shape are brought to the model's.
            size: pixels of the longer side of what is yielded; "model" for the model's, "source" for as many as are
                animated of the source, at most 2048.
            keep_alpha: yield RGBA for a source that is RGBA, rather than lay that over white.

        Yields:
            uint8 (height, width, 3) RGB, or (height, width, 4) RGBA, one for each driving frame.

        Raises:
            InputError: there are no driving frames, or an array is not an image.
        """
        colours, alpha = as_rgb(source, "the source"), None
        if keep_alpha and source.ndim == 3 and source.shape[2] == 4:
            colours, alpha = spread_colours(source), np.ascontiguousarray(source[..., 3])
        frames = (fit_frame(as_rgb(frame, "a driving frame"), self.size, fit) for frame in driving)
        first = list(islice(frames, 1 if self.engine.ready else REHEARSAL))
        if not first:
            raise InputError("there are no driving frames")
        generator = self.networks.generator
        larger = enlarged(colours, None, fit, size, self.size, generator)
        refine: Refine | None = larger if alpha is None else with_alpha(alpha, None, fit, self.size, larger, generator)
        animation = self.start(
            fit_source(colours, self.size, fit),
            first[0] if initial is None else fit_frame(initial, self.size, fit),
            relative=relative,
            adapt_scale=adapt_scale,
            refine=refine,
            rehearsal=(self.detect(frame[None]) for frame in first),
        )
        with closing(animation.frames(self.batches(chain(first, frames)))) as results:
            for frame in results:
                yield frame.image

    def batches(self, frames: Iterable[np.ndarray], rate: Fraction = Fraction(25)) -> Iterator[DrivingBatch]:
        """Put driving frames, uint8 (height, width, 3) of the model's size, into batches that suit the device.

        Args:
            frames: read as they are needed.
            rate: frames per second.
        """
        for number, batch in enumerate(batched(frames, self.batch_size)):
            first = number * self.batch_size
            moments = [Moment((first + index) / rate, 1 / rate) for index in range(len(batch))]
            yield DrivingBatch(moments, np.stack(batch))

    @torch.inference_mode()
    def start(
        self,
        source: np.ndarray,
        initial: np.ndarray | KeyPoints,
        *,
        relative: bool = True,
        adapt_scale: bool = True,
        motion_scale: float = 1.0,
        smoother: Smoother | None = None,
        refine: Refine | None = None,
        rehearsal: Iterable[KeyPoints] = (),
    ) -> Animation:
        """Encode a source, once for all frames that it is to be animated by.

        Args:
            source: float32 (height, width, 3) in [0, 1], of the model's size.
            initial: the initial driving frame, uint8 (height, width, 3), or its keypoints, B = 1.
            relative: transfer the motion since the initial frame rather than the driving pose itself.
            adapt_scale: scale relative motion by the ratio of the sizes of the two faces.
            motion_scale: multiplies relative motion.
            smoother: filters the driving keypoints over time; None leaves them as they are.
            refine: turns decoded frames into the images to show; None shows them as they are.
            rehearsal: keypoints of some driving frames, B = 1, looked at if the engine is still to be calibrated.
        """
        if isinstance(initial, np.ndarray):
            initial = self.detect(initial[None])
        keypoints = self.detect(source[None])
        transfer = MotionTransfer.between(
            keypoints, initial.to(self.device), relative=relative, adapt_scale=adapt_scale, motion_scale=motion_scale
        )
        if not self.engine.ready:
            poses = (transfer(pose.to(self.device)) for pose in chain([initial], rehearsal))
            self.engine.calibrate(self.to_tensor(source[None]), keypoints, poses)
        return Animation(
            self.detect,
            self.engine.encode(self.to_tensor(source[None]), keypoints),
            transfer,
            device=self.device,
            batch_size=self.batch_size,
            workers=self.engine.workers,
            smoother=smoother,
            refine=refine,
        )

    @torch.inference_mode()
    def detect(self, images: np.ndarray) -> KeyPoints:
        """Detect the keypoints of images of the model's size, (B, height, width, 3), uint8 or float32 in [0, 1]."""
        keypoints: KeyPoints = self.networks.kp_detector(self.to_tensor(images))
        return keypoints

    def to_tensor(self, images: np.ndarray) -> Tensor:
        """Convert images (B, H, W, 3), uint8 or float32 in [0, 1], to float32 (B, 3, H, W) on the device."""
        tensor = torch.from_numpy(np.require(images, requirements="W")).to(self.device).permute(0, 3, 1, 2)
        return tensor.float() / 255 if tensor.dtype == torch.uint8 else tensor.float()
