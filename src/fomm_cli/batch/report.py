"""What became of every pair: `report.csv` for programs, `report.html` for people."""

from __future__ import annotations

import base64
import csv
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import quote

from fomm_cli.batch.journal import Record
from fomm_cli.files.atomic import replacing
from fomm_cli.models.bundled import ASSETS

COLUMNS = (
    "result", "state", "source", "driving", "frames", "seconds", "frames_per_second",
    "device", "checkpoint_sha256", "attempts", "warnings", "error",
)  # fmt: skip
_EMBEDDED = 1000  # thumbnails inside the page; more make it slow, and are loaded from the results


def write_reports(folder: Path, records: Sequence[Record]) -> Path:
    """Write both into the result folder; returns the page.

    Raises:
        FommError: they cannot be written.
    """
    with replacing(folder / "report.csv") as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_row(record) for record in records)
    page = folder / "report.html"
    with replacing(page) as part:
        part.write_text(render(records), encoding="utf-8")
    return page


def _row(record: Record) -> tuple[object, ...]:
    state = "failed" if record.error else record.state
    speed = f"{record.frames / record.seconds:.2f}" if record.frames and record.seconds else None
    seconds = None if record.seconds is None else f"{record.seconds:.2f}"
    return (
        record.name, state, record.source, record.driving, record.frames, seconds, speed,
        record.device, record.checkpoint, record.attempts, " | ".join(record.warnings), record.error,
    )  # fmt: skip


def render(records: Sequence[Record]) -> str:
    """The page, which needs no other file (but the results, for more than a thousand thumbnails)."""
    template = Template((ASSETS / "report.html").read_text(encoding="utf-8"))
    failed = sum(1 for record in records if record.error)
    rows = "\n".join(_html_row(record, embed=index < _EMBEDDED) for index, record in enumerate(records))
    return template.substitute(
        all=len(records), done=len(records) - failed, failed=failed,
        warned=sum(1 for record in records if record.warnings),
        frames=sum(record.frames or 0 for record in records),
        seconds=f"{sum(record.seconds or 0 for record in records):.1f}",
        rows=rows,
    )  # fmt: skip


def _html_row(record: Record, *, embed: bool) -> str:
    values = dict(zip(COLUMNS, ("" if value is None else escape(str(value)) for value in _row(record)), strict=True))
    notes = "".join(f"<p class=warning>{escape(warning)}</p>" for warning in record.warnings)
    if record.error:
        notes += f"<p class=error>{values['error']}</p>"
    link = escape(quote(record.name))
    result = values["result"] if record.state == "failed" else f'<a href="{link}">{values["result"]}</a>'
    return (
        f'<tr data-state="{values["state"]}" data-warned="{"yes" if record.warnings else "no"}">'
        f"<td>{_moving(record, link, embed=embed)}</td><td>{result}{notes}</td><td>{values['state']}</td>"
        f"<td>{values['source']}</td><td>{values['driving']}</td><td>{values['frames']}</td>"
        f"<td>{values['seconds']}</td><td>{values['frames_per_second']}</td><td>{values['device']}</td>"
        f'<td title="{values["checkpoint_sha256"]}">{values["checkpoint_sha256"][:12]}</td>'
        f"<td>{values['attempts'] or ''}</td></tr>"
    )


def _moving(record: Record, link: str, *, embed: bool) -> str:
    if record.state != "done":
        return ""
    address = link
    if embed and record.thumbnail:
        address = "data:video/webm;base64," + base64.b64encode(record.thumbnail).decode()
    elif not record.name.endswith((".mp4", ".webm", ".mov")):
        return ""
    name = escape(record.name)
    return f'<video src="{address}" aria-label="{name}" muted loop playsinline preload="metadata" tabindex="0"></video>'
