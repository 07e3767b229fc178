"""Run a real Chromium with a camera that plays a file, and look at pages in it."""

from __future__ import annotations

import base64
import io
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

BITS = 6  # of the number in each camera frame
BLOCK = 16  # pixels of a bit
CAMERA = (480, 640)
PORTRAIT = 420  # side of the square that the person is in
LEFT, TOP = (CAMERA[1] - PORTRAIT) // 2, 30

NUMBERS = f"""
() => {{
  const video = document.getElementById("live-camera");
  const canvas = new OffscreenCanvas({CAMERA[1]}, {CAMERA[0]});
  const paint = canvas.getContext("2d", {{ willReadFrequently: true }});
  window.numbers = {{}};
  const look = (now, {{ captureTime }}) => {{
    paint.drawImage(video, 0, 0, {CAMERA[1]}, {CAMERA[0]});
    const row = paint.getImageData(0, {CAMERA[0] - BLOCK // 2}, {BITS * BLOCK}, 1).data;
    let number = 0;
    for (let bit = 0; bit < {BITS}; bit++) number += (row[4 * ({BLOCK} * bit + {BLOCK // 2})] > 127) << bit;
    window.numbers[captureTime ?? now] = number;
    video.requestVideoFrameCallback(look);
  }};
  video.requestVideoFrameCallback(look);
}}
"""
"""Reads the number of each camera frame, by the time of its capture, into `window.numbers`."""


def chromium_path() -> str:
    """Return the program; skip the test where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium on this machine: apt-get install chromium")


@contextmanager
def chromium(playwright: Any, camera: Path) -> Iterator[Any]:
    """Run a browser, whose camera repeats a file."""
    arguments = [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream", "--autoplay-policy=no-user-gesture-required",
    ]  # fmt: skip
    arguments.append(f"--use-file-for-fake-video-capture={camera}")
    browser = playwright.chromium.launch(
        executable_path=chromium_path(), args=arguments, ignore_default_args=["--headless"]
    )
    try:
        yield browser
    finally:
        browser.close()


LOOKS = {"light": (1300, "light"), "dark": (1300, "dark"), "telephone": (390, "dark")}
"""Width in pixels and colour scheme of the screens that a page is looked at on."""


def screenshots(page: Path, folder: Path, selector: str) -> dict[str, tuple[int, list[np.ndarray]]]:
    """Look at a page that needs no server on each of `LOOKS`; the whole page is kept as ``<look>.png`` in a folder.

    Args:
        page: an HTML file.
        folder: for the screenshots.
        selector: of the elements to return, in CSS.

    Returns:
        For each look the width of the page in pixels, and the elements as uint8 (H, W, 3).
    """
    module = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    seen = {}
    with module.sync_playwright() as running, chromium(running, folder / "no-camera.mjpeg") as browser:
        for look, (width, scheme) in LOOKS.items():
            context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
            view = context.new_page()
            view.goto(page.as_uri())
            view.screenshot(path=folder / f"{look}.png", full_page=True)
            parts = [Image.open(io.BytesIO(part.screenshot())) for part in view.locator(selector).all()]
            seen[look] = (
                view.evaluate("document.documentElement.scrollWidth"),
                [np.asarray(part.convert("RGB")) for part in parts],
            )
            context.close()
    return seen


def until(page: Any, condition: str, seconds: float = 60) -> None:
    """Wait until JavaScript says so; playwright's own way needs eval, which the policy of the page forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"never: {condition}\n{page.evaluate('document.body.innerText')}"
        page.wait_for_timeout(50)


def camera_file(path: Path, frames: np.ndarray, *, flashes: tuple[int, ...] = ()) -> Path:
    """Write frames (N, H, W, 3) as a camera shows them: a person, each frame's number, and a flash beside the person.

    Args:
        path: an .mjpeg file.
        frames: square, uint8.
        flashes: indices of the frames in which the left quarter is white; it is black in the others.
    """
    images = []
    for index, frame in enumerate(frames):
        scene = np.full((*CAMERA, 3), 128, np.uint8)
        scene[TOP : TOP + PORTRAIT, LEFT : LEFT + PORTRAIT] = np.asarray(
            Image.fromarray(frame).resize((PORTRAIT, PORTRAIT), Image.Resampling.BICUBIC)
        )
        if flashes:
            scene[:, : LEFT + PORTRAIT // 4] = 255 if index in flashes else 0
        for bit in range(BITS):
            scene[-BLOCK:, bit * BLOCK : (bit + 1) * BLOCK] = 255 * (index >> bit & 1)
        stream = io.BytesIO()
        Image.fromarray(scene).save(stream, "JPEG", quality=90)
        images.append(stream.getvalue())
    path.write_bytes(b"".join(images))
    return path


def picture(address: str) -> np.ndarray:
    """Decode a data: URL to uint8 (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB"))
