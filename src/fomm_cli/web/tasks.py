"""Run the tasks of the server in child processes; arguments and results travel between processes."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fomm_cli.progress import Progress

_PREVIEW_SIDE = 1024  # pixels
_CURVE_POINTS = 600


def animate_files(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Animate a source; `arguments` holds the `job`, whose result is a name without a suffix, and the `format`."""
    from fomm_cli.animation.animate import animate
    from fomm_cli.animation.template import open_footage

    job = arguments["job"]
    is_still = open_footage(job.driving_video).info.still
    path = job.result_video.with_suffix(".png" if is_still else arguments["format"])
    result = animate(replace(job, result_video=path), progress)
    return {
        "file": path.name,
        "still": is_still,
        "frames": result.frames,
        "seconds": result.seconds,
        "frames_per_second": result.frames / result.seconds,
        "duration": float(result.duration),
        "audio": result.audio,
        "device": result.device,
        "engine": result.engine,
        "precision": result.precision,
        "best_frame": result.best_frame,
        "source_crop": result.source_crop,
        "driving_crop": result.driving_crop,
    }


def check_files(arguments: dict[str, Any], _progress: Progress) -> dict[str, Any]:
    """Judge a source and list its faces; `arguments` holds the `job`."""
    from fomm_cli.faces.check import check
    from fomm_cli.faces.detectors.opening import open_detector
    from fomm_cli.media.first_frame import read_first_frame

    job = arguments["job"]
    image = read_first_frame(job.source_image)
    with open_detector(job.face_backend) as detector:
        faces = detector.detect(image)
    result = check(job)
    return {
        "verdict": result.verdict,
        "face_backend": result.face_backend,
        "width": image.shape[1],
        "height": image.shape[0],
        "faces": [asdict(face.box) for face in faces],
        "source": [asdict(finding) for finding in result.source],
        "driving": [asdict(finding) for finding in result.driving],
    }


def draw_preview(arguments: dict[str, Any], _progress: Progress) -> None:
    """Write an image, or the first frame of a video, as a JPEG that every browser shows.

    `arguments` holds the `path` to read and the `preview` to write.
    """
    from PIL import Image

    from fomm_cli.media.first_frame import read_first_frame

    image = Image.fromarray(read_first_frame(arguments["path"]))
    image.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE), Image.Resampling.LANCZOS)
    preview: Path = arguments["preview"]
    part = preview.with_suffix(".part")
    image.save(part, "JPEG", quality=88)
    part.replace(preview)


def score_files(arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Score a result and return its parts and curves; `arguments` holds the `job`."""
    from fomm_cli.scoring.curves import CHANNELS
    from fomm_cli.scoring.scorer import score

    scored = score(arguments["job"], progress)
    step = max(1, len(scored.times) // _CURVE_POINTS)
    curves = [
        {
            "name": name,
            "part": CHANNELS[name].part,
            "unit": CHANNELS[name].unit,
            "driving": _plain(scored.driving[name][::step]),
            "result": _plain(scored.result[name][::step]),
        }
        for name in scored.driving
    ]
    return {
        "basis": scored.scores.basis,
        "total": None if scored.scores.total is None else asdict(scored.scores.total),
        "parts": {name: None if part is None else asdict(part) for name, part in scored.scores.parts.items()},
        "notes": list(scored.scores.notes),
        "times": _plain(scored.times[::step]),
        "curves": curves,
    }


def _plain(values: Any) -> list[float | None]:
    """Return an array as JSON has it: NaN becomes null."""
    return [None if value != value else round(float(value), 5) for value in values]
