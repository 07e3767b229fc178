"""Define the messages between a batch and its workers; all of them can be sent to another process or machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from fomm_cli.animation.options import AnimateJob
from fomm_cli.batch.journal import Outcome

PART = "part.mkv"
"""File name of a range of frames until it is joined."""


@dataclass(frozen=True)
class Unit:
    """A piece of work for one worker.

    Attributes:
        number: of the unit and attempt.
        name: of the pair's result.
        key: of the pair.
        driving_key: of the driving keypoints.
        job: the options; its `result_video` is a plain name in the folder that the worker writes to.
        task: a whole result, a range of frames for a part, or parts to be joined.
        start: first frame of a range.
        stop: end of a range, exclusive; None for the end of the video.
        parts: the parts to join, in order.
    """

    number: int
    name: str
    key: str
    driving_key: str
    job: AnimateJob
    task: Literal["whole", "range", "join"] = "whole"
    start: int = 0
    stop: int | None = None
    parts: tuple[Path, ...] = ()

    @property
    def inputs(self) -> list[Path]:
        """Return all files and folders that a worker reads for it."""
        job = self.job
        config = Path(job.config) if job.config and Path(job.config).is_file() else None
        chosen = [job.source_image, job.driving_video, job.checkpoint, config, job.background_image, *self.parts]
        return [path for path in chosen if path is not None]


@dataclass(frozen=True)
class Advanced:
    """The message that some frames of a unit are done."""

    number: int
    frames: int


@dataclass(frozen=True)
class Finished:
    """The message that a unit is done and its files are in its folder."""

    number: int
    outcome: Outcome


@dataclass(frozen=True)
class Failed:
    """The message that a unit failed.

    Attributes:
        number: of the unit.
        error: why, in one line.
        may_pass: whether another attempt may succeed.
    """

    number: int
    error: str
    may_pass: bool


Event: TypeAlias = Advanced | Finished | Failed
FramesDone = Callable[[int], None]
"""A function of the number of frames that are done."""


class WorkerPool(Protocol):
    """A pool of workers that run units."""

    @property
    def slots(self) -> int:
        """Return how many units run at a time."""
        ...

    def start(self, unit: Unit, folder: Path) -> None:
        """Run a unit; what it makes is in the (existing) folder before `Finished` is reported."""
        ...

    def events(self, timeout: float) -> list[Event]:
        """Return the events since the last call, after `timeout` seconds at the latest.

        Raises:
            FommError: nothing can be run, for instance since a device does not exist.
        """
        ...

    def close(self) -> None:
        """Stop all workers."""
        ...
