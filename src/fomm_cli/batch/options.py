"""Options of `fomm batch`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from fomm_cli.animation.options import AnimateJob
from fomm_cli.errors import InputError
from fomm_cli.options import Option, check_bounds

_MOST_WORKERS = 256


@dataclass(frozen=True)
class BatchRequest:
    """Options of a batch on the command line, apart from those of its pairs."""

    source_image: Annotated[
        tuple[str, ...],
        Option(
            "portraits: files, quoted patterns such as 'dataSet/*.png', or folders",
            short="-s", metavar="IMAGE", group="files",
        ),
    ] = ()  # fmt: skip
    driving_video: Annotated[
        tuple[str, ...],
        Option(
            "driving videos, each for every portrait: files, patterns or folders of frames",
            short="-d", metavar="VIDEO", group="files",
        ),
    ] = ()  # fmt: skip
    pairs: Annotated[
        Path | None,
        Option("a table with the columns source,driving and any option of animate", metavar="CSV", group="files"),
    ] = None
    jobs: Annotated[Path | None, Option("a job file with pairs and options", metavar="YAML", group="files")] = None
    result_dir: Annotated[
        Path, Option("folder of the results", short="-o", aliases=("output",), metavar="FOLDER", group="files")
    ] = Path("results")
    overwrite: Annotated[bool, Option("replace existing files that are not of this batch", group="files")] = False
    workers: Annotated[
        int | None,
        Option("work with N processes (default: one)", metavar="N", low=1, high=_MOST_WORKERS, group="workers"),
    ] = None
    devices: Annotated[
        str | None, Option("one process on each, such as cuda:0,cuda:1", metavar="LIST", group="workers")
    ] = None
    engine_cluster: Annotated[
        Literal["ray"] | None, Option("work on a cluster instead (pip install ray)", group="workers")
    ] = None
    address: Annotated[
        str, Option("address of the Ray cluster (default: auto, the one of this machine)", group="workers")
    ] = "auto"

    def __post_init__(self) -> None:
        """Validate the options; raise InputError on an impossible combination."""
        check_bounds(self)
        if self.devices and self.workers:
            raise InputError("--devices and --workers exclude each other", "--devices starts a process for each")
        if self.engine_cluster and self.devices:
            raise InputError("--devices is for this machine only", "On a cluster, leave it out: each worker gets a GPU")
        if bool(self.source_image) != bool(self.driving_video):
            missing = "--source_image" if self.driving_video else "--driving_video"
            raise InputError(f"{missing} is missing", "Give both, or --pairs, or --jobs")


@dataclass(frozen=True)
class BatchJob:
    """Animate many pairs into one folder.

    Attributes:
        pairs: the jobs; a `result_video` is relative to `result_dir`, None for ``<source>--<driving>.mp4``.
        result_dir: the folder of the results, their journal and report.
        overwrite: replace existing files that this batch did not make.
        devices: one worker process for each; they may repeat.
        threads: processor threads of all workers together, or of each on a cluster; None for all cores, or for one
            on a cluster.
        cluster: address of a Ray cluster to run on, such as auto; None for processes on this machine.
        workers: number of workers on the cluster; None for as many as it has room for.
        range_frames: longer videos are split into ranges of about this many frames.
    """

    pairs: tuple[AnimateJob, ...]
    result_dir: Path
    overwrite: bool = False
    devices: tuple[str, ...] = ("auto",)
    threads: Annotated[int | None, Option("", low=1, high=1024)] = None
    cluster: str | None = None
    workers: Annotated[int | None, Option("", low=1, high=_MOST_WORKERS)] = None
    range_frames: int = 1024

    def __post_init__(self) -> None:
        """Validate the options; raise InputError on an impossible value."""
        check_bounds(self)
