"""Measure the page Live of `fomm web`: frames per second and the delay from camera to screen, in a real Chromium.

    python tests/tools/measure_web_live.py [SECONDS]

Browser and server share the cores of this machine. The camera is a file with the sample video, 30 frames a second.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from fomm_cli.models.bundled import sample
from support.browser_help import camera_file, chromium, until
from support.media_helpers import decode
from support.web_help import web_server


def main(seconds: float = 10.0) -> None:
    """Print the figures as JSON."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        camera = camera_file(folder / "camera.mjpeg", decode(sample()[1])[0])
        with web_server(folder) as server, chromium(playwright, camera) as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(server.address)
            page.wait_for_selector("body[data-ready]")
            page.locator("#tab-live").click()
            page.evaluate("""() => {
              window.painted = [];
              document.getElementById("live-canvas").addEventListener("painted", ({ detail }) => {
                window.painted.push([performance.now(), detail.delay]);
              });
            }""")
            page.locator("#live-start").click()
            until(page, "document.getElementById('figure-reference').textContent === 'held'")
            page.evaluate("window.painted = []")
            page.wait_for_timeout(1000 * seconds)
            at, delay = np.array(page.evaluate("window.painted")).T
            shown = page.locator("#live-figures").inner_text().splitlines()
    figures = {
        "frames_per_second": round(float((len(at) - 1) / (at[-1] - at[0]) * 1000), 1),
        "delay_ms": {"median": round(float(np.median(delay))), "p95": round(float(np.percentile(delay, 95)))},
        "page": dict(zip(shown[::2], shown[1::2], strict=False)),
    }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
