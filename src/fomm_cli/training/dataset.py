"""Choose and load the pairs of frames to train on.

All random choices follow from the seed and the step, so that a resumed training sees the same pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from itertools import chain, groupby
from pathlib import Path

import numpy as np

from fomm_cli.config.schema import DatasetParams
from fomm_cli.errors import InputError
from fomm_cli.media.folder import images_in
from fomm_cli.media.formats import IMAGES_READ, VIDEOS_READ
from fomm_cli.media.image import read_image
from fomm_cli.media.resize import Size, fit_frame

Read = Callable[[Sequence[int]], np.ndarray]


@dataclass(frozen=True)
class Video:
    """A video whose frames can be read in any order.

    Attributes:
        path: the file or folder.
        count: of its frames.
        read: frames by index, uint8 (N, height, width, 3).
    """

    path: Path
    count: int
    read: Read


def find_videos(folder: Path) -> list[Path]:
    """Find videos, folders of frames and images (frames side by side, or one still), sorted by name.

    Raises:
        InputError: there is no such folder, it may not be read, or nothing is in it.
    """
    try:
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}", "Give --data FOLDER with the videos in train/ and test/")
        paths = [path for path in folder.iterdir() if path.is_dir() or path.suffix.lower() in VIDEOS_READ + IMAGES_READ]
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}", "Check its permissions") from error
    found = sorted(path for path in paths if not path.name.startswith("."))
    if not found:
        suffixes = " ".join(VIDEOS_READ + IMAGES_READ)
        raise InputError(f"{folder} holds no videos", f"Put folders of frames or files there: {suffixes}")
    return found


def identity_of(path: Path) -> str:
    """Return the person in a video by its name: the text before ``#``, or before a final ``_`` and number."""
    before, mark, _ = path.name.partition("#")
    if mark:
        return before
    before, mark, number = path.stem.rpartition("_")
    return before if mark and number.isdigit() else path.stem


def open_video(path: Path, size: Size, *, in_memory: bool = False) -> Video:
    """Make a video ready to be read.

    Args:
        path: a video file, a folder of frames, or an image with frames of the shape of `size` side by side.
        size: (height, width) to bring the frames to.
        in_memory: whether to decode all frames now.

    Raises:
        InputError: it cannot be read.
    """
    if path.is_dir():
        video = _folder(path, size)
    elif path.suffix.lower() in IMAGES_READ:
        video = _strip(path, size)
    else:
        video = _file(path, size)
    if not in_memory:
        return video
    frames = video.read(range(video.count))
    return Video(path, len(frames), lambda indices: frames[list(indices)])


class PairDataset:
    """The pairs of a training, by step and slot in the batch.

    Attributes:
        batch_size: pairs in a batch.
        stills: number of still images at the end of each batch.
    """

    def __init__(self, params: DatasetParams, folder: Path, *, batch_size: int, seed: int) -> None:
        self._seed = seed
        self._threads = ThreadPoolExecutor(thread_name_prefix="frames")
        # a large collection is opened clip by clip, as it is met
        self._open = cache(partial(open_video, size=params.frame_shape[:2], in_memory=params.in_memory))
        self._groups = _groups(find_videos(folder), by_identity=params.id_sampling)
        self._stills: list[Path] = []
        self.batch_size = batch_size
        self.stills = 0
        if params.stills_params:
            self._stills = find_videos(Path(params.stills_params.root_dir))
            self.stills = min(batch_size - 1, max(1, round(params.stills_params.share * batch_size)))
        if params.in_memory:
            list(self._threads.map(self._open, [*chain(*self._groups), *self._stills]))

    def steps_per_epoch(self, num_repeats: int) -> int:
        """Return the batches in `num_repeats` passes over all clips, or over all identities."""
        return max(1, len(self._groups) * num_repeats // (self.batch_size - self.stills))

    def load(self, step: int, slots: Sequence[int]) -> np.ndarray:
        """Load the pairs of some slots of a batch, uint8 (N, 2, height, width, 3), the source first."""
        return np.stack(list(self._threads.map(lambda slot: self._pair(step, slot), slots)))

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)

    def _pair(self, step: int, slot: int) -> np.ndarray:
        random = np.random.default_rng((self._seed, step, slot))
        clips = self.batch_size - self.stills
        if slot >= clips:
            still = self._stills[random.integers(len(self._stills))]
            return self._open(still).read([0, 0])
        group = self._groups[self._item(step * clips + slot)]
        video = self._open(group[random.integers(len(group))])
        return video.read(np.sort(random.integers(video.count, size=2)).tolist())

    def _item(self, position: int) -> int:
        """Return the group at a position of the endless sequence of shuffled passes."""
        turn, place = divmod(position, len(self._groups))
        return int(_shuffled(len(self._groups), self._seed, turn)[place])


@lru_cache(maxsize=4)
def _shuffled(count: int, seed: int, turn: int) -> np.ndarray:
    return np.random.default_rng((seed, turn)).permutation(count)


def _groups(paths: list[Path], *, by_identity: bool) -> list[list[Path]]:
    """Group the paths into the units that one pass over the data visits once."""
    if not by_identity:
        return [[path] for path in paths]
    return [list(group) for _, group in groupby(sorted(paths, key=identity_of), key=identity_of)]


def _folder(path: Path, size: Size) -> Video:
    frames = images_in(path)

    def read(indices: Sequence[int]) -> np.ndarray:
        return np.stack([fit_frame(read_image(frames[index]), size, "stretch") for index in indices])

    return Video(path, len(frames), read)


def _strip(path: Path, size: Size) -> Video:
    """Open an image of frames side by side, as the original stores videos, or of one frame."""
    height, width = read_image(path).shape[:2]
    frames, rest = divmod(width * size[0], height * size[1])
    count = frames if not rest else 1

    def read(indices: Sequence[int]) -> np.ndarray:
        strip = np.split(read_image(path), count, axis=1)
        return np.stack([fit_frame(strip[index], size, "stretch") for index in indices])

    return Video(path, count, read)


def _file(path: Path, size: Size) -> Video:
    from fomm_cli.media.video.reader import open_clip  # machines that train on images need no video decoder

    def read(indices: Sequence[int]) -> np.ndarray:
        wanted, last = set(indices), max(indices)
        found = {}
        for index, frame in enumerate(open_clip(path).frames()):
            if index in wanted:
                found[index] = fit_frame(frame.image, size, "stretch")
            if index == last:
                break
        # a header may promise more frames than there are
        return np.stack([found.get(index, fit_frame(frame.image, size, "stretch")) for index in indices])

    count = open_clip(path).info.frame_count or sum(1 for _ in open_clip(path).frames())
    return Video(path, count, read)
