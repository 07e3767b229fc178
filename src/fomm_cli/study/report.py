"""The report of a study: `study.csv`, charts, contact sheets, and `study.html` that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from fomm_cli.files.atomic import replacing
from fomm_cli.models.bundled import ASSETS
from fomm_cli.study.charts import draw_charts
from fomm_cli.study.claims import Finding, findings
from fomm_cli.study.ratings import HIGHEST, Rating, agreements, mean_points
from fomm_cli.study.rows import NUMBERS, Row, Study, write_table
from fomm_cli.study.views import write_sheet

_SHOWN = ("model", "group", "label", "portrait")


def write_report(folder: Path, study: Study, ratings: Sequence[Rating]) -> tuple[Path, list[Finding]]:
    """Write everything into the folder of a study; returns the page and what is said in it.

    Raises:
        FommError: a file cannot be written.
    """
    people = mean_points(ratings)
    computed = {row.result: {name: score.value for name, score in row.scores.items()} for row in study.rows}
    found = findings(study, agreements(ratings, computed) if ratings else ())
    write_table(folder / "study.csv", study.rows, people)
    charts = draw_charts(folder / "charts", study) if study.rows else []
    for model in study.models:
        for group in study.groups:
            rows = [row for label in study.of(model, group).values() for row in label]
            name = f"{group}.png" if len(study.models) == 1 else f"{group}-{model}.png"
            write_sheet(folder / "sheets" / name, f"{group}: {model}", rows, folder)
    page = folder / "study.html"
    with replacing(page) as part:
        part.write_text(render(study, found, charts, people, folder), encoding="utf-8")
    return page, found


def render(
    study: Study, found: Sequence[Finding], charts: Sequence[Path], people: dict[str, dict[str, float]], folder: Path
) -> str:
    """The page.

    Args:
        study: the results.
        found: what is said of them.
        charts: SVGs to show.
        people: mean points that people gave, by result and part.
        folder: of the study, where the views are.
    """
    template = Template((ASSETS / "study.html").read_text(encoding="utf-8"))
    headings = [*_SHOWN, *NUMBERS, "seen", *(["people"] if people else []), "notes"]
    return template.substitute(
        driving=escape(study.driving), results=len(study.rows), frames=study.frames,
        models=escape(", ".join(study.models)), highest=HIGHEST,
        failed="".join(
            f"<p class=error>{escape(name)} is missing: {escape(why)}</p>" for name, why in study.failed.items()
        ),
        claims="\n".join(_claim(finding) for finding in found if finding.claim),
        others="\n".join(f"<li>{escape(_sentence(finding))}</li>" for finding in found if not finding.claim),
        charts="\n".join(_chart(path) for path in charts),
        headings="".join(
            f'<th scope="col" aria-sort="none"><button type="button">{name}</button></th>' for name in headings
        ),
        rows="\n".join(_row(row, people, folder) for row in study.rows),
    )  # fmt: skip


def _sentence(finding: Finding) -> str:
    return f"{finding.text[:1].upper()}{finding.text[1:]}."


def _claim(finding: Finding) -> str:
    return (
        f'<tr data-verdict="{finding.verdict}"><td>{escape(finding.claim)}</td><td>{finding.verdict}</td>'
        f"<td>{escape(_sentence(finding))}</td><td>{finding.samples}</td></tr>"
    )


def _chart(path: Path) -> str:
    return f'<img src="{_embedded(path, "image/svg+xml")}" alt="chart by {escape(path.stem)}">'


def _row(row: Row, people: dict[str, dict[str, float]], folder: Path) -> str:
    cells = [escape(getattr(row, name)) for name in _SHOWN]
    for name in NUMBERS:
        score = row.scores.get(name)
        cells.append(
            "" if score is None else f'<span title="{score.low:.1f} to {score.high:.1f}">{score.value:.1f}</span>'
        )
    cells.append(f"{row.seen:.0%}" if row.basis == "landmarks" else escape(row.basis))
    if people:
        cells.append(f"{people[row.result]['total']:.1f}" if row.result in people else "")
    cells.append(f"<small>{escape('; '.join(row.notes))}</small>")
    view = _embedded(folder / row.view, "video/mp4")
    video = f'<video src="{view}" muted loop playsinline preload="metadata" tabindex="0"></video>'
    return (
        f'<tr data-result="{escape(row.result)}"><td>{video}</td>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def _embedded(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
