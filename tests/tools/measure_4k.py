"""Measure what large videos and images cost: python tests/tools/measure_4k.py [FRAMES]

Prints the frames per second that a synthetic 3840x2160 H.264 video (7 MB a second) is decoded, cropped and resized at,
without networks, and what a frame pasted back into a picture of 4096x4096 takes. Leave the machine alone meanwhile.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import cast

import av
import numpy as np

from fomm_cli.animation.animator import Animator
from fomm_cli.animation.driving import VideoDriving
from fomm_cli.geometry import Region
from fomm_cli.marks.stamp import stamp_for
from fomm_cli.media.crop import region_of
from fomm_cli.media.paste import PasteBack
from fomm_cli.media.resize import fit_frame, fit_source
from fomm_cli.media.video.reader import open_clip
from fomm_cli.media.video.writer import open_writer
from fomm_cli.runtime.device import prepare_process

MODEL_SIZE = (256, 256)


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def blurred_noise(height: int, width: int) -> np.ndarray:
    """Return soft random shapes, uint8 (H, W, 3)."""
    seed = np.random.default_rng(0).integers(0, 256, (height // 32, width // 32, 3), dtype=np.uint8)
    return fit_frame(seed, (height, width), "stretch")


def write_video(path: Path, frames: int) -> None:
    """Write a camera's pan over an image as H.264, 60 frames a second."""
    picture = blurred_noise(2400, 4000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=60, options={"preset": "superfast", "crf": "24"})
        stream.width, stream.height, stream.pix_fmt = 3840, 2160, "yuv420p"
        for index in range(frames):
            top, left = index * 3 % 240, index * 5 % 160
            view = np.ascontiguousarray(picture[top : top + 2160, left : left + 3840])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")))
        container.mux(stream.encode(None))


def measure_reading(path: Path) -> None:
    """Print how fast the frames of a video become what the networks take."""
    animator = cast("Animator", SimpleNamespace(size=MODEL_SIZE, batch_size=1))
    for name, crop in (
        ("whole", None),
        ("1600x1600", Region(1000, 300, 1600, 1600)),
        ("900x900", Region(1001, 301, 900, 900)),
    ):
        driving = VideoDriving(open_clip(path), animator, "stretch", crop)
        began = time.perf_counter()
        count = sum(len(batch.moments) for batch in driving.batches())
        say(f"decode, crop ({name}) and resize: {count / (time.perf_counter() - began):.1f} frames/s")
    began = time.perf_counter()
    *_, (last, _) = open_clip(path).looks(Fraction(1, 2))
    say(f"decode, two looks a second: {(last + 1) / (time.perf_counter() - began):.1f} frames/s")


def measure_pasting(folder: Path) -> None:
    """Print what each step of writing a pasted frame of 4096x4096 takes."""
    whole = blurred_noise(4096, 4096)
    for side, animated in ((1600, 1600), (3000, 2048)):
        region = Region(801, 600, side, side)
        paste = PasteBack(whole, region, fit_source(region_of(whole, region), MODEL_SIZE, "stretch"))
        frame = fit_frame(np.ascontiguousarray(region_of(whole, region)), (animated, animated), "stretch")
        say(f"paste {animated}x{animated} into {side}x{side} of 4096x4096: {milliseconds(lambda: paste(frame))} ms")  # noqa: B023 - called at once
        pasted = paste(frame)
    stamp = stamp_for("0" * 64, invisible=True)
    say(f"mark: {milliseconds(lambda: stamp(pasted))} ms")
    with open_writer(folder / "out.mp4", (4096, 4096), Fraction(25), {}, None) as writer:
        times = iter(range(100))
        say(f"encode: {milliseconds(lambda: writer.write(pasted, Fraction(next(times), 25)))} ms")


def milliseconds(work: Callable[[], object], turns: int = 8) -> int:
    """Return what a call takes, the first one aside."""
    work()
    began = time.perf_counter()
    for _ in range(turns):
        work()
    return round(1000 * (time.perf_counter() - began) / turns)


def main(frames: int) -> None:
    """Measure both."""
    prepare_process(None)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "4k.mp4"
        write_video(path, frames)
        say(f"{frames} frames of 3840x2160, {path.stat().st_size / 1e6 / frames * 60:.1f} MB a second")
        measure_reading(path)
        measure_pasting(Path(folder))


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 120)
