"""The page of `fomm web` in a real Chromium, used as people use it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.browser_help import NUMBERS, camera_file, chromium, picture, until
from support.media_helpers import decode, ffmpeg
from support.portraits import astronaut, save_scene
from support.web_help import WebServer, web_server

pytest.importorskip("uvicorn", reason="the extra web is not installed")

from fomm_cli.marks.verify import verify
from fomm_cli.models.bundled import sample

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def driving() -> np.ndarray:
    """The sample video: Grace Hopper opens her mouth; uint8 (50, 256, 256, 3)."""
    return decode(sample()[1])[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with web_server(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    module = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with module.sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Any, tmp_path_factory: pytest.TempPathFactory, driving: np.ndarray) -> Iterator[Any]:
    with chromium(playwright, camera_file(tmp_path_factory.mktemp("camera") / "talk.mjpeg", driving)) as running:
        yield running


@pytest.fixture
def open_page(browser: Any, server: WebServer) -> Iterator[Any]:
    """Open the page; at the end of the test, nothing must have been complained of on its console."""
    complaints: list[str] = []
    contexts = []

    def open_it(width: int = 1300, height: int = 900, scheme: str = "light", before: str = "") -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if before:
            page.add_init_script(before)
        page.goto(server.address)
        page.wait_for_selector("body[data-ready]")
        return page

    open_it.complaints = complaints  # type: ignore[attr-defined]
    yield open_it
    for context in contexts:
        context.close()
    for job in server.ask("GET", "/api/jobs").json:
        server.ask("DELETE", f"/api/jobs/{job['id']}")
    assert complaints == []


@pytest.fixture
def page(open_page: Any) -> Any:
    return open_page()


@pytest.mark.usefixtures("with_mediapipe")
def test_from_two_files_to_a_result_that_plays_and_downloads(
    page: Any, server: WebServer, driving: np.ndarray, tmp_path: Path
) -> None:
    portrait, clip = tmp_path / "two people.png", tmp_path / "talk.mp4"
    save_scene("second", astronaut(), portrait)
    for index, frame in enumerate(driving[::2]):
        Image.fromarray(frame).save(tmp_path / f"{index:05d}.png")
    ffmpeg("-r", "25", "-i", tmp_path / "%05d.png", "-pix_fmt", "yuv420p", "-crf", "14", clip)

    page.set_input_files("#source-input", portrait)
    until(page, "document.querySelectorAll('.face').length === 2 && document.querySelector('#verdict .badge')")
    page.get_by_role("radio", name="Face 2 of 2").click()
    page.set_input_files("#driving-input", clip)
    until(page, "document.getElementById('driving-video').videoWidth === 256")
    page.evaluate("""() => {
      window.lines = [];
      const lines = () => [...document.querySelectorAll(".job .figure")].map((line) => line.textContent);
      const see = () => window.lines.push(...lines());
      new MutationObserver(see).observe(document.getElementById("queue"), { subtree: true, childList: true });
    }""")
    page.locator("#start").click()
    page.wait_for_selector("#viewer:not([hidden])", timeout=90_000)

    lines = page.evaluate("window.lines")
    assert any(re.search(r"animating · \d+ of 25 frames · [\d.]+ frames/s · [\d.]+ s left", line) for line in lines)
    (job,) = server.ask("GET", "/api/jobs").json
    assert job["inputs"]["options"]["face"] == 2
    assert job["result"]["source_crop"] is not None
    until(page, "document.getElementById('pane-result').currentTime > 0.4")
    apart = """(() => {
      const at = (id) => document.getElementById(id).currentTime;
      return Math.abs(at("pane-result") - at("pane-driving"));
    })()"""
    assert min(page.evaluate(apart) for _ in range(10)) < 0.1

    with page.expect_download() as downloading:
        page.locator("#download").click()
    assert downloading.value.suggested_filename == "two people-talk.mp4"
    downloading.value.save_as(tmp_path / "result.mp4")
    frames, times = decode(tmp_path / "result.mp4")
    assert frames.shape == (25, 256, 256, 3)
    assert times[-1] == pytest.approx(24 / 25, abs=1e-3)
    assert np.abs(np.diff(frames.astype(int), axis=0)).mean() > 0.2, "nothing moves"

    page.locator("#score").click()
    page.wait_for_selector(".curve", timeout=60_000)
    assert page.locator(".curve").count() == 16
    assert 0 <= float(page.locator(".score-part.total b").inner_text()) <= 10


def test_cancel(page: Any, server: WebServer) -> None:
    page.locator("#try-samples").click()
    page.locator("#start").click()
    page.get_by_role("button", name="Cancel").dispatch_event("click")  # at once: the sample takes a few seconds only
    page.wait_for_selector(".job[data-state=cancelled]")
    assert [job["state"] for job in server.ask("GET", "/api/jobs").json] == ["cancelled"]
    page.get_by_role("button", name="Cancel").click()  # it says Close now
    until(page, "document.querySelectorAll('.job').length === 0")
    assert not list(server.folder.glob("job-*"))


def test_wrong_files_get_their_message_where_they_were_chosen(open_page: Any, tmp_path: Path) -> None:
    page = open_page()
    (tmp_path / "notes.png").write_text("<!doctype html><title>Not an image</title>")
    (tmp_path / "cut.mp4").write_bytes(sample()[1].read_bytes()[:2000])
    page.set_input_files("#source-input", tmp_path / "notes.png")
    page.wait_for_selector("#source-message:not([hidden])", timeout=30_000)
    said = page.locator("#source-message").inner_text()
    assert "notes.png" in said and "fomm-web" not in said, said
    page.set_input_files("#driving-input", tmp_path / "cut.mp4")
    page.wait_for_selector("#driving-message:not([hidden])", timeout=30_000)
    assert "cut.mp4" in page.locator("#driving-message").inner_text()
    assert page.locator("#start").is_disabled()
    expected = "Failed to load resource"  # the browser itself reports answers that are errors
    open_page.complaints[:] = [each for each in open_page.complaints if expected not in each]


def test_by_keyboard_alone(page: Any) -> None:
    def tab_to(identifier: str) -> None:
        for _ in range(60):
            if page.evaluate("document.activeElement.id") == identifier:
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"Tab never came to {identifier}")

    tab_to("source-sample")
    page.keyboard.press("Enter")
    tab_to("driving-sample")
    page.keyboard.press("Enter")
    tab_to("motion_scale")
    page.keyboard.press("ArrowRight")
    assert page.locator("#motion_scale_shown").inner_text() == "105 %"
    page.evaluate("document.querySelector('[name=max_frames]').value = 3")
    tab_to("start")
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewer:not([hidden])", timeout=60_000)
    assert page.evaluate("document.activeElement.id") == "viewer-title"
    tab_to("play")
    page.keyboard.press("Space")
    for _ in range(60):
        if page.evaluate("document.activeElement.id") == "tab-animate":
            break
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")
    assert page.locator("#live").is_visible()
    tab_to("live-start")


_NAMELESS = """() => [...document.querySelectorAll("button, a[href], input, select, video, canvas, [role=radio]")]
  .filter((each) => each.checkVisibility())
  .filter((each) => !(each.getAttribute("aria-label") || each.labels?.length || each.textContent.trim()
    || each.closest("label")?.textContent.trim() || each.getAttribute("alt")))
  .map((each) => each.outerHTML.slice(0, 80))"""

_PALE = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (each) => {
    for (let at = each; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0.6) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")]
    .filter((each) => each.checkVisibility() && !each.closest(":disabled, .media, .thumb, .avatar, canvas"))
    .filter((each) => [...each.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()))
    .map((each) => {
      const [a, b] = [light(parse(getComputedStyle(each).color)), light(behind(each))].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), each.className || each.tagName, each.textContent.trim().slice(0, 30)];
    })
    .filter(([ratio]) => ratio < 4.5);
}"""


