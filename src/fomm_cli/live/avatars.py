"""Keep the source images of a live session: encoded in the background, switched in one frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fomm_cli.animation.animation import to_images
from fomm_cli.animation.animator import Animator
from fomm_cli.animation.autocrop import choose_source_crop
from fomm_cli.animation.enlarge import Enlarged, enlarged
from fomm_cli.engines.engine import Decoder
from fomm_cli.errors import FommError
from fomm_cli.faces.options import CropChoice, DetectorName
from fomm_cli.keypoints import KeyPoints
from fomm_cli.live.options import LiveJob
from fomm_cli.media.crop import cropped
from fomm_cli.media.folder import images_at
from fomm_cli.media.image import read_image
from fomm_cli.media.options import Fit
from fomm_cli.media.resize import fit_source

_MOST_KEPT = 16  # encoded sources; one of the published networks' takes 5 MB


@dataclass(frozen=True)
class Avatar:
    """A source image, ready to be animated.

    Attributes:
        keypoints: of the source, B = 1.
        decode: from the keypoints that it is to take to frames.
        enlarged: brings frames to another size than the model's; None for the model's.
    """

    keypoints: KeyPoints
    decode: Decoder
    enlarged: Enlarged | None

    def image(self, keypoints: KeyPoints) -> np.ndarray:
        """Return the image, uint8 (H, W, 3), in which it takes these keypoints, B = 1."""
        decoded = self.decode(keypoints)
        image: np.ndarray = (to_images(decoded.frames) if self.enlarged is None else self.enlarged(decoded))[0]
        return image


@dataclass(frozen=True)
class _SourceOptions:
    """The options that say how source images are cropped; the fields are those of `AnimateJob`."""

    crop: CropChoice
    face_backend: DetectorName
    fit: Fit = "stretch"
    face: int | None = None
    face_at: tuple[float, float] | None = None


class AvatarEncoder:
    """Read and encode source images; may be called in any thread, but in one at a time."""

    def __init__(self, animator: Animator, job: LiveJob) -> None:
        """Take the model, and the options that say how sources are cropped and how large the results are."""
        self._animator = animator
        self._options = _SourceOptions(job.crop, job.face_backend)
        self._size = job.size

    @torch.inference_mode()
    def __call__(self, path: Path) -> Avatar:
        """Return the avatar of an image.

        Raises:
            FommError: it cannot be read.
        """
        animator, options = self._animator, self._options
        image = read_image(path)
        crop = choose_source_crop(options, animator.config, str(animator.device), image)
        source = fit_source(cropped(image, crop), animator.size, options.fit)
        keypoints = animator.detect(source[None])
        decode = animator.engine.encode(animator.to_tensor(source[None]), keypoints)
        larger = enlarged(image, crop, options.fit, self._size, animator.size, animator.networks.generator)
        avatar = Avatar(keypoints, decode, larger)
        avatar.image(keypoints)  # the first image takes longer than those that follow
        return avatar


class Avatars:
    """Several avatars, one of which is shown; those beside it are encoded ahead."""

    def __init__(self, paths: Sequence[Path], encode: Callable[[Path], Avatar]) -> None:
        """Encode the first one.

        Args:
            paths: the source images, at least one.
            encode: reads and encodes one; may run in another thread.

        Raises:
            FommError: the first one cannot be read or encoded.
        """
        self._paths = list(paths)
        self._encode = encode
        self._pool = ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,))
        self.index = self._wanted = 0
        self.current = encode(self._paths[0])
        first: Future[Avatar] = Future()
        first.set_result(self.current)
        self._encoded = {0: first}
        self._request_neighbours()

    def __len__(self) -> int:
        return len(self._paths)

    def add(self, path: Path) -> None:
        """Add a source image as the last avatar; it is encoded when it or one beside it is asked for."""
        self._paths.append(path)

    def switch(self, index: int) -> None:
        """Ask for an avatar, counted from 0; negative indices and those beyond the end count round and round."""
        self._wanted = index % len(self._paths)
        if self._wanted != self.index:
            self._request(self._wanted)

    def step(self, by: int) -> None:
        """Ask for the next avatar (1) or the one before (-1)."""
        self.switch(self._wanted + by)

    def settle(self) -> bool:
        """Show the avatar that was asked for, once it is encoded; returns whether it has changed.

        Raises:
            FommError: its file cannot be read or encoded; the present one stays.
        """
        if self._wanted == self.index:
            return False
        future = self._encoded[self._wanted]
        if not future.done():
            return False
        wanted, self._wanted = self._wanted, self.index
        try:
            self.current = future.result()
        except FommError:
            del self._encoded[wanted]
            raise
        self.index = self._wanted = wanted
        self._request_neighbours()
        return True

    def is_encoded(self, index: int) -> bool:
        """Return whether an avatar can be shown in the next frame, or cannot be encoded at all."""
        return index in self._encoded and self._encoded[index].done()

    def _request(self, index: int) -> None:
        if index in self._encoded:
            self._encoded[index] = self._encoded.pop(index)  # the most recently used is the last to go
            return
        self._encoded[index] = self._pool.submit(self._encode, self._paths[index])
        while len(self._encoded) > _MOST_KEPT:
            self._encoded.pop(next(iter(self._encoded))).cancel()

    def _request_neighbours(self) -> None:
        for index in (self.index - 1, self.index + 1, self.index):
            self._request(index % len(self._paths))

    def close(self) -> None:
        """Wait for the source that is being encoded, and end the thread."""
        self._pool.shutdown(cancel_futures=True)


def avatar_paths(sources: Sequence[Path]) -> list[Path]:
    """Return the source images: files as they are given, and the images of folders by name.

    Raises:
        InputError: a folder holds no image.
    """
    return [path for source in sources for path in images_at(source)]
