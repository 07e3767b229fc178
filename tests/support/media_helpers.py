"""Make and read real media by the ffmpeg program, independently of our own reader and writer."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def ffmpeg(*arguments: str | Path) -> None:
    """Run the ffmpeg program; options before each input, the output last."""
    command = [FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def make_video(path: Path, *options: str, size: str = "64x48", rate: str = "25", seconds: float = 1.0) -> Path:
    """Encode FFmpeg's test picture (with a running number) into ``path``."""
    ffmpeg("-f", "lavfi", "-i", f"testsrc=s={size}:r={rate}:d={seconds}", *(options or ("-pix_fmt", "yuv420p")), path)
    return path


def describe(path: Path) -> str:
    """Return what ``ffmpeg -i`` tells about a file."""
    return subprocess.run([FFMPEG, "-hide_banner", "-i", str(path)], capture_output=True, text=True, check=False).stderr


def metadata(path: Path) -> str:
    """Return the metadata of a file as ``key=value`` lines, which FFmpeg calls ffmetadata."""
    command = [FFMPEG, "-v", "error", "-i", str(path), "-f", "ffmetadata", "-"]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout


def decode(path: Path) -> tuple[np.ndarray, list[float]]:
    """Decode a video: uint8 (N, H, W, 3) RGB and N times in seconds."""
    command = [FFMPEG, "-hide_banner", "-nostdin", "-copyts", "-i", f"file:{path}", "-map", "0:v:0", "-vf", "showinfo"]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    log = done.stderr.decode(errors="replace")
    times = [float(time) for time in re.findall(r"pts_time:\s*(-?[\d.]+)", log)]
    width, height = re.findall(r" s:(\d+)x(\d+) ", log)[0]
    frames = np.frombuffer(done.stdout, np.uint8).reshape(-1, int(height), int(width), 3)
    return frames, times


def decode_sound(path: Path, rate: int = 8000) -> np.ndarray:
    """Decode the sound as it is heard from time 0 on: int16 (samples,) mono."""
    command = [FFMPEG, "-v", "error", "-i", str(path), "-map", "0:a:0", "-af", "aresample=async=1:first_pts=0"]
    command += ["-f", "s16le", "-ac", "1", "-ar", str(rate), "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.int16)


def gradient(height: int, width: int, phase: int = 0) -> np.ndarray:
    """Return a smooth colourful image, uint8 (height, width, 3)."""
    rows, columns = np.mgrid[:height, :width]
    red = 40 + 170 * rows / max(1, height - 1)
    green = 40 + 170 * columns / max(1, width - 1)
    blue = np.full(rows.shape, 60 + 7 * phase % 150)
    return np.stack([red, green, blue], axis=-1).round().astype(np.uint8)
