"""Do to frames (N, H, W, 3) what encoders, players and people do to a video."""

from __future__ import annotations

from io import BytesIO

import av
import cv2
import numpy as np
from PIL import Image


def encoded(frames: np.ndarray, codec: str = "libx264", crf: int = 23, form: str = "mp4", **options: str) -> np.ndarray:
    """Encode frames and decode them again."""
    file = BytesIO()
    with av.open(file, "w", format=form) as container:
        quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        stream = container.add_stream(codec, rate=25, options={"crf": str(crf), **quiet, **options})
        stream.height, stream.width = (side - side % 2 for side in frames.shape[1:3])
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            even = np.ascontiguousarray(frame[: stream.height, : stream.width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(BytesIO(file.getvalue())) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def scaled(frames: np.ndarray, factor: float) -> np.ndarray:
    """Scale frames, to even sides."""
    height, width = (2 * round(side * factor / 2) for side in frames.shape[1:3])
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.stack([cv2.resize(frame, (width, height), interpolation=how) for frame in frames])


def cropped(frames: np.ndarray, left: float = 0, right: float = 0, top: float = 0, bottom: float = 0) -> np.ndarray:
    """Cut fractions off the sides."""
    height, width = frames.shape[1:3]
    rows = slice(round(top * height), height - round(bottom * height))
    return frames[:, rows, round(left * width) : width - round(right * width)]


def brightened(frames: np.ndarray, factor: float) -> np.ndarray:
    """Multiply all values."""
    return np.clip(frames * np.float32(factor), 0, 255).astype(np.uint8)


def with_gamma(frames: np.ndarray, gamma: float) -> np.ndarray:
    """Bend the tone curve."""
    table = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return table[frames]


def dropped(frames: np.ndarray, of: int = 30, drop: int = 15) -> np.ndarray:
    """Drop some of every `of` frames at random places."""
    rng = np.random.default_rng(1)
    keep = [index for start in range(0, len(frames), of) for index in start + np.sort(rng.permutation(of)[drop:])]
    return frames[[index for index in keep if index < len(frames)]]


def as_gif(frames: np.ndarray, colours: int = 256) -> np.ndarray:
    """Give every frame a palette of its own, dithered."""
    images = [Image.fromarray(frame).quantize(colours, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames]
    return np.stack([np.asarray(image.convert("RGB")) for image in images])


def as_jpeg(frames: np.ndarray, quality: int) -> np.ndarray:
    """Write every frame as a JPEG and read it again."""
    written = []
    for frame in frames:
        file = BytesIO()
        Image.fromarray(frame).save(file, "JPEG", quality=quality)
        written.append(np.asarray(Image.open(BytesIO(file.getvalue()))))
    return np.stack(written)
