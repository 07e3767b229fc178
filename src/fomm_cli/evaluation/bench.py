"""`fomm bench`: time every engine that is installed, side by side.

Each engine has its own process, so that its memory can be measured. They take turns, so that other load on the machine
slows all of them alike.
"""

from __future__ import annotations

import logging
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import torch

from fomm_cli.animation.animate import Files, animate_with
from fomm_cli.animation.animation import Animation
from fomm_cli.animation.animator import REHEARSAL, Animator
from fomm_cli.animation.driving import open_driving
from fomm_cli.animation.options import AnimateJob
from fomm_cli.errors import FommError
from fomm_cli.evaluation.options import BenchJob
from fomm_cli.extras import is_installed
from fomm_cli.media.difference import psnr
from fomm_cli.media.first_frame import read_first_frame
from fomm_cli.media.resize import fit_frame, fit_source
from fomm_cli.media.video.reader import Clip, open_clip
from fomm_cli.media.video.writer import open_writer
from fomm_cli.models.download import with_checkpoint_file
from fomm_cli.progress import Progress, silent
from fomm_cli.runtime.child import prepare_child, sendable_error, start_child
from fomm_cli.runtime.device import choose_device, describe_device, prepare_process
from fomm_cli.runtime.precision import has_bf16

logger = logging.getLogger(__name__)

_COMPARED = 8  # frames
_PATIENCE = 5  # seconds


@dataclass(frozen=True)
class Timing:
    """The measurements of one engine.

    Attributes:
        engine: its name; `reference` does what the original does.
        precision: of its layers.
        device: what it runs on.
        checkpoint: the name of the weights.
        fps_median: frames per second, the median of all rounds.
        fps_min: of the slowest round.
        fps_max: of the fastest round.
        ratio: `fps_median` by that of the reference.
        psnr_db: of the frames against the reference's, at most 100.
        max_abs: largest difference from the reference's frames, in [0, 1].
        peak_mb: peak memory in MB, of the process or, on a GPU, of the device; None where the system does not tell.
        end_to_end: the whole of `fomm animate` but loading the model, rather than the networks alone.
    """

    engine: str
    precision: str
    device: str
    checkpoint: str
    fps_median: float
    fps_min: float
    fps_max: float
    ratio: float
    psnr_db: float
    max_abs: float
    peak_mb: float | None
    end_to_end: bool


@dataclass(frozen=True)
class _Variant:
    engine: str
    precision: str
    device: str


@dataclass(frozen=True)
class _Ready:
    """The message of a process whose engine is loaded."""

    device: str
    frames: np.ndarray  # float32 (B, 3, H, W)


@dataclass(frozen=True)
class _Turn:
    """Frames per second, and the peak memory in MB so far."""

    fps: float
    peak_mb: float | None


def bench(job: BenchJob, progress: Progress = silent) -> list[Timing]:
    """Time every engine that is installed.

    Raises:
        FommError: the files cannot be worked with, or the reference engine does not run.
    """
    open_clip(job.driving_video)
    read_first_frame(job.source_image)
    job = with_checkpoint_file(job, progress)
    with ExitStack() as running:
        engines = _start_all(job, running, progress)
        turns: dict[tuple[_Process, bool], list[_Turn]] = {}
        for end_to_end in (False, True):  # all of the first before the second, which takes more memory
            for turn in range(job.rounds * len(engines)):
                engine = engines[turn % len(engines)]
                turns.setdefault((engine, end_to_end), []).append(engine.turn(end_to_end))
                progress("end to end" if end_to_end else "networks", turn + 1, job.rounds * len(engines))
        return [row for end_to_end in (False, True) for row in _rows(job, engines, turns, end_to_end)]


def _start_all(job: BenchJob, running: ExitStack, progress: Progress) -> list[_Process]:
    variants = _variants(job.device)
    engines = []
    for done, variant in enumerate(variants, start=1):
        if engine := _started(variant, job, running):
            engines.append(engine)
        progress("loading engines", done, len(variants))
    return engines


def _variants(device: str) -> list[_Variant]:
    """Return the engines and precisions that can be timed here, the reference first."""
    chosen = choose_device(device)
    low = ["bf16"] if has_bf16(chosen.type) else []
    low += ["fp16"] if chosen.type == "cuda" else []
    found = [_Variant("reference", "fp32", str(chosen))]
    found += [_Variant("torch", precision, str(chosen)) for precision in ("fp32", *low)]
    if is_installed("onnx"):
        found.append(_Variant("onnxruntime", "fp32", "cpu"))
    if is_installed("openvino"):
        low = ["bf16"] if has_bf16("cpu") else []
        found += [_Variant("openvino", precision, "cpu") for precision in ("fp32", *low, "int8")]
    return found


class _Process:
    """An engine in a process of its own."""

    def __init__(self, variant: _Variant, job: BenchJob, folder: Path) -> None:
        self.variant = variant
        self._process, self._connection = start_child(_serve, variant, job, folder)
        try:
            self.ready = cast("_Ready", self._receive())
        except BaseException:
            self._process.kill()
            self.close()
            raise

    def turn(self, end_to_end: bool) -> _Turn:
        """Animate all frames once."""
        self._connection.send(end_to_end)
        return cast("_Turn", self._receive())

    def _receive(self) -> object:
        try:
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise FommError("its process died", "It may need more memory than there is") from error
        if isinstance(answer, FommError):
            raise answer
        return answer

    def leave(self, kind: type[BaseException] | None, _error: object, _trace: object) -> None:
        """End the process: by a farewell after the work, at once where the work was broken off."""
        if kind is not None:
            self._process.kill()
        self.close()

    def close(self) -> None:
        self._connection.close()  # which ends its loop
        self._process.join(_PATIENCE)
        self._process.kill()
        self._process.join()


