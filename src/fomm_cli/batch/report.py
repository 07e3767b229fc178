"""Write the outcome of every pair: `report.csv` for programs, `report.html` for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from fomm_cli.batch.journal import Record
from fomm_cli.files.atomic import replacing
from fomm_cli.files.pages import data_address, render_page
from fomm_cli.files.tables import write_csv

COLUMNS = (
    "result", "state", "source", "driving", "frames", "seconds", "frames_per_second",
    "device", "checkpoint_sha256", "attempts", "warnings", "error",
)  # fmt: skip
_EMBEDDED = 1000  # thumbnails inside the page; more make it slow, and are loaded from the results
_PLAYABLE = (".mp4", ".webm", ".mov")


def write_reports(folder: Path, records: Sequence[Record]) -> Path:
    """Write table and page into the result folder; return the page.

    Raises:
        FommError: they cannot be written.
    """
    write_csv(folder / "report.csv", COLUMNS, [_row(record) for record in records])
    page = folder / "report.html"
    with replacing(page) as part:
        part.write_text(render(records), encoding="utf-8")
    return page


def _row(record: Record) -> tuple[object, ...]:
    return (
        record.name, _state(record), record.source, record.driving, record.frames, _seconds(record), _speed(record),
        record.device, record.checkpoint, record.attempts, " | ".join(record.warnings), record.error,
    )  # fmt: skip


def _state(record: Record) -> str:
    return "failed" if record.error else record.state


def _seconds(record: Record) -> str:
    return "" if record.seconds is None else f"{record.seconds:.2f}"


def _speed(record: Record) -> str:
    return f"{record.frames / record.seconds:.2f}" if record.frames and record.seconds else ""


def render(records: Sequence[Record]) -> str:
    """Return the page, which needs no other file (but the results, for more than a thousand thumbnails)."""
    failed = sum(1 for record in records if record.error)
    return render_page(
        "report.html",
        records=[_shown(record, embed=index < _EMBEDDED) for index, record in enumerate(records)],
        done=len(records) - failed,
        failed=failed,
        warned=sum(1 for record in records if record.warnings),
        frames=sum(record.frames or 0 for record in records),
        seconds=f"{sum(record.seconds or 0 for record in records):.1f}",
    )


def _shown(record: Record, *, embed: bool) -> dict[str, object]:
    """Return the values that the page shows of a result."""
    return {
        "name": record.name,
        "link": "" if record.state == "failed" else quote(record.name),
        "video": _video(record, embed=embed),
        "state": _state(record),
        "source": record.source,
        "driving": record.driving,
        "frames": "" if record.frames is None else record.frames,
        "seconds": _seconds(record),
        "speed": _speed(record),
        "warnings": record.warnings,
        "error": record.error,
    }


def _video(record: Record, *, embed: bool) -> str:
    """Return the address of the moving thumbnail: inside the page, or the result itself; "" for none."""
    if record.state != "done":
        return ""
    if embed and record.thumbnail:
        return data_address("video/webm", record.thumbnail)
    return quote(record.name) if record.name.endswith(_PLAYABLE) else ""
