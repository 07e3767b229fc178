"""Measure the peak memory of the largest image of every format that is read, in a process of its own each.

    python tests/tools/measure_image_memory.py [--animate] [NAME ...]

Writes an image of as many pixels as the limits allow, reads it (or animates it, with `--animate`), and prints the
peak in MB. Fails if one takes 1,500 MB or more. Needs Linux, some GB of memory and disk, and minutes.
"""

from __future__ import annotations

import io
import math
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fomm_cli.files.limits import IMAGE_BYTES, IMAGE_SIDE
from fomm_cli.media.image import bytes_per_pixel

REPOSITORY = Path(__file__).parents[2]
ALLOWED_MB = 1500
NOISE = 512  # pixels of the side of a noisy piece that is repeated

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "rgb.png": ("RGB", {"compress_level": 1}),
    "rgba.png": ("RGBA", {"compress_level": 1}),
    "grey16.png": ("I;16", {"compress_level": 1}),
    "palette.png": ("P", {"compress_level": 1, "transparency": 0}),
    "rgb.jpg": ("RGB", {}),
    "progressive.jpg": ("RGB", {"progressive": True, "subsampling": 0}),
    "cmyk_progressive.jpg": ("CMYK", {"progressive": True}),
    "rgb.bmp": ("RGB", {}),
    "lzw.tif": ("RGB", {"compression": "tiff_lzw"}),
    "float.tif": ("F", {}),
    "palette.gif": ("P", {}),
    "rgb.ppm": ("RGB", {}),
    "rgb.tga": ("RGB", {"compression": "tga_rle"}),
    "rgba.jp2": ("RGBA", {}),
    "rgba.webp": ("RGBA", {"lossless": True, "quality": 0, "method": 0}),
    "rgba.avif": ("RGBA", {"speed": 10}),
    "png.ico": ("RGBA", {"compress_level": 1}),
}

# VmHWM, since ru_maxrss begins with what the process that starts this one holds
PEAK = """
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""
READ = """
import sys
from pathlib import Path
from fomm_cli.media.image import read_image
read_image(Path(sys.argv[1]))
"""
ANIMATE = """
import sys
from fomm_cli.cli import main
files = ["-s", sys.argv[1], "-d", "src/fomm_cli/assets/samples/source.png", "-o", sys.argv[1] + ".png"]
if main(["animate", *files, "--cpu", "--quiet"]):
    sys.exit("it failed")
"""


def write(path: Path, mode: str, options: dict[str, Any]) -> None:
    """Write the largest noisy image that the limits allow."""
    small = path.with_name(f"small-{path.name}")
    _save(small, mode, 64, options)
    with Image.open(small) as image:
        per_pixel = bytes_per_pixel(image, keep_alpha=True)
    small.unlink()
    side = min(math.isqrt(IMAGE_BYTES // per_pixel) - 16, IMAGE_SIDE)
    _save(path, mode, min(side, 16383) if path.suffix == ".webp" else side, options)


def _save(path: Path, mode: str, side: int, options: dict[str, Any]) -> None:
    image = Image.new(mode, (side, side))
    piece = _noise(mode, min(side, NOISE))
    for top in range(0, side, NOISE):
        for left in range(0, side, NOISE):
            image.paste(piece, (left, top))
    if path.suffix != ".ico":
        image.save(path, **options)
        return
    stream = io.BytesIO()  # Pillow writes icons of up to 256 pixels, and reads any PNG in one
    image.save(stream, "PNG", **options)
    head = struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, stream.tell(), 22)
    path.write_bytes(head + stream.getvalue())


def _noise(mode: str, side: int) -> Image.Image:
    random = np.random.default_rng(0)
    if mode == "F":
        return Image.fromarray(random.random((side, side), np.float32))
    if mode == "I;16":
        return Image.fromarray(random.integers(0, 65536, (side, side), np.uint16))
    return Image.effect_noise((side, side), 60).convert(mode)


def peak_mb(path: Path, *, animate: bool) -> int:
    """Return the peak memory, in MB, of a process that reads or animates an image."""
    command = [sys.executable, "-c", (ANIMATE if animate else READ) + PEAK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    if done.returncode:
        sys.exit(f"{path.name}: {done.stderr}")
    return int(done.stdout.split()[-1]) // 1024


def main(arguments: list[str]) -> int:
    """Measure the named formats, or all; returns 1 if one takes too much."""
    animate = "--animate" in arguments
    names = [name for name in arguments if name != "--animate"] or list(FORMATS)
    worst = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = Path(folder) / name
            write(path, *FORMATS[name])
            peak = peak_mb(path, animate=animate)
            with Image.open(path) as image:
                size = f"{image.width}x{image.height}"
            sys.stdout.write(f"{name:22} {size:12} {peak:>6} MB\n")
            sys.stdout.flush()
            path.unlink()
            worst = max(worst, peak)
    return int(worst >= ALLOWED_MB)


if __name__ == "__main__":
    Image.MAX_IMAGE_PIXELS = None
    sys.exit(main(sys.argv[1:]))
