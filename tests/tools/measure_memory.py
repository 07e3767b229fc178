"""Compare the peak memory of animating a short and a long video.

    python tests/tools/measure_memory.py [200 2000]

Prints the two peaks in MB and fails if the longer video needs 60 MB more. A tiny model keeps it quick: what could
grow are frames, not weights.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import imageio_ffmpeg

PARITY = Path(__file__).parents[1] / "parity"
ALLOWED_GROWTH_MB = 60

ANIMATE = """
import resource, sys
from fomm_cli.cli import main
code = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
sys.exit(code)
"""


def peak_mb(frames: int, folder: Path) -> int:
    """Return the peak memory, in MB, of a process that animates a 640x360 video of so many frames."""
    driving = folder / f"{frames}.mp4"
    make = ["-f", "lavfi", "-i", f"testsrc=size=640x360:rate=25:duration={frames / 25}", "-preset", "ultrafast"]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *make, str(driving)], check=True)
    model = [f"--config={PARITY / 'tiny_zero_order.yaml'}", f"--checkpoint={PARITY / 'tiny_zero_order.pth.tar'}"]
    source = str(Path(__file__).parents[2] / "src" / "fomm_cli" / "assets" / "samples" / "source.png")
    files = ["--source_image", source, "--driving_video", str(driving), "--result_video", str(folder / "out.mp4")]
    command = [sys.executable, "-c", ANIMATE, "animate", *model, *files, "--cpu", "--quiet"]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main(short: int = 200, long: int = 2000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        peaks = {frames: peak_mb(frames, Path(folder)) for frames in (short, long)}
    sys.stdout.write("".join(f"{frames:>6} frames: {peak} MB\n" for frames, peak in peaks.items()))
    if peaks[long] > peaks[short] + ALLOWED_GROWTH_MB:
        sys.exit(f"memory grows with the length of the video by more than {ALLOWED_GROWTH_MB} MB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