@pytest.mark.parametrize(("width", "scheme"), [(1300, "light"), (390, "dark")])
def test_it_fits_is_named_and_can_be_read(open_page: Any, width: int, scheme: str) -> None:
    page = open_page(width, 844, scheme)
    page.locator("#try-samples").click()
    page.wait_for_selector("#verdict .badge", timeout=30_000)
    page.locator("summary", has_text="More options").click()
    for tab in ("animate", "live"):
        page.locator(f"#tab-{tab}").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(_NAMELESS) == []
        assert page.evaluate(_PALE) == []


def test_a_refused_camera_is_explained(open_page: Any) -> None:
    refuse = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); };"
    page = open_page(before=refuse)
    page.locator("#tab-live").click()
    page.locator("#live-start").click()
    assert "allow the camera" in page.locator("#live-message").inner_text()
    assert page.locator("#live-start").is_enabled()


def test_a_recording_of_the_camera_drives_the_portrait(page: Any, server: WebServer) -> None:
    page.locator("#source-sample").click()
    page.get_by_text("Camera", exact=True).first.click()
    page.locator("#record-open").click()
    page.locator("#record-start").click()
    until(page, "parseFloat(document.getElementById('record-time').textContent) > 1")
    page.locator("#record-start").click()
    until(page, "document.getElementById('driving-name').textContent.startsWith('recording')")
    page.evaluate("document.querySelector('[name=max_frames]').value = 6")
    page.locator("#start").click()
    page.wait_for_selector("#viewer:not([hidden])", timeout=60_000)
    (job,) = server.ask("GET", "/api/jobs").json
    assert job["result"]["frames"] == 6


