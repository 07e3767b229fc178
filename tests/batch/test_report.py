"""The report of a batch, as a spreadsheet and as a browser sees it."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path

import av
import numpy as np
import pytest

from fomm_cli.batch.journal import Record
from fomm_cli.batch.report import render, write_reports
from fomm_cli.batch.thumbnail import thumbnail
from support.batch_helpers import make_driving
from support.browser_help import screenshots

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

# Reads the page the way its user does, and leaves what it saw in the body, which --dump-dom prints.
WATCH = """
<script>
const visible = () => [...document.querySelectorAll("tbody tr")].filter((row) => row.offsetHeight > 0)
  .map((row) => row.cells[1].innerText.split("\\n")[0]);
const press = (name) => { document.querySelector(`button[data-show=${name}]`).click(); return visible().join("+"); };
const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const until = async (met) => { for (let i = 0; i < 200 && !met(); i++) await wait(50); return met(); };
(async () => {
  const video = document.querySelector("video");
  const played = await until(() => video.currentTime > 0.2);
  video.click();
  await wait(100);
  const stopped = video.paused;
  const saw = { all: press("all"), failed: press("failed"), done: press("done"), warned: press("warned") };
  document.body.dataset.saw = JSON.stringify({ played, stopped, width: video.videoWidth, ...saw });
})();
</script>
"""


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    moving = thumbnail(make_driving(tmp_path_factory.mktemp("frames") / "driving", 30))
    done = Record("anna--nod.mp4", "a.png", "nod.mp4", "done", 1, "", 50, 2.5, "CPU, 2 threads", "c0ffee", (), moving)
    return [
        done,
        replace(done, name="bob--nod.mp4", warnings=("nod.mp4 is <damaged>", "dark")),
        Record("carl--nod.mp4", "carl.png", "nod.mp4", "failed", 3, 'no "face" & <b>', *[None] * 4, (), None),
    ]


def test_thumbnail_is_small_and_moves(tmp_path: Path, records: list[Record]) -> None:
    (tmp_path / "t.webm").write_bytes(records[0].thumbnail or b"")
    with av.open(str(tmp_path / "t.webm")) as container:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
        assert container.streams.video[0].codec_context.name == "vp9"
    assert frames[0].shape == (96, 96, 3)
    assert 12 <= len(frames) <= 26
    assert max(np.abs(frame - frames[0]).mean() for frame in frames) > 1
    assert len(records[0].thumbnail or b"") < 60_000


def test_table_has_a_row_for_each(records: list[Record], tmp_path: Path) -> None:
    assert write_reports(tmp_path, records) == tmp_path / "report.html"
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as file:
        anna, bob, carl = csv.DictReader(file)
    assert (anna["state"], anna["frames_per_second"], anna["checkpoint_sha256"]) == ("done", "20.00", "c0ffee")
    assert bob["warnings"] == "nod.mp4 is <damaged> | dark"
    assert (carl["state"], carl["error"], carl["attempts"], carl["seconds"]) == ("failed", 'no "face" & <b>', "3", "")


def test_page_needs_no_other_file_and_escapes_what_it_shows(records: list[Record]) -> None:
    page = render(records)
    assert not re.findall(r'(?:src|href)="(?!data:|anna--nod\.mp4"|bob--nod\.mp4")', page)
    assert "<damaged>" not in page
    assert "<b>" not in page
    assert 'no "face" & <b>' in unescape(page)


def test_beyond_a_thousand_thumbnails_are_the_results_themselves(records: list[Record]) -> None:
    page = render([replace(records[0], name=f"{index:04} #.mp4", thumbnail=b"x") for index in range(1002)])
    assert page.count("data:video/webm") == 1000
    assert 'src="1001%20%23.mp4"' in page


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on the path")
def test_in_a_browser_thumbnails_play_and_failures_can_be_filtered(records: list[Record], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(render(records).replace("</body>", WATCH + "</body>"), encoding="utf-8")
    switches = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    patience = ["--virtual-time-budget=20000", "--timeout=60000", "--dump-dom", page.as_uri()]
    found = subprocess.run(
        [str(CHROMIUM), *switches, *patience], capture_output=True, text=True, timeout=120, check=True
    )
    saw = re.search(r'data-saw="([^"]*)"', found.stdout)
    assert saw, found.stderr[-2000:]
    assert unescape(saw[1]) == (
        '{"played":true,"stopped":true,"width":96,"all":"anna--nod.mp4+bob--nod.mp4+carl--nod.mp4",'
        '"failed":"carl--nod.mp4","done":"anna--nod.mp4+bob--nod.mp4","warned":"bob--nod.mp4"}'
    )


@pytest.mark.browser
def test_the_page_fits_a_telephone(records: list[Record], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    long = [replace(records[0], name=f"{'a_long_name_' * 6}.mp4", source="folder/" * 12), *records]
    page.write_text(render(long), encoding="utf-8")
    seen = screenshots(page, tmp_path, "nav button")
    assert seen["telephone"][0] <= 390
    assert min(button.shape[0] for button in seen["telephone"][1]) >= 44
