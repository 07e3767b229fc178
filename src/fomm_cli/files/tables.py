"""CSV tables, written whole, whose cells no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from fomm_cli.files.atomic import replacing

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table with a header line, as UTF-8.

    Text that begins like a formula gets an apostrophe in front, since spreadsheets run formulas; numbers stay as they
    are. None becomes an empty cell.

    Raises:
        FommError: it cannot be written.
    """
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([_harmless(cell) for cell in row] for row in rows)


def _harmless(cell: object) -> object:
    if not isinstance(cell, str) or not cell.startswith(_FORMULA_STARTS):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
