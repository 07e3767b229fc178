"""Run units on a Ray cluster. Contents travel through Ray's object store, so no folder has to be shared.

Ray restarts an actor whose process or node is lost, wherever there is room. Its unit goes back to the queue at once and
does not wait for the restart.
"""

from __future__ import annotations

import getpass
import logging
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from fomm_cli.animation.options import AnimateJob
from fomm_cli.batch.options import BatchJob
from fomm_cli.batch.pool import Event, Failed, Finished, Unit
from fomm_cli.errors import FommError, InputError
from fomm_cli.extras import require

logger = logging.getLogger(__name__)

Contents: TypeAlias = "dict[str, bytes]"
"""Contents by their path in a folder; a file alone is named ``""``."""

_REMEMBERED = 64  # inputs kept in the object store, and copies kept by a worker, since other units may need them


@dataclass
class _Actor:
    """An actor and its unit; None while it starts."""

    handle: Any
    pending: Any
    unit: Unit | None = None
    folder: Path = Path()
    ready: bool = False


class RayPool:
    """A pool of actors on a Ray cluster.

    Attributes:
        slots: number of actors that are up.

    Raises:
        InputError: Ray is not installed, or there is no such cluster.
    """

    def __init__(self, job: BatchJob, longest: int) -> None:
        """Connect, and start as many actors as there is room and work for.

        Args:
            job: names the cluster and the resources of each worker.
            longest: the greatest number of units.
        """
        self._ray = _connect(str(job.cluster))
        total = self._ray.cluster_resources()
        device, threads = job.devices[0], job.threads or 1
        gpus = 1 if device != "cpu" and total.get("GPU", 0) >= 1 else 0
        room = int(total.get("GPU", 0)) if gpus else int(total.get("CPU", 1)) // threads
        count = job.workers or max(1, min(room, longest))
        remote = self._ray.remote(num_cpus=threads, num_gpus=gpus, max_restarts=-1)(_RayWorker)
        handles = [remote.remote(device, threads) for _ in range(count)]
        self._actors = [_Actor(handle, handle.check.remote()) for handle in handles]
        self._stored: dict[Path, Any] = {}
        logger.info("waiting for %d worker(s) on the cluster %s", count, job.cluster)

    @property
    def slots(self) -> int:
        """Return how many units run at a time: one for each actor that is up."""
        return sum(1 for actor in self._actors if actor.ready)

    def start(self, unit: Unit, folder: Path) -> None:
        """Give a unit, with the content of its inputs, to an actor that has none."""
        actor = next(actor for actor in self._actors if actor.ready and actor.unit is None)
        inputs = {str(path): self._store(path) for path in unit.inputs}
        actor.unit, actor.folder = unit, folder
        actor.pending = actor.handle.run.remote(unit, inputs)

    def _store(self, path: Path) -> Any:
        if path not in self._stored:
            self._stored[path] = self._ray.put(pack(path))
            if len(self._stored) > _REMEMBERED:
                del self._stored[next(iter(self._stored))]
        return self._stored[path]

    def events(self, timeout: float) -> list[Event]:
        """Return the events since the last call, after `timeout` seconds at the latest."""
        by_call = {actor.pending: actor for actor in self._actors if actor.pending is not None}
        if not by_call:
            time.sleep(timeout)
            return []
        done, _ = self._ray.wait(list(by_call), num_returns=1, timeout=timeout)
        return [event for call in done for event in self._finish(by_call[call])]

    def _finish(self, actor: _Actor) -> list[Event]:
        """Take the answer of an actor; one that is lost counts again once Ray has restarted it."""
        unit, call = actor.unit, actor.pending
        actor.unit = actor.pending = None
        try:
            answer, files = self._ray.get(call)
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.OutOfMemoryError) as error:
            logger.debug("%s", error)
            actor.ready = False
            actor.pending = actor.handle.check.remote()
            return [] if unit is None else [Failed(unit.number, "the worker on the cluster was lost", may_pass=True)]
        except self._ray.exceptions.RayTaskError as error:
            text = f"unexpected {' '.join(str(error.cause).split())}"
            return [] if unit is None else [Failed(unit.number, text, may_pass=False)]
        actor.ready = True
        if isinstance(answer, FommError):
            raise answer
        if unit is None:
            return []
        unpack(files, actor.folder)
        return [answer]

    def close(self) -> None:
        """Stop all actors, and leave the cluster."""
        for actor in self._actors:
            self._ray.kill(actor.handle, no_restart=True)
        self._ray.shutdown()


