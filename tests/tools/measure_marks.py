"""Measure the invisible mark: the tables of docs/marks.md.

    python tests/tools/measure_marks.py attacks FOLDER [--size 512] [--workers 2]
    python tests/tools/measure_marks.py unmarked FILE... [--workers 2]
    python tests/tools/measure_marks.py speed

FOLDER holds results without a mark, one subfolder of frames for each (`fomm animate ... -o FOLDER/name`). Every result
is marked, encoded as `fomm animate` encodes it, attacked, and read.
`unmarked` cuts every FILE into clips of 25 frames and counts where a mark is found although there is none.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from fomm_cli.marks.code import Payload
from fomm_cli.marks.detect import detect
from fomm_cli.marks.watermark import InvisibleMark
from fomm_cli.media.first_frame import read_first_frame
from fomm_cli.media.video.reader import open_clip
from support.attacks import as_gif, as_jpeg, brightened, cropped, dropped, encoded, scaled, with_gamma

PAYLOAD = Payload.of("0.2.0", "c0de" + 60 * "0")
CLIP = 25  # frames
MOST_FRAMES = 60
LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Attack = Callable[[np.ndarray], np.ndarray]

ATTACKS: dict[str, Attack] = {
    "as written (H.264, CRF 16)": lambda frames: frames,
    **{f"H.264 at CRF {crf}": partial(encoded, crf=crf) for crf in (18, 23, 26, 28, 30)},
    **{f"H.265 at CRF {crf}": partial(encoded, codec="libx265", crf=crf) for crf in (24, 28)},
    **{
        f"VP9 at CRF {crf}": partial(encoded, codec="libvpx-vp9", crf=crf, form="webm", b="0", **{"cpu-used": "4"})
        for crf in (32, 36)
    },
    "H.264 at CRF 23, then at CRF 28": lambda frames: encoded(encoded(frames, crf=23), crf=28),
    **{
        f"scaled by {factor:g}": lambda frames, factor=factor: encoded(scaled(frames, factor))
        for factor in (0.5, 0.75, 1.5, 2)
    },
    **{
        f"10 % cut off: {side}": lambda frames, side=side: encoded(cropped(frames, **{side: 0.1}))
        for side in ("left", "right", "top", "bottom")
    },
    "10 % cut off all sides": lambda frames: encoded(cropped(frames, 0.1, 0.1, 0.1, 0.1)),
    "10 % cut off, scaled back": lambda frames: encoded(scaled(cropped(frames, 0, 0.1, 0.1, 0), 1 / 0.9)),
    "15 of 30 frames dropped": lambda frames: encoded(dropped(frames)),
    "brightness +20 %": lambda frames: encoded(brightened(frames, 1.2)),
    "brightness -20 %": lambda frames: encoded(brightened(frames, 0.8)),
    "gamma 0.8": lambda frames: encoded(with_gamma(frames, 0.8)),
    "gamma 1.2": lambda frames: encoded(with_gamma(frames, 1.2)),
    "GIF, 256 colours": as_gif,
    "GIF, 64 colours": partial(as_gif, colours=64),
    "one frame, PNG": lambda frames: frames[30:31],
    **{
        f"one frame, JPEG at quality {quality}": lambda frames, quality=quality: as_jpeg(frames[30:31], quality)
        for quality in (90, 75, 50)
    },
}
FROM_LOSSLESS = ("GIF", "one frame")
"""Attacks on what was never a video file: GIFs and still images are written from the frames themselves."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("attacks", "unmarked", "speed"))
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--size", type=int, default=256, help="side to which results are scaled first")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with ProcessPoolExecutor(options.workers) as pool:
        if options.what == "attacks":
            results = sorted(folder for folder in options.files[0].iterdir() if folder.is_dir())
            report_attacks(list(pool.map(partial(attacked, size=options.size), results)))
        elif options.what == "unmarked":
            report_unmarked([score for scores in pool.map(unmarked, options.files) for score in scores])
        else:
            report_speed()


def attacked(result: Path, size: int) -> dict[str, tuple[bool, float]]:
    """Mark a result and attack it: whether the mark was read, and its score, by attack; the PSNR under "PSNR"."""
    frames = np.stack([frame.image for frame in open_clip(result, max_frames=MOST_FRAMES).frames()])
    frames = frames if frames.shape[1] == size else scaled(frames, size / frames.shape[1])
    mark = InvisibleMark(PAYLOAD)
    marked = np.stack([mark(frame) for frame in frames])
    written = encoded(marked, crf=16, preset="fast", bf="0")
    found = {"PSNR": (True, min(map(psnr, frames, marked)))}
    for name, attack in ATTACKS.items():
        reading = detect(average(attack(marked if name.startswith(FROM_LOSSLESS) else written)))
        found[name] = (reading is not None and reading.payload == PAYLOAD, reading.score if reading else 0.0)
    sys.stderr.write(f"{result.name} at {size}\n")
    return found


def unmarked(path: Path) -> list[float]:
    """Return the score of whatever is taken for a mark in each clip of a file, 0 where there is nothing."""
    return [reading.score if (reading := detect(gray)) else 0.0 for gray in clips_of(path)]


def clips_of(path: Path) -> Iterator[np.ndarray]:
    """Yield the average of every 25 frames, and of what is left."""
    if path.suffix != ".mp4":
        yield average(read_first_frame(path)[None])
        return
    frames: list[np.ndarray] = []
    for frame in open_clip(path).frames():
        frames.append(frame.image)
        if len(frames) == CLIP:
            yield average(np.stack(frames))
            frames.clear()
    if frames:
        yield average(np.stack(frames))


def average(frames: np.ndarray) -> np.ndarray:
    return frames.mean(0, dtype=np.float32) @ LUMA


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(np.float64) - other) ** 2)))


def report_attacks(results: Sequence[dict[str, tuple[bool, float]]]) -> None:
    say(f"{len(results)} results, lowest PSNR of a frame {min(result['PSNR'][1] for result in results):.2f} dB")
    say("| attack | read | lowest score |\n| --- | --- | --- |")
    for name in ATTACKS:
        outcomes = [result[name] for result in results]
        read, lowest = sum(read for read, _ in outcomes), min(score for _, score in outcomes)
        say(f"| {name} | {read} of {len(outcomes)} | {lowest:.1f} |")


def report_unmarked(scores: Sequence[float]) -> None:
    say(f"{sum(score > 0 for score in scores)} false alarms in {len(scores)} clips")


def report_speed() -> None:
    image = read_first_frame(Path(__file__).parents[2] / "src/fomm_cli/assets/samples/source.png")
    for size in (256, 512, 1024):
        frame = cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC)
        mark = InvisibleMark(PAYLOAD)
        mark(frame)
        spent = []
        for _ in range(50):
            began = time.thread_time()
            mark(frame)
            spent.append(1000 * (time.thread_time() - began))
        say(f"{size}x{size}: {min(spent):.2f} ms a frame on one core (median {np.median(spent):.2f})")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
