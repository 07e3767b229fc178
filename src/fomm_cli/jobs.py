"""What each command is asked to do: frozen, checked, independent of where it was asked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from fomm_cli.errors import InputError
from fomm_cli.runtime.precision import check_precision


@dataclass(frozen=True)
class AnimateJob:
    """Animate a source picture by a driving video. Times in seconds of the driving video, frames from 0.

    Attributes:
        source_image: the picture to animate.
        driving_video: a video, a folder of frames, a picture, or a motion template.
        result_video: where to write; None for result.mp4, or result.png for a driving picture.
        checkpoint: weights; None for the small model in the package.
        config: bundled name or file; None for the checkpoint's own.
        relative: transfer the motion since the initial frame rather than the pose itself.
        adapt_scale: scale relative motion by the ratio of the sizes of the faces.
        find_best_frame: take the driving frame most like the source as the initial one.
        best_frame: take this driving frame as the initial one.
        audio: carry over the sound of the driving video.
        device: auto, cpu, cuda, cuda:N or mps.
        align_corners: sampling convention, see `Animator.load`.
        fit: how pictures that are not square are brought to the model's size.
        start: where in the driving video to begin.
        end: where to stop, exclusive; None for its end.
        max_frames: stop after so many frames.
        fps: frames per second of a folder of frames.
        crf: quality of the encoded video, lower is better; None for the default of the format.
        visualize: also write source, driving and result side by side with their key points.
        crop: what is cropped to its face; auto: what is framed clearly differently from the training data, for
            models of faces.
        face: which face of the source, the largest is 1; None for that.
        face_at: the face of the source at this place, (x, y) in pixels.
        face_backend: what finds faces.
        paste_back: put the animated face back into the whole source picture.
        motion_scale: multiplies relative motion.
        smooth: filter the motion over time, against jitter.
        threads: processor threads to compute with; None for all cores.
        engine: what computes the frames.
        precision: of the layers, as far as the engine has it; auto: bf16 where the hardware computes in it.
    """

    source_image: Path
    driving_video: Path
    result_video: Path | None = None
    checkpoint: Path | None = None
    config: str | None = None
    relative: bool = True
    adapt_scale: bool = True
    find_best_frame: bool = False
    best_frame: int | None = None
    audio: bool = False
    device: str = "auto"
    align_corners: bool = True
    fit: Literal["stretch", "crop", "pad"] = "stretch"
    start: float = 0.0
    end: float | None = None
    max_frames: int | None = None
    fps: Fraction | None = None
    crf: int | None = None
    visualize: bool = False
    crop: Literal["auto", "none", "source", "driving", "both"] = "auto"
    face: int | None = None
    face_at: tuple[float, float] | None = None
    face_backend: Literal["auto", "mediapipe", "face-alignment", "builtin"] = "auto"
    paste_back: bool = False
    motion_scale: float = 1.0
    smooth: bool = False
    threads: int | None = None
    engine: Literal["torch", "onnxruntime", "openvino"] = "torch"
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        _require_times(self.start, self.end, self.max_frames, self.fps)
        _require(self.best_frame is None or self.best_frame >= 0, "--best_frame", self.best_frame, "0 or more")
        _require(self.crf is None or 0 <= self.crf <= 51, "--crf", self.crf, "0 (best) to 51")
        _require(self.threads is None or self.threads > 0, "--threads", self.threads, "1 or more")
        if self.find_best_frame and self.best_frame is not None:
            raise InputError("--find_best_frame and --best_frame exclude each other", "Leave one of them out")
        _require_one_face(self.face, self.face_at)
        allowed = "0 (no motion) to 10; 1 is the motion of the driving video"
        _require(0 <= self.motion_scale <= 10, "--motion_scale", self.motion_scale, allowed)
        if self.motion_scale != 1 and not self.relative:
            raise InputError("--motion_scale multiplies relative motion", "Leave out --absolute")
        check_precision(self.engine, self.precision)


def _require(met: bool, flag: str, value: object, allowed: str) -> None:
    if not met:
        raise InputError(f"{flag} {value} is impossible", f"Allowed: {allowed}")


def _require_times(start: float, end: float | None, max_frames: int | None, fps: Fraction | None) -> None:
    _require(math.isfinite(start) and start >= 0, "--start", start, "seconds, 0 or more")
    if end is not None:
        _require(math.isfinite(end) and end > start, "--end", end, f"seconds, more than --start ({start:g})")
    _require(max_frames is None or max_frames > 0, "--max_frames", max_frames, "1 or more")
    _require(fps is None or 0 < fps <= 1000, "--fps", fps, "frames per second, up to 1000")


def _require_one_face(face: int | None, face_at: tuple[float, float] | None) -> None:
    _require(face is None or face > 0, "--face", face, "1 for the largest face, 2 for the next, ...")
    if face is not None and face_at is not None:
        raise InputError("--face and --face_at exclude each other", "Leave one of them out")


@dataclass(frozen=True)
class ExtractJob:
    """Save the motion of a driving video as a motion template; the other fields are those of `AnimateJob`.

    Attributes:
        output: the template to write.
        crop: whether the frames are cropped to their face; auto: if framed clearly differently from the training data.
    """

    driving_video: Path
    output: Path
    checkpoint: Path | None = None
    config: str | None = None
    device: str = "auto"
    fit: Literal["stretch", "crop", "pad"] = "stretch"
    start: float = 0.0
    end: float | None = None
    max_frames: int | None = None
    fps: Fraction | None = None
    crop: Literal["auto", "none", "driving"] = "auto"
    face_backend: Literal["auto", "mediapipe", "face-alignment", "builtin"] = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        _require_times(self.start, self.end, self.max_frames, self.fps)
        _require(self.threads is None or self.threads > 0, "--threads", self.threads, "1 or more")


@dataclass(frozen=True)
class CheckJob:
    """Tell how well a picture will animate; the fields are those of `AnimateJob`."""

    source_image: Path
    driving_video: Path | None = None
    fit: Literal["stretch", "crop", "pad"] = "stretch"
    face: int | None = None
    face_at: tuple[float, float] | None = None
    face_backend: Literal["auto", "mediapipe", "face-alignment", "builtin"] = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        _require_one_face(self.face, self.face_at)


@dataclass(frozen=True)
class CropJob:
    """Cut every face out of a video or picture.

    Attributes:
        inp: the video or picture.
        result_dir: folder for the clips.
        image_shape: (width, height) of the clips.
        increase: what is added to the box of a head at each side, as a fraction of it.
        iou_with_initial: how much a face must share with its first box to be followed, 0 to 1.
        min_frames: shorter tracks are left out; a picture has one frame whatever it says.
        dry_run: say what would be done.
        face_backend: what finds faces.
    """

    inp: Path
    result_dir: Path
    image_shape: tuple[int, int] = (256, 256)
    increase: float = 0.1
    iou_with_initial: float = 0.25
    min_frames: int = 150
    dry_run: bool = False
    face_backend: Literal["auto", "mediapipe", "face-alignment", "builtin"] = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        even = all(side >= 16 and side % 2 == 0 for side in self.image_shape)
        _require(even, "--image_shape", "{},{}".format(*self.image_shape), "two even numbers from 16")
        _require(math.isfinite(self.increase) and self.increase >= 0, "--increase", self.increase, "0 or more")
        _require(0 <= self.iou_with_initial < 1, "--iou_with_initial", self.iou_with_initial, "0 to below 1")
        _require(self.min_frames >= 0, "--min_frames", self.min_frames, "0 or more")


@dataclass(frozen=True)
class ConvertJob:
    """Write the two networks of a checkpoint, with their config, to a small safetensors file.

    Attributes:
        checkpoint: the file to read.
        target: the file to write.
        config: of the weights; None for the one inside, or vox-256.
        half: store half precision.
        training: keep the discriminator too, so that training can go on from the file.
    """

    checkpoint: Path
    target: Path
    config: str | None = None
    half: bool = False
    training: bool = False


@dataclass(frozen=True)
class ExportJob:
    """Write the networks of a checkpoint as ONNX files.

    Attributes:
        result_dir: folder to write them to.
        checkpoint: weights; None for the small model in the package.
        config: bundled name or file; None for the checkpoint's own.
        align_corners: sampling convention, see `Animator.load`.
    """

    result_dir: Path
    checkpoint: Path | None = None
    config: str | None = None
    align_corners: bool = True


@dataclass(frozen=True)
class BenchJob:
    """Time every engine that is installed.

    Attributes:
        source_image: the picture to animate.
        driving_video: a video to animate it by.
        checkpoint: weights; None for the small model in the package.
        config: bundled name or file; None for the checkpoint's own.
        device: auto, cpu, cuda, cuda:N or mps, for PyTorch; the others run on the CPU.
        max_frames: of the driving video.
        rounds: how often each engine takes its turn.
        threads: processor threads to compute with; None for all cores.
    """

    source_image: Path
    driving_video: Path
    checkpoint: Path | None = None
    config: str | None = None
    device: str = "auto"
    max_frames: int = 20
    rounds: int = 5
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        _require(self.max_frames > 1, "--max_frames", self.max_frames, "2 or more")
        _require(self.rounds > 0, "--rounds", self.rounds, "1 or more")
        _require(self.threads is None or self.threads > 0, "--threads", self.threads, "1 or more")


@dataclass(frozen=True)
class BatchJob:
    """Animate many pairs into one folder.

    Attributes:
        pairs: what to animate; a `result_video` is relative to `result_dir`, None for ``<source>--<driving>.mp4``.
        result_dir: the folder of the results, their journal and report.
        overwrite: replace files in the way that this batch did not make.
        devices: one worker process for each; they may repeat.
        threads: processor threads of all workers of this machine, or of each on a cluster; None for all cores, or
            one on a cluster.
        cluster: address of a Ray cluster to run on, such as auto; None for processes on this machine.
        workers: how many work at a time on the cluster; None for as many as it has room for.
        range_frames: a longer video is cut into ranges of about so many frames.
    """

    pairs: tuple[AnimateJob, ...]
    result_dir: Path
    overwrite: bool = False
    devices: tuple[str, ...] = ("auto",)
    threads: int | None = None
    cluster: str | None = None
    workers: int | None = None
    range_frames: int = 1024

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        _require(self.threads is None or self.threads > 0, "--threads", self.threads, "1 or more")
        _require(self.workers is None or self.workers > 0, "--workers", self.workers, "1 or more")


@dataclass(frozen=True)
class TrainJob:
    """Train a model.

    Attributes:
        config: bundled name or file; None for that of the training to resume, or of `checkpoint`.
        log_dir: folder for checkpoints, logs and pictures.
        checkpoint: weights to start from; None for random ones.
        resume: go on with the training in `log_dir`.
        max_minutes: stop after so long, ready to be resumed.
        log_every: steps between two lines of the log.
        device: auto, cpu, cuda, cuda:N or mps; under torchrun, each process takes a GPU of its own.
    """

    config: str | None
    log_dir: Path
    checkpoint: Path | None = None
    resume: bool = False
    max_minutes: float | None = None
    log_every: int = 100
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        _require(self.max_minutes is None or self.max_minutes > 0, "--max_minutes", self.max_minutes, "above 0")
        _require(self.log_every > 0, "--log_every", self.log_every, "1 or more")
        if self.resume and self.checkpoint is not None:
            raise InputError("--resume and --checkpoint exclude each other", "--resume takes last.pth.tar in --log_dir")


@dataclass(frozen=True)
class ReconstructJob:
    """Rebuild test videos from their first frames.

    Attributes:
        root_dir: folder with the videos, or with `test/` that holds them.
        output: folder to write to.
        checkpoint: weights; None for the small model in the package.
        config: bundled name or file; None for the checkpoint's own.
        max_frames: of each video at most.
        device: auto, cpu, cuda, cuda:N or mps.
    """

    root_dir: Path
    output: Path
    checkpoint: Path | None = None
    config: str | None = None
    max_frames: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        _require(self.max_frames is None or self.max_frames > 0, "--max_frames", self.max_frames, "1 or more")


@dataclass(frozen=True)
class EvaluateJob(ReconstructJob):
    """Measure how well a model rebuilds test videos.

    Attributes:
        previous: the weights of a model to compare with.
        perceptual: network for the distance of features, as in `train_params.perceptual`; None for no such distance.
    """

    previous: Path | None = None
    perceptual: str | None = None


@dataclass(frozen=True)
class ScoreJob:
    """Score how well a result takes over the movement of its driving video.

    Attributes:
        result: the animated video.
        driving_video: what it was animated with.
        source_image: what it was made from; None for the first frame of the result.
        checkpoint: the model asked where no face is found; None for the small model in the package.
        config: bundled name or file; None for the checkpoint's own.
        device: auto, cpu, cuda, cuda:N or mps.
        csv: where to write the curves and scores of every frame.
        plot: where to draw them: .png, .svg or .pdf.
    """

    result: Path
    driving_video: Path
    source_image: Path | None = None
    checkpoint: Path | None = None
    config: str | None = None
    device: str = "auto"
    csv: Path | None = None
    plot: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        suffix = "" if self.plot is None else self.plot.suffix.lower()
        _require(
            self.plot is None or suffix in (".png", ".svg", ".pdf"),
            "--plot",
            self.plot,
            "a name that ends in .png, .svg or .pdf",
        )


@dataclass(frozen=True)
class StudyJob:
    """Animate portraits in many framings, and other pictures, with one driving video, and score the results.

    Attributes:
        out: folder of the study; results that are there already are kept.
        source_images: portraits that the series of sizes and places are made from.
        driving_video: what moves them; None to write the report of the study in `out` anew.
        sizes: heights of the face in heights of the driving face, by name; None for those of the study.
        places: middle of the face as (x, y) in fractions of the frame, by name; None for those of the study.
        kinds: further pictures, as ``label=picture``, ``label=folder``, a folder of such folders, or a CSV with the
            columns kind and picture.
        checkpoints: one for each model to compare; none for the small model in the package.
        configs: one for each checkpoint, or one for all, or none; None is the checkpoint's own.
        max_frames: of the driving video.
        ratings: CSV with the points that people have given.
        device: auto, cpu, cuda, cuda:N or mps.
        workers: processes that animate.
        threads: processor threads for all of them; None for all cores.
    """

    out: Path
    source_images: tuple[Path, ...] = ()
    driving_video: Path | None = None
    sizes: tuple[tuple[str, float], ...] | None = None
    places: tuple[tuple[str, tuple[float, float]], ...] | None = None
    kinds: tuple[str, ...] = ()
    checkpoints: tuple[Path, ...] = ()
    configs: tuple[str | None, ...] = ()
    max_frames: int | None = None
    ratings: Path | None = None
    device: str = "auto"
    workers: int = 1
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        _require(self.workers > 0, "--workers", self.workers, "1 or more")
        _require(self.threads is None or self.threads > 0, "--threads", self.threads, "1 or more")
        _require(self.max_frames is None or self.max_frames > 1, "--max_frames", self.max_frames, "2 or more")
        pictures = bool(self.source_images or self.kinds)
        if pictures and self.driving_video is None:
            raise InputError("--driving_video is missing", "Give the video that moves the pictures")
        if not pictures and self.driving_video is not None:
            raise InputError("there is nothing to animate", "Give --source_image, or --kind label=picture, or both")
        if not pictures and self.ratings is None:
            raise InputError("there is nothing to do", "Give --source_image and --driving_video, or --ratings")
        if len(self.configs) not in (0, 1, len(self.checkpoints)):
            raise InputError("there are more --config than --checkpoint", "Give one for each, or one for all")
        for name, place in self.places or ():
            allowed = "x,y from 0 to 1, fractions of the frame"
            _require(all(0 <= value <= 1 for value in place), f"--places {name}", "{:g},{:g}".format(*place), allowed)