class _RayWorker:
    """The actor: a worker with its model, and copies of the files that it was sent."""

    def __init__(self, device: str, threads: int) -> None:
        import fomm_cli.batch.worker as module

        self._module = module
        self._folder = tempfile.TemporaryDirectory(prefix="fomm-")
        self._copies: list[Path] = []
        shared = Path(tempfile.gettempdir()) / f"fomm-motion-{getpass.getuser()}"  # with other workers of this machine
        shared.mkdir(exist_ok=True)
        self._worker: Any = None
        self._problem: FommError | None = None
        try:
            self._worker = module.PairWorker(device, threads, shared)
        except FommError as error:
            self._problem = error

    def check(self) -> tuple[FommError | None, Contents]:
        """Return once the worker is up, with the error if it cannot work."""
        return self._problem, {}

    def run(self, unit: Unit, inputs: dict[str, Any]) -> tuple[Finished | Failed, Contents]:
        """Run a unit; returns the outcome and the files that it made."""
        while len(self._copies) > _REMEMBERED:
            shutil.rmtree(self._copies.pop(0))
        local = {path: self._local(Path(path), content) for path, content in inputs.items()}
        job, parts = _moved(unit.job, local), tuple(local[str(part)] for part in unit.parts)
        with tempfile.TemporaryDirectory(dir=self._folder.name) as folder:
            moved = replace(unit, job=job, parts=parts)
            answer = self._module.answer(self._worker, moved, Path(folder), lambda _frames: None)
            return _renamed(answer, local), pack(Path(folder))

    def _local(self, path: Path, content: Any) -> Path:
        import ray

        folder = Path(self._folder.name) / str(content.hex())
        if folder not in self._copies:
            folder.mkdir()
            unpack(ray.get(content), folder / path.name)
            self._copies.append(folder)
        return folder / path.name


def _moved(job: AnimateJob, local: dict[str, Path]) -> AnimateJob:
    """Return the job with the paths of the local copies."""
    checkpoint = None if job.checkpoint is None else local[str(job.checkpoint)]
    config = job.config if job.config is None else str(local.get(job.config, job.config))
    source, driving = local[str(job.source_image)], local[str(job.driving_video)]
    background = job.background if job.background_image is None else str(local[str(job.background_image)])
    return replace(
        job, source_image=source, driving_video=driving, checkpoint=checkpoint, config=config, background=background
    )


def _renamed(answer: Finished | Failed, local: dict[str, Path]) -> Finished | Failed:
    """Return the answer with the paths of the machine that asked."""

    def at_home(text: str) -> str:
        for path, place in local.items():
            text = text.replace(str(place), path)
        return text

    if isinstance(answer, Failed):
        return replace(answer, error=at_home(answer.error))
    warnings = tuple(map(at_home, answer.outcome.warnings))
    return replace(answer, outcome=replace(answer.outcome, warnings=warnings))


def _connect(address: str) -> Any:
    require("ray")
    import ray

    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"there is no Ray cluster at {address}", "Start one with: ray start --head") from error
    return ray


def pack(path: Path) -> Contents:
    """Read a file or folder into memory."""
    if not path.is_dir():
        return {"": path.read_bytes()}
    files = (child for child in path.rglob("*") if child.is_file())
    return {child.relative_to(path).as_posix(): child.read_bytes() for child in files}


def unpack(files: Contents, place: Path) -> None:
    """Write what `pack` has read to a new place."""
    for name, content in files.items():
        target = place / name if name else place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
