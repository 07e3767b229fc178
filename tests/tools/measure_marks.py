"""Measure the invisible mark: the tables of docs/marks.md.

    python tests/tools/measure_marks.py attacks FOLDER... [--keep FILE] [--workers 2]
    python tests/tools/measure_marks.py unmarked FILE... [--keep FILE] [--workers 2]
    python tests/tools/measure_marks.py speed

Every FOLDER holds the frames of a result without a mark (`fomm animate ... --mark none -o FOLDER`). Every result is
marked, encoded as `fomm animate` encodes it, attacked, and read.
`unmarked` cuts every FILE into clips of 25 frames, counts where a mark is found although there is none, and compares
how often the score of one payload and shift passes some limits with the normal distribution.
With --keep, what was measured is added to a file and not measured again.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from fomm_cli.marks.code import Payload, encode
from fomm_cli.marks.detect import FALSE_ALARMS, detect, search
from fomm_cli.marks.pattern import agreement, pattern_of
from fomm_cli.marks.samples import samples_of, waves_of
from fomm_cli.marks.watermark import InvisibleMark
from fomm_cli.media.first_frame import read_first_frame
from fomm_cli.media.video.reader import open_clip
from support.attacks import as_gif, as_jpeg, brightened, cropped, dropped, encoded, scaled, with_gamma

PAYLOAD = Payload.of("0.2.0", "c0de" + 60 * "0")
CLIP = 25  # frames
MOST_FRAMES = 60
LIMITS = (2, 3, 4, 5)
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
    parser.add_argument("--keep", type=Path, help="file of what was measured before, one JSON object a line")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.what == "speed":
        report_speed()
        return
    measure, report = {"attacks": (attacked, report_attacks), "unmarked": (unmarked, report_unmarked)}[options.what]
    report(measured(measure, options.files, options.keep, options.workers))


def measured(
    measure: Callable[[Path], dict[str, Any]], files: list[Path], keep: Path | None, workers: int
) -> list[dict[str, Any]]:
    """Measure every file that was not measured before, and return what was found in all."""
    lines = keep.read_text().splitlines() if keep is not None and keep.exists() else []
    known = {kept["file"]: kept for kept in map(json.loads, lines)}
    new = [file for file in files if str(file) not in known]
    with ProcessPoolExecutor(workers) as pool:
        for file, found in zip(new, pool.map(measure, new), strict=True):
            known[str(file)] = {"file": str(file), **found}
            if keep is not None:
                with keep.open("a") as lines_of:
                    lines_of.write(json.dumps(known[str(file)]) + "\n")
    return [known[str(file)] for file in files]


def attacked(result: Path) -> dict[str, Any]:
    """Mark a result and attack it; return the scores, 0 where the mark was not read, and the lowest PSNR of a frame."""
    frames = np.stack([frame.image for frame in open_clip(result, max_frames=MOST_FRAMES).frames()])
    mark = InvisibleMark(PAYLOAD)
    marked = np.stack([mark(frame) for frame in frames])
    written = encoded(marked, crf=16, preset="fast", bf="0")
    scores = {}
    for name, attack in ATTACKS.items():
        reading = detect(average(attack(marked if name.startswith(FROM_LOSSLESS) else written)))
        scores[name] = reading.score if reading is not None and reading.payload == PAYLOAD else 0.0
    size = f"{frames.shape[2]}x{frames.shape[1]}"
    return {"size": size, "frames": len(frames), "psnr": min(map(psnr, frames, marked)), "scores": scores}


def unmarked(path: Path) -> dict[str, Any]:
    """Search each clip of a file for a mark that is not there, and count how often chance passes the limits."""
    found: dict[str, Any] = {"clips": 0, "alarms": 0, "highest": 0.0, "values": 0, "above": [0] * len(LIMITS)}
    for gray in clips_of(path):
        readings = list(search(gray))
        found["clips"] += 1
        found["alarms"] += any(reading.false_alarm <= FALSE_ALARMS for reading in readings)
        found["highest"] = max([found["highest"], *(reading.score for reading in readings)])
        values = agreement(waves_of(samples_of(gray)), pattern_of(encode(PAYLOAD)))
        found["values"] += values.size
        found["above"] = [
            count + int((values > limit).sum()) for count, limit in zip(found["above"], LIMITS, strict=True)
        ]
    return found


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


def report_attacks(results: Sequence[dict[str, Any]]) -> None:
    sizes = {size: [each for each in results if each["size"] == size] for size in sorted({e["size"] for e in results})}
    for size, group in sizes.items():
        frames, lowest = min(each["frames"] for each in group), min(each["psnr"] for each in group)
        say(f"{size}: {len(group)} results of {frames} frames and more, lowest PSNR of a frame {lowest:.1f} dB")
    say("".join(f"| {name} " for name in ("read after", *sizes)) + "|\n" + "| --- " * (1 + len(sizes)) + "|")
    for name in ATTACKS:
        scores = [[each["scores"][name] for each in group] for group in sizes.values()]
        cells = [f"{sum(score > 0 for score in each)} of {len(each)}, {min(each):.1f}" for each in scores]
        say("".join(f"| {cell} " for cell in (name, *cells)) + "|")


def report_unmarked(files: Sequence[dict[str, Any]]) -> None:
    clips, alarms, values = (sum(found[name] for found in files) for name in ("clips", "alarms", "values"))
    say(f"{alarms} false alarms in {clips} clips; highest score {max(found['highest'] for found in files):.2f}")
    say(f"| limit | of {values} scores above it | normal distribution |\n| --- | --- | --- |")
    for place, limit in enumerate(LIMITS):
        share = sum(found["above"][place] for found in files) / values
        say(f"| {limit} | {share:.2e} | {math.erfc(limit / math.sqrt(2)) / 2:.2e} |")


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