@pytest.mark.usefixtures("with_mediapipe", "one_thread")
def test_the_camera_moves_the_avatar(page: Any, server: WebServer, driving: np.ndarray, tmp_path: Path) -> None:
    page.locator("#tab-live").click()
    page.evaluate("""() => {
      window.painted = [];
      const canvas = document.getElementById("live-canvas");
      canvas.addEventListener("painted", ({ detail }) => {
        window.painted.push([detail.capturedAt, canvas.toDataURL("image/jpeg", 0.95)]);
      });
    }""")
    page.locator("#live-mirror").click()  # so that the camera's file and the avatar turn the same way
    page.locator("#live-start").click()
    page.wait_for_selector("#live-camera:not([hidden])")
    page.evaluate(NUMBERS)
    until(page, "document.getElementById('figure-reference').textContent === 'held'", 90)
    page.evaluate("window.painted = []")
    until(page, f"window.painted.length > 90 || Date.now() > {1000 * (time.time() + 12)}")
    painted, numbers = page.evaluate("[window.painted, window.numbers]")
    assert re.fullmatch(r"\d+ frames/s · \d+ ms", page.locator("#live-pill").inner_text())
    assert page.locator("#figure-delay").inner_text().endswith("ms")

    by_time = {float(captured): number for captured, number in numbers.items()}
    pairs = [(by_time[captured], picture(image)) for captured, image in painted if captured in by_time]
    assert len(pairs) > 20
    camera = _mouths([driving[number] for number, _ in pairs])
    avatar = _mouths([image for _, image in pairs])
    both = np.isfinite(camera) & np.isfinite(avatar)
    assert both.mean() > 0.9
    assert np.corrcoef(camera[both], avatar[both])[0, 1] >= 0.8

    page.locator("#live-record").click()
    page.wait_for_timeout(1200)
    page.locator("#live-record").click()
    until(page, "document.querySelector('#live-results video')?.videoWidth === 256")
    with page.expect_download() as downloading:
        page.locator("#live-results a").click()
    recording = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(recording)
    assert verify(recording).invisible is not None

    loaded = set(server.children())
    page.set_input_files("#avatar-input", sample()[0])
    until(page, "document.querySelector('.avatar:nth-child(2)')?.ariaChecked === 'true'")
    page.evaluate("window.painted = []")
    until(page, "window.painted.length > 3")
    assert loaded <= set(server.children()), "the model was loaded again for one more avatar"
    page.keyboard.press("q")
    until(page, "document.getElementById('live-start').checkVisibility()")


def _mouths(images: list[np.ndarray]) -> np.ndarray:
    """How far the lips are apart, in heights of the face; NaN where there is no face."""
    from fomm_cli.faces.detectors.opening import open_detector

    gaps = []
    with open_detector("mediapipe") as detector:
        for image in images:
            faces = detector.detect(image)
            points = faces[0].landmarks if faces else None
            gaps.append(np.nan if points is None else np.linalg.norm(points[13] - points[14]) / np.ptp(points[:, 1]))
    return np.array(gaps)


@pytest.mark.alone
def test_the_delay_that_is_shown_is_true(
    playwright: Any, server: WebServer, driving: np.ndarray, tmp_path: Path
) -> None:
    flashes = tuple(range(10, 25))
    with chromium(playwright, camera_file(tmp_path / "flash.mjpeg", driving, flashes=flashes)) as flashing:
        page = flashing.new_context(viewport={"width": 900, "height": 900}).new_page()
        page.goto(server.address)
        page.wait_for_selector("body[data-ready]")
        page.locator("#tab-live").click()
        page.evaluate("""() => {
          const canvas = document.getElementById("live-canvas");
          const small = new OffscreenCanvas(8, 8);
          const paint = small.getContext("2d", { willReadFrequently: true });
          window.painted = [];
          window.flashes = [];
          let was = null;
          const isFlash = () => {
            paint.drawImage(canvas, 8, 96, 24, 64, 0, 0, 8, 8);
            return paint.getImageData(3, 3, 1, 1).data[1] > 127;
          };
          canvas.addEventListener("painted", ({ detail }) => {
            window.painted.push([detail.capturedAt, detail.delay, isFlash()]);
          });
          const look = (now) => {
            const is = isFlash();
            if (was !== null && is !== was) window.flashes.push([now, is]);
            was = is;
            requestAnimationFrame(look);
          };
          requestAnimationFrame(look);
        }""")
        page.locator("#live-mirror").click()
        page.locator("#live-self").click()
        page.locator("#live-start").click()
        page.wait_for_selector("#live-camera:not([hidden])")
        page.evaluate(NUMBERS)
        until(page, "window.painted.length > 10", 90)
        page.evaluate("window.flashes = []")
        until(page, "window.flashes.length >= 6", 60)
        seen, painted, numbers = page.evaluate("[window.flashes, window.painted, window.numbers]")
        page.context.close()
    changes = [now for now, then in zip(painted[1:], painted, strict=False) if now[2] != then[2]]
    errors = []
    for at, is_flash in seen:
        captured, delay = min(
            ((captured, delay) for captured, delay, shown in changes if shown == is_flash),
            key=lambda each: abs(each[0] + each[1] - at),
        )
        # when it is seen, and when the camera showed it: 0 where the frame of that time is of the same kind
        found = min(abs(float(time) - captured) for time, number in numbers.items() if (number in flashes) == is_flash)
        errors.append(abs(at - captured - delay) + found)
    assert len(errors) >= 6
    assert max(errors) <= 40, errors
