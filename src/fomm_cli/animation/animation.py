"""Animate one source by one driving motion: detect, transfer and decode, batch by batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from fomm_cli.animation.transfer import MotionTransfer, Smoother
from fomm_cli.engines.engine import Decoded, Decoder
from fomm_cli.errors import OutOfMemoryError, is_out_of_memory
from fomm_cli.keypoints import KeyPoints
from fomm_cli.media.video.frame import Frame, Moment
from fomm_cli.runtime.threads import on_shared_threads

logger = logging.getLogger(__name__)

Batch = TypeVar("Batch", np.ndarray, KeyPoints)
Part = TypeVar("Part")

Detector = Callable[[np.ndarray], KeyPoints]
"""From frames, uint8 (B, height, width, 3) of the model's size, to their keypoints."""

Refine = Callable[[Decoded], np.ndarray]
"""From decoded frames and their motion to the images to show: uint8 (B, H, W, 3 or 4) of any size."""


@dataclass(frozen=True)
class DrivingBatch:
    """Successive driving frames: their images, or the keypoints that were found in them before.

    Attributes:
        moments: when each of the B frames is shown.
        frames: uint8 (B, height, width, 3) of the model's size; None where only the keypoints are known.
        keypoints: of the frames; None where they are still to be detected.
    """

    moments: list[Moment]
    frames: np.ndarray | None = None
    keypoints: KeyPoints | None = None

    def detected(self, detector: Detector, device: torch.device) -> KeyPoints:
        """Return the keypoints on a device: those that are known, or else what a detector there finds in the frames."""
        if self.keypoints is not None:
            return self.keypoints.to(device)
        if self.frames is None:
            raise ValueError("a batch holds frames or keypoints")
        return detector(self.frames)


@dataclass(frozen=True)
class AnimatedFrame(Frame):
    """A frame of the result, and what it was made from.

    Attributes:
        driving: the driving frame, uint8 (height, width, 3); None where only its keypoints are known.
        keypoints: (K, 2) of the driving frame, x before y, in [-1, 1]; None where they were not kept.
    """

    driving: np.ndarray | None = None
    keypoints: np.ndarray | None = None


class Animation:
    """An encoded source, ready to be animated. Its stages are `detect`, `transfer` and `decode`.

    `frames` runs all of them for many frames, several at a time on a CPU; `step` for one frame at once.

    Attributes:
        keypoints: of the source, B = 1.
        transfer: turns driving keypoints into those that the source takes; may be replaced between frames, for
            instance to take another driving frame as the initial one.
    """

    def __init__(
        self,
        detector: Detector,
        decoder: Decoder,
        transfer: MotionTransfer,
        *,
        device: torch.device,
        batch_size: int = 1,
        workers: int = 1,
        smoother: Smoother | None = None,
        refine: Refine | None = None,
    ) -> None:
        """Join the stages; `Animator.start` does it.

        Args:
            detector: finds keypoints.
            decoder: makes frames of the encoded source; what `Engine.encode` returned.
            transfer: from driving keypoints to those of the source.
            device: where detector and decoder run.
            batch_size: frames that are computed at once.
            workers: threads that compute batches side by side.
            smoother: filters the driving keypoints over time; None leaves them as they are.
            refine: turns decoded frames into the images to show; None shows them as they are.
        """
        self.keypoints = transfer.source
        self.transfer = transfer
        self._detector = detector
        self._decoder = decoder
        self._device = device
        self._batch_size = batch_size
        self._workers = workers
        self._smoother = smoother
        self._refine = refine

    def frames(self, batches: Iterable[DrivingBatch]) -> Generator[AnimatedFrame, None, None]:
        """Animate driving frames.

        On a CPU several batches are computed side by side. When the device runs out of memory, the batch is halved
        and the work goes on.

        Args:
            batches: read a few ahead.

        Yields:
            A frame of the result for every driving frame, in their order.

        Raises:
            OutOfMemoryError: one frame alone does not fit into the memory of the device.
        """
        detected = ((batch, self._smoothed(batch.detected(self._detected, self._device))) for batch in batches)
        try:
            with closing(on_shared_threads(self._animated, detected, self._workers)) as results:
                for frames in results:
                    yield from frames
        finally:
            if isinstance(batches, Generator):
                batches.close()

    def _animated(self, detected: tuple[DrivingBatch, KeyPoints]) -> list[AnimatedFrame]:
        batch, keypoints = detected
        images, positions = self.images(keypoints), keypoints.value.cpu().numpy()
        driving = [None] * len(images) if batch.frames is None else batch.frames
        return [
            AnimatedFrame(moment.time, moment.duration, image, frame, points)
            for moment, image, frame, points in zip(batch.moments, images, driving, positions, strict=True)
        ]

    def step(self, frame: np.ndarray) -> np.ndarray:
        """Animate one driving frame at once, with all processor threads.

        Args:
            frame: uint8 (height, width, 3) of the model's size.

        Returns:
            The image to show, uint8 (H, W, 3).

        Raises:
            OutOfMemoryError: the frame does not fit into the memory of the device.
        """
        image: np.ndarray = self.images(self.detect(frame[None]))[0]
        return image

    def detect(self, frames: np.ndarray) -> KeyPoints:
        """Detect the keypoints of the next driving frames, uint8 (B, height, width, 3); smoothed where asked for."""
        return self._smoothed(self._detected(frames))

    @torch.inference_mode()
    def decode(self, keypoints: KeyPoints) -> Decoded:
        """Decode the frames in which the source takes these keypoints, with the motion that makes them."""
        return self._decoder(keypoints)

    def images(self, driving: KeyPoints) -> np.ndarray:
        """Transfer driving keypoints to the source and decode; returns the images to show, uint8 (B, H, W, 3)."""
        return np.concatenate(list(self._in_parts(self._images, driving)))

    @torch.inference_mode()
    def _images(self, driving: KeyPoints) -> np.ndarray:
        decoded = self.decode(self.transfer(driving))
        return to_images(decoded.frames) if self._refine is None else self._refine(decoded)

    def _detected(self, frames: np.ndarray) -> KeyPoints:
        return KeyPoints.joined(list(self._in_parts(self._detector, frames)))

    def _smoothed(self, keypoints: KeyPoints) -> KeyPoints:
        if self._smoother is None:
            return keypoints
        keypoints, self._smoother = self._smoother(keypoints)
        return keypoints

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

    def _halve_batch(self, error: RuntimeError) -> None:
        if self._batch_size == 1:
            raise OutOfMemoryError(
                f"the {self._device.type} device has not enough memory for one frame",
                "Close other programs that use it, or add --cpu",
            ) from error
        self._batch_size //= 2
        logger.warning("out of memory on the device; going on with batches of %d", self._batch_size)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def to_images(frames: Tensor) -> np.ndarray:
    """Convert frames (B, 3, H, W) in [0, 1] to images, uint8 (B, H, W, 3)."""
    return (frames * 255).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
