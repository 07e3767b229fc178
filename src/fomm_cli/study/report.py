"""Write the report of a study: `study.csv`, charts, contact sheets, and `study.html`, which needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

from fomm_cli.files.atomic import replacing
from fomm_cli.files.pages import data_address, render_page
from fomm_cli.study.charts import draw_charts
from fomm_cli.study.claims import Claim, findings
from fomm_cli.study.ratings import HIGHEST, Rating, agreements, mean_points
from fomm_cli.study.rows import NUMBERS, Row, Study, write_table
from fomm_cli.study.views import write_sheet

_SHEET_ROWS = 12
_SHOWN = ("model", "driving", "group", "label", "portrait")


def write_report(folder: Path, study: Study, ratings: Sequence[Rating]) -> tuple[Path, list[Claim]]:
    """Write everything into the folder of a study; returns the page and what is said in it.

    Raises:
        FommError: a file cannot be written.
    """
    people = mean_points(ratings)
    computed = {row.result: {name: score.value for name, score in row.scores.items()} for row in study.rows}
    found = findings(study, agreements(ratings, computed) if ratings else ())
    write_table(folder / "study.csv", study.rows, people)
    charts = draw_charts(folder / "charts", study) if study.rows else []
    _write_sheets(folder, study)
    page = folder / "study.html"
    with replacing(page) as part:
        part.write_text(render(study, found, charts, people, folder), encoding="utf-8")
    return page, found


def _write_sheets(folder: Path, study: Study) -> None:
    """Write a contact sheet for each group, model and driving video."""
    for model, driving, group in product(study.models, study.frames, study.groups):
        rows = [row for rows in study.of(model, group).values() for row in rows if row.driving == driving]
        several = [name for name, names in ((model, study.models), (driving, study.frames)) if len(names) > 1]
        if rows:
            title = f"{group}: {model}, moved by {driving}"
            write_sheet(folder / "sheets" / f"{'-'.join([group, *several])}.png", title, rows[:_SHEET_ROWS], folder)


def render(
    study: Study, found: Sequence[Claim], charts: Sequence[Path], people: dict[str, dict[str, float]], folder: Path
) -> str:
    """Return the page.

    Args:
        study: the results.
        found: what is said of them.
        charts: SVGs to show.
        people: mean points that people gave, by result and part.
        folder: of the study, where the views are.
    """
    return render_page(
        "study.html",
        study=study,
        highest=HIGHEST,
        findings=[
            {"claim": finding.claim, "verdict": finding.verdict, "samples": finding.samples,
             "sentence": f"{finding.text[:1].upper()}{finding.text[1:]}."}
            for finding in found
        ],
        charts=[(path.stem, data_address("image/svg+xml", path.read_bytes())) for path in charts],
        headings=[*_SHOWN, *NUMBERS, "seen", *(["people"] if people else []), "notes"],
        rows=[_shown(row, people, folder) for row in study.rows],
    )  # fmt: skip


def _shown(row: Row, people: dict[str, dict[str, float]], folder: Path) -> dict[str, object]:
    """Return what the page shows of a result."""
    extras = [f"{row.seen:.0%}" if row.basis == "landmarks" else row.basis]
    if people:
        extras.append(f"{people[row.result]['total']:.1f}" if row.result in people else "")
    return {
        "result": row.result,
        "video": data_address("video/mp4", (folder / row.view).read_bytes()),
        "names": [getattr(row, name) for name in _SHOWN],
        "scores": [row.scores.get(name) for name in NUMBERS],
        "extras": extras,
        "notes": "; ".join(row.notes),
    }