def _started(variant: _Variant, job: BenchJob, running: ExitStack) -> _Process | None:
    """Start an engine that ends with `running`; log a warning and return None if it does not work here."""
    folder = Path(running.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
    try:
        process = _Process(variant, job, folder)
    except FommError as error:
        if variant.engine == "reference":
            raise
        logger.warning("leaving out %s %s: %s", variant.engine, variant.precision, error)
        return None
    running.push(process.leave)
    return process


def _rows(
    job: BenchJob, engines: Sequence[_Process], turns: dict[tuple[_Process, bool], list[_Turn]], end_to_end: bool
) -> Iterator[Timing]:
    wanted = engines[0].ready.frames
    reference = statistics.median(turn.fps for turn in turns[engines[0], end_to_end])
    for engine in engines:
        taken = turns[engine, end_to_end]
        speeds = [turn.fps for turn in taken]
        difference = engine.ready.frames - wanted
        yield Timing(
            engine=engine.variant.engine,
            precision=engine.variant.precision,
            device=engine.ready.device,
            checkpoint=job.checkpoint.name if job.checkpoint else "the small model",
            fps_median=statistics.median(speeds),
            fps_min=min(speeds),
            fps_max=max(speeds),
            ratio=statistics.median(speeds) / reference,
            psnr_db=psnr(float(np.square(difference).mean())),
            max_abs=float(np.abs(difference).max()),
            peak_mb=taken[-1].peak_mb,
            end_to_end=end_to_end,
        )


def _serve(connection: Connection, variant: _Variant, job: BenchJob, folder: Path) -> None:
    """Run in the process: say when the engine is loaded, then answer each message with a turn."""
    prepare_child()
    try:
        prepare_process(job.threads)
        measured = _Measured(variant, job, folder)
        connection.send(measured.ready)
        while True:
            connection.send(measured.end_to_end() if connection.recv() else measured.networks())
    except (EOFError, BrokenPipeError):  # the process that asked is gone
        return
    except Exception as error:  # noqa: BLE001 - told to the process that asked
        with suppress(OSError):
            connection.send(sendable_error(error))


class _Measured:
    """One engine with frames to animate."""

    def __init__(self, variant: _Variant, job: BenchJob, folder: Path) -> None:
        self._animate = AnimateJob(
            job.source_image,
            job.driving_video,
            folder / "result.mp4",
            max_frames=job.max_frames,
            crop="none",
        )
        self._animator = Animator.load(
            job.checkpoint, job.config, device=variant.device, engine=variant.engine, precision=variant.precision
        )
        clip = open_clip(job.driving_video, max_frames=job.max_frames)
        self._frames = [fit_frame(frame.image, self._animator.size, "stretch") for frame in clip.frames()]
        self._animation = self._start(fit_source(read_first_frame(job.source_image), self._animator.size, "stretch"))
        self.ready = _Ready(describe_device(self._animator.device), self._decoded())

    def _start(self, source: np.ndarray) -> Animation:
        some = self._frames[:: -(-len(self._frames) // REHEARSAL)]
        rehearsal = (self._animator.detect(frame[None]) for frame in some)
        return self._animator.start(source, self._frames[0], relative=True, adapt_scale=True, rehearsal=rehearsal)

    @torch.inference_mode()
    def _decoded(self) -> np.ndarray:
        points = (self._animator.detect(frame[None]) for frame in islice(self._frames, _COMPARED))
        frames = [self._animation.decode(self._animation.transfer(point)).frames for point in points]
        return torch.cat(frames).cpu().numpy()

    def networks(self) -> _Turn:
        """Time the networks alone: frames in memory to frames in memory."""
        batches = list(self._animator.batches(self._frames))
        began = time.perf_counter()
        for _ in self._animation.frames(batches):
            pass
        return self._turn(len(self._frames) / (time.perf_counter() - began))

    def end_to_end(self) -> _Turn:
        """Time everything but loading the model: files to a file."""
        if self._animator.engine.name == "reference":
            return self._turn(self._as_the_original())
        files = Files.open(self._animate)
        driving = open_driving(self._animate, self._animator, files.footage)
        result = animate_with(self._animate, self._animator, driving, files)
        return self._turn(result.frames / result.seconds)

    def _as_the_original(self) -> float:
        """Work in the original's order: read everything, resize everything, animate everything, write everything."""
        began = time.perf_counter()
        files = Files.open(self._animate)
        size = self._animator.size
        source = _resized(files.image, size)
        clip = cast("Clip", files.footage)
        driving = [_resized(image, size) for image in [frame.image for frame in clip.frames()]]
        animation = self._animator.start(
            source, self._animator.detect(driving[0][None]), relative=True, adapt_scale=True
        )
        images = [animation.step(frame) for frame in driving]
        with files.target.publishing() as part, open_writer(part, size, clip.info.rate, {}, None) as writer:
            for index, image in enumerate(images):
                writer.write(image, index / clip.info.rate, None)
        return len(images) / (time.perf_counter() - began)

    def _turn(self, fps: float) -> _Turn:
        if self._animator.device.type == "cuda":
            return _Turn(fps, torch.cuda.max_memory_allocated() / 1e6)
        return _Turn(fps, _peak_mb())


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image, uint8 (H, W, 3), by the original's own function; returns float32 in [0, 1]."""
    from skimage.transform import resize

    resized: np.ndarray = resize(image, size)  # type: ignore[no-untyped-call]
    return resized.astype(np.float32)


def _peak_mb() -> float | None:
    """Return the peak memory of this process in MB; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the size of the parent
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes on macOS
