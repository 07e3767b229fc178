"""Write CSV tables whose cells no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from fomm_cli.errors import InputError, foreign_errors
from fomm_cli.files.atomic import replacing
from fomm_cli.files.inputs import read_text

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


def read_csv(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read a table with a header line, in UTF-8.

    Returns:
        The names of the columns, and for each row the number of its line and its text by column.

    Raises:
        InputError: it cannot be read, or a row has more values than there are columns.
    """
    reader = csv.DictReader(io.StringIO(read_text(path, "table"), newline=""), restval="")
    rows = []
    with foreign_errors(f"{path} is not a CSV table", "Save it as CSV, in UTF-8"):
        columns = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = columns
        for row in reader:
            if None in row:
                problem = f"{path}, line {reader.line_num}: more values than columns"
                raise InputError(problem, "Put values with commas into double quotes")
            rows.append((reader.line_num, row))
    return columns, rows


def _harmless(cell: object) -> object:
    if not isinstance(cell, str) or not cell.startswith(_FORMULA_STARTS):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
