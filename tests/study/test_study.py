"""`fomm study`: series of pictures, ratings, findings, and a page that a browser can sort, play and rate."""

from __future__ import annotations

import csv
import json
import re
import runpy
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from conftest import REPOSITORY
from fomm_cli.cli import main
from fomm_cli.errors import InputError
from fomm_cli.faces.framing import FACE_ASPECT, Framing
from fomm_cli.geometry import Box
from fomm_cli.media.image import read_image
from fomm_cli.media.video.writer import open_writer
from fomm_cli.models.bundled import sample
from fomm_cli.scoring.rubric import Score
from fomm_cli.study.claims import Claim, effect_of, findings, students_claims
from fomm_cli.study.portraits import Features, labelled_images
from fomm_cli.study.ratings import Rating, agreements, krippendorff_alpha, mean_points, read_ratings
from fomm_cli.study.report import write_report
from fomm_cli.study.rows import Row, Study
from fomm_cli.study.series import PLACES, SIDE, SIZES, framed, place_series, size_series
from support.batch_helpers import CHECKPOINT, CONFIG
from support.browser_help import chromium, screenshots
from support.portraits import astronaut, blurry_background, hopper, save_frames

DRIVING = Framing(0.5, 0.5, 0.54)


def test_series_put_the_face_where_it_is_said_to_be() -> None:
    face = Box(180, 100, 180 + 100 * FACE_ASPECT, 200)
    picture = np.full((400, 500, 3), 90, np.uint8)
    picture[100:200, 180:265] = (250, 0, 0)
    series = {**size_series(DRIVING, {"same": 1, "small": 0.4, "large": 1.6}), **place_series(DRIVING, None)}
    for framing in series.values():
        made = framed(picture, face, framing)
        assert made.shape == (SIDE, SIDE, 3)
        rows, columns = np.nonzero(made[..., 0].astype(int) - made[..., 1] > 128)
        height = framing.height * SIDE
        middle = np.array((framing.x, framing.y)) * SIDE
        half = np.array((FACE_ASPECT, 1)) * height / 2
        wanted = np.clip([middle - half, middle + half], 0, SIDE)
        found = np.array([(columns.min(), rows.min()), (columns.max() + 1, rows.max() + 1)])
        assert np.abs(found - wanted).max() < 4
        assert np.abs(made[5, SIDE // 2].astype(int) - 90).max() < 20 or rows.min() == 0  # what was outside the picture


def test_series_are_those_of_the_study() -> None:
    assert [round(framing.height, 2) for framing in size_series(DRIVING, SIZES).values()] == [1.1, 0.7, 0.5, 0.34, 0.17]
    places = place_series(DRIVING, None)
    assert tuple(places) == PLACES
    assert places["left"].x - FACE_ASPECT * DRIVING.height / 2 == pytest.approx(0)
    assert places["top"].y - DRIVING.height / 2 == pytest.approx(0)
    assert 0 < places["top, eyes cut off"].y < 0.18 * DRIVING.height  # eyes are so far above the middle of a face
    with pytest.raises(InputError, match="--sizes huge=9"):
        size_series(DRIVING, {"huge": 9})


def test_alpha_is_krippendorffs() -> None:
    """The worked example of his *Computing Krippendorff's Alpha-Reliability* (2011), C and E: ordinal 0.815."""
    observers = ("123321412...", "12332241 25.3".replace(" ", ""), ".3332342251.", "123324412 51.".replace(" ", ""))
    units = [[float(value) for value in column if value != "."] for column in zip(*observers, strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(0.815, abs=5e-4)
    assert krippendorff_alpha([[0, 0], [3, 3], [1, 1, 1]]) == 1
    assert krippendorff_alpha([[1], [2]]) is None
    assert krippendorff_alpha([[2, 2], [2, 2]]) is None


def test_people_are_compared_with_the_scores() -> None:
    points = {"a": (0, 1, 0), "b": (2, 1, 3), "c": (3, 4, 4), "d": (4, 4, 4)}
    ratings = [
        Rating(rater, result, dict(zip(("eyes", "mouth", "outline"), given, strict=True)))
        for rater in ("anna", "bob") for result, given in points.items()
    ]  # fmt: skip
    computed = {name: {"eyes": 9 - index, "total": index} for index, name in enumerate(points)}
    eyes, mouth, _, total = agreements(ratings, computed)
    assert (eyes.raters, eyes.results, eyes.alpha, eyes.rho) == (2, 4, 1, pytest.approx(-1))
    assert mouth.rho is None
    assert total.rho == pytest.approx(1)
    assert mean_points(ratings)["c"] == {"eyes": 7.5, "mouth": 10, "outline": 10, "total": pytest.approx(27.5 / 3)}


def test_wrong_ratings_are_named(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("rater,result,eyes,mouth,outline\nanna,a.mp4,4,5,0\n")
    with pytest.raises(InputError, match="line 2: mouth is '5'"):
        read_ratings(path)
    path.write_text("rater,result\n")
    with pytest.raises(InputError, match="no column"):
        read_ratings(path)


@pytest.mark.parametrize("column", ["image", "picture"])  # 0.1.0 called it picture
def test_a_table_of_further_images_is_read(tmp_path: Path, column: str) -> None:
    (tmp_path / "kinds.csv").write_text(f"kind,{column}\ndrawing,a.png\n")
    assert labelled_images((str(tmp_path / "kinds.csv"),)) == [("drawing", tmp_path / "a.png")]


def row(label: str, total: float, *, group: str = "size", size: float = 1.0, **changes: object) -> Row:
    parts = {"eyes": total, "mouth": total, "outline": total, "identity": 8.0, "quality": 7.0, "total": total}
    scores = {name: Score(value, max(0, value - 0.5), min(10, value + 0.5)) for name, value in parts.items()}
    number = row.count = getattr(row, "count", 0) + 1  # type: ignore[attr-defined]
    plain = Row(
        f"results/small/{number}.mp4", f"views/{number}.mp4", "small", "nod", group, label, f"p{number}", size, scores,
        "landmarks", 1.0, 0.02, (), Features(0.5, 0.5, 0.54, 10.0 + total, 5.0 - total / 10, "closed"),
    )  # fmt: skip
    return replace(plain, **changes)


def with_part(original: Row, part: str, value: float) -> Row:
    return replace(original, scores={**original.scores, part: Score(value, value, value)})


def claims(study: Study) -> list[Claim]:
    return [finding for finding in findings(study) if finding.claim]


MOUTHS = students_claims()["mouths"]["best_to_worst"]


def studied(*, sign: float = 1, spread: float = 0.1, portraits: int = 8, best: float = 9) -> Study:
    """A study in which all four claims hold (sign 1), are false (-1), or drown in noise (a large spread)."""
    random = np.random.default_rng(3)
    rows = []
    for number in range(portraits):
        noise = random.normal(0, spread, 6)
        held = number % len(MOUTHS)
        merit = 1 - held / 2  # of the portrait by the students' claims on contrast and mouths
        features = Features(0.5, 0.5, 0.5, 30 + 10 * merit, 5 - merit, MOUTHS[held])
        mine = {"portrait": f"p{number}", "features": features}
        rows.append(replace(row("person", best - 2 + sign * merit + noise[0], group="kind"), **mine))
        rows.append(replace(row("same", best - 1), portrait=f"p{number}", features=None))
        loss = 2 * sign + noise[1]
        small = with_part(row("smaller", best - 1 - loss, size=0.6), "mouth", best - 1 - loss - sign + noise[2])
        rows.append(replace(small, **mine))
        for label, distortion in (("left", 0.05 + 0.03 * sign + 0.03 * noise[3]), ("centre", 0.05)):
            rows.append(replace(row(label, 6, group="place", distortion=distortion), **mine))
    return Study({"nod": 50}, tuple(rows), {})


@pytest.mark.parametrize(("sign", "verdict"), [(1, "agrees"), (-1, "disagrees")])
def test_findings_follow_the_figures(sign: float, verdict: str) -> None:
    assert [finding.verdict for finding in claims(studied(sign=sign))] == [verdict] * 4


def test_what_the_portraits_cannot_tell_is_said() -> None:
    """Noise as large as the effects, few portraits, nothing to compare, or nothing to lose."""
    for study in (
        studied(sign=0, spread=2),
        studied(portraits=3),
        Study({"nod": 50}, (row("same", 7),), {}),
    ):
        assert [finding.verdict for finding in claims(study)] == ["cannot tell"] * 4
    contrast, small, _, mouths = claims(studied(best=1.5))
    assert [finding.verdict for finding in (contrast, small, mouths)] == ["cannot tell"] * 3


def test_findings_tell_their_figures() -> None:
    texts = " ".join(finding.text for finding in findings(studied(spread=0)))
    assert "lose +2.00 [+2.00 to +2.00] points against equal ones (eyes 2.0, mouth 3.0, outline 2.0)" in texts
    assert "the mouth +1.00 [+1.00 to +1.00] more than any other part, over 8 portrait(s)" in texts
    assert "by 8.0% beyond the driving face, those in the middle by 5.0%: +3.00 [+3.00 to +3.00]" in texts
    assert "8.0 points slightly open (n = 2), 7.8 points closed (n = 2)" in texts
    assert "same is best with 8.0 points (n = 8), smaller is worst with 6.0 (n = 8)" in texts


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Of 200 samples with a mean of 1, about 95 % have it in their interval; a bootstrap of 30 stays a little below."""
    random = np.random.default_rng(0)
    effects = [effect_of(random.normal(1, 2, (30, 1)), lambda drawn: float(drawn.mean())) for _ in range(200)]
    covered = np.mean([effect.low < 1 < effect.high for effect in effects])
    assert 0.88 < covered < 0.98


def test_models_are_compared_image_by_image() -> None:
    rows = [row("same", 5), row("smaller", 4), row("larger", 6)]
    other = [
        replace(one, model="trained", result=one.result.replace("small", "trained"), scores=row("", total).scores)
        for one, total in zip(rows, (8, 3, 7), strict=True)
    ]
    texts = [finding.text for finding in findings(Study({"nod": 50}, (*rows, *other), {}))]
    assert "trained gets +1.00 points against small over 3 images, and is better in 2 of them" in texts


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study]:
    """A study whose videos are plain colours, with its report."""
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("study")
    (folder / "views").mkdir()
    rows = (
        row("same", 7.25),
        row("<tiny> & dark", 10.0, size=0.4),
        row("huge", 2.5, size=2),
        row("a", 3, group="kind"),
        row("b", 4, group="kind"),
    )
    for index, one in enumerate(rows):
        with open_writer(folder / one.view, (48, 144), Fraction(10), {}) as writer:
            for frame in range(20):
                writer.write(np.full((48, 144, 3), 40 * index + 2 * frame, np.uint8), Fraction(frame, 10))
    made = Study({"nod": 20}, rows, {"small/lost.mp4": "it is <broken>"})
    made.save(folder / "study.json")
    write_report(folder, made, [])
    return folder, made


def test_report_has_all_its_files(study: tuple[Path, Study]) -> None:
    folder, made = study
    assert Study.load(folder / "study.json") == made
    with (folder / "study.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["label"] for line in lines] == ["same", "<tiny> & dark", "huge", "a", "b"]
    assert (lines[0]["total"], lines[0]["mouth_low"], lines[0]["people_total"]) == ("7.25", "6.75", "")
    for chart in ("size", "kind", "features"):
        drawing = (folder / "charts" / f"{chart}.svg").read_text(encoding="utf-8")
        assert "points of 10" in drawing
        assert read_image(folder / "charts" / f"{chart}.png").shape[1] > 400
    assert "n = 1" in (folder / "charts" / "size.svg").read_text(encoding="utf-8")
    assert read_image(folder / "sheets" / "size.png").shape[0] > 3 * 192


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["rows"][0].update(group="../../escaped"),
        lambda data: data["rows"][0].update(model="a/b"),
        lambda data: data["rows"][0].update(view="../secret.mp4"),
        lambda data: data["rows"][0].update(seen="often"),
        lambda data: data.update(rows=3),
        lambda data: data["rows"][0].update(scores={"total": {"value": None}}),
    ],
)
def test_a_study_of_somebody_else_stays_in_its_folder(
    change: Callable[[dict[str, Any]], None], study: tuple[Path, Study], tmp_path: Path
) -> None:
    data = json.loads((study[0] / "study.json").read_text(encoding="utf-8"))
    change(data)
    (tmp_path / "study.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(InputError, match=r"study\.json"):
        Study.load(tmp_path / "study.json")


def test_documentation_takes_its_figures_from_the_study(study: tuple[Path, Study], tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    page = tmp_path / "study.md"
    page.write_text("before\n<!-- figures -->\nof yesterday\n<!-- /figures -->\nafter\n", encoding="utf-8")
    runpy.run_path(str(REPOSITORY / "docs" / "study" / "make.py"))["write_docs"](study[0], page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- figures -->\n5 results; driving videos: nod (20 frames).")
    assert text.endswith("<!-- /figures -->\nafter\n")
    assert "yesterday" not in text
    for finding in findings(study[1]):
        assert finding.text in text
    linked = re.findall(r"\]\(([^)]*)\)", text)
    assert len(linked) == 4  # three charts, and the sheet of sizes; that of kinds is not shown
    assert all((tmp_path / name).is_file() for name in linked)
    assert "<!-- figures -->" in (REPOSITORY / "docs" / "study.md").read_text(encoding="utf-8")


def test_page_needs_no_other_file_and_escapes_what_it_shows(study: tuple[Path, Study]) -> None:
    page = (study[0] / "study.html").read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "://" not in re.sub(r'"data:[^"]*"', "", page)
    assert "<tiny>" not in page
    assert "<broken>" not in page
    assert "<tiny> & dark" in unescape(page)


# Reads the page the way its user does, and returns what it saw.
WATCH = """
async () => {
  const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
  const until = async (met) => { for (let i = 0; i < 200 && !met(); i++) await wait(50); return met(); };
  const labels = () => [...document.querySelectorAll("#results tbody tr")].map((row) => row.cells[4].innerText);
  const head = (name) => [...document.querySelectorAll("#results th button")].find((b) => b.innerText === name);
  const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", { key }));
  const saw = {};
  const video = document.querySelector("#results video");
  video.scrollIntoView();
  saw.played = await until(() => video.currentTime > 0.2);
  saw.width = video.videoWidth;
  video.click();
  await wait(100);
  saw.stopped = video.paused;
  head("total").click();
  saw.down = labels();
  head("total").click();
  saw.up = labels();
  head("label").click();
  saw.byName = labels();
  document.getElementById("blind").click();
  const shown = document.getElementById("shown");
  saw.blind = !document.body.innerText.includes("huge") && !document.body.innerText.includes("tiny");
  saw.ratedVideo = await until(() => shown.currentTime > 0.1);
  document.getElementById("rater").value = 'Anna "A"';
  const sources = new Set();
  for (let i = 0; i < 15; i++) {
    sources.add(shown.src);
    if (i === 4) { press("3"); press("Backspace"); press("9"); press("x"); }
    press(String(i % 5));
  }
  press("4");
  saw.different = sources.size;
  saw.end = document.getElementById("question").innerText;
  saw.csv = document.getElementById("save").href;
  document.getElementById("back").click();
  saw.back = document.getElementById("report").offsetHeight > 0;
  return saw;
}
"""


@pytest.mark.browser
def test_in_a_browser_the_page_is_sorted_played_and_rated(study: tuple[Path, Study], tmp_path: Path) -> None:
    module = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    folder, made = study
    with module.sync_playwright() as running, chromium(running, tmp_path / "no-camera.mjpeg") as browser:
        page = browser.new_page()
        page.goto((folder / "study.html").as_uri())
        saw = page.evaluate(WATCH)
    assert (saw["played"], saw["width"], saw["stopped"], saw["ratedVideo"]) == (True, 144, True, True)
    assert saw["down"] == ["<tiny> & dark", "same", "b", "a", "huge"]
    assert saw["up"] == saw["down"][::-1]
    assert saw["byName"] == ["same", "huge", "b", "a", "<tiny> & dark"]
    assert (saw["blind"], saw["back"], saw["different"]) == (True, True, 5)
    assert saw["end"].startswith("All 5 results are rated")
    path = tmp_path / "ratings.csv"
    path.write_text(unquote(saw["csv"].partition(",")[2]), encoding="utf-8")
    ratings = read_ratings(path)
    assert {rating.rater for rating in ratings} == {'Anna "A"'}
    assert {rating.result for rating in ratings} == {one.result for one in made.rows}
    assert [tuple(rating.points.values()) for rating in ratings] == [
        (0, 1, 2),
        (3, 4, 0),
        (1, 2, 3),
        (4, 0, 1),
        (2, 3, 4),
    ]


@pytest.mark.browser
def test_the_page_fits_a_telephone_and_its_charts_are_dark_in_the_dark(
    study: tuple[Path, Study], tmp_path: Path
) -> None:
    seen = screenshots(study[0] / "study.html", tmp_path, ".charts img")
    assert seen["telephone"][0] <= 390
    brightness = {look: [float(np.median(chart)) for chart in charts] for look, (_, charts) in seen.items()}
    assert len(brightness["light"]) == 3
    assert min(brightness["light"]) > 250
    assert max(*brightness["dark"], *brightness["telephone"]) < 40


def test_ratings_alone_are_merged_into_a_study(study: tuple[Path, Study], tmp_path: Path) -> None:
    folder, made = study
    mine = tmp_path / "mine"
    shutil.copytree(folder, mine)
    ratings = tmp_path / "ratings.csv"
    lines = [f"{rater},{one.result},{index},{index},{index}" for rater in "ab" for index, one in enumerate(made.rows)]
    ratings.write_text("\n".join(["rater,result,eyes,mouth,outline", *lines, "b,another.mp4,0,0,0"]))
    assert main(["study", "-o", str(mine), "--ratings", str(ratings), "-q"]) == 0
    with (mine / "study.csv").open(encoding="utf-8", newline="") as file:
        assert [line["people_total"] for line in csv.DictReader(file)] == ["0.00", "2.50", "5.00", "7.50", "10.00"]
    page = unescape((mine / "study.html").read_text(encoding="utf-8"))
    assert "2 raters agree by 1.00 (Krippendorff's alpha)" in page
    assert "go with the computed score by -0.50 (Spearman" in page


def test_what_cannot_be_is_refused_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["-o", str(tmp_path / "study")]
    for flags in (
        [],
        ["-s", "a.png"],
        ["-d", "a.mp4"],
        ["-s", str(tmp_path / "none.png"), "-d", str(sample()[1])],
        ["--ratings", str(tmp_path / "none.csv")],
        ["-s", "a.png", "-d", "a.mp4", "--places", "off=2,0"],
        ["-s", "a.png", "-d", "a.mp4", "--sizes", "big"],
        ["-s", "a.png", "-d", "a.mp4", "--config", "vox-256", "--config", "vox-256"],
    ):
        assert main(["study", *out, *flags]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "study").exists()


def test_missing_matplotlib_is_told_before_the_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fomm_cli.extras.find_spec", lambda _: None)
    assert main(["study", "-s", "a.png", "-d", "a.mp4"]) == 2
    assert main(["score", "a.mp4", "-d", "a.mp4", "--plot", "a.png"]) == 2
    assert capsys.readouterr().err.count("pip install matplotlib") == 2


def test_a_study_without_results_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    empty = Study({"nod": 9}, (), {"small/a.mp4": "the model is too new"})
    monkeypatch.setattr("fomm_cli.study.run._work", lambda *_: empty)
    assert main(["study", "-s", "a.png", "-d", "a.mp4", "-o", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "small/a.mp4: the model is too new" in told
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "study.html").exists()


@pytest.fixture
def home(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder with MediaPipe's model."""
    if find_spec("mediapipe") is None:
        pytest.skip("MediaPipe is not installed: pip install mediapipe")
    pytest.importorskip("matplotlib")
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(shared / "models" / "face_landmarker.task", folder)
    monkeypatch.setenv("FOMM_HOME", str(folder))
    return folder


@pytest.mark.usefixtures("home")
def test_a_study_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    portrait, teapot = tmp_path / "anna.png", tmp_path / "things" / "pot.png"
    teapot.parent.mkdir()
    Image.fromarray(astronaut()).save(portrait)
    Image.fromarray(blurry_background(120, 80)).save(teapot)
    driving = save_frames(tmp_path / "driving", hopper())
    out = tmp_path / "study"
    model = ["--checkpoint", str(CHECKPOINT), "--config", str(CONFIG), "--device", "cpu", "--threads", "1"]
    series = ["--sizes", "same=1", "small=0.5", "--places", "left=0.3,0.5", "--kind", f"thing={teapot.parent}"]
    command = ["study", "-s", str(portrait), "-d", str(driving), "-o", str(out), "--json", *series, *model]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["results"], result["failed"]) == (4, {})
    made = Study.load(out / "study.json")
    assert [(one.group, one.label) for one in made.rows] == [
        ("size", "same"), ("size", "small"), ("place", "left"), ("kind", "thing"),
    ]  # fmt: skip
    thing = made.rows[-1]
    assert (thing.basis, set(thing.scores), thing.features) == ("keypoints", {"outline", "total"}, None)
    assert made.rows[0].features is not None
    assert made.rows[0].features.face_height == pytest.approx(2 * made.rows[1].features.face_height, rel=0.1)
    assert made.rows[2].features.x == pytest.approx(0.3, abs=0.02)

    lost = out / made.rows[1].result
    kept = {path: path.stat().st_mtime_ns for folder in ("results", "scores", "views")
            for path in (out / folder).rglob("*") if path.is_file() and path.suffix in (".mp4", ".json")
            and path.stem.removesuffix(".mp4") != lost.stem}  # fmt: skip
    lost.unlink()
    assert main(command) == 0
    assert lost.exists()
    assert Study.load(out / "study.json") == made
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(kept) >= 9
