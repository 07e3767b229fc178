"""Tables as a spreadsheet and a CSV reader see them."""

from __future__ import annotations

import csv
from pathlib import Path

from fomm_cli.files.tables import write_csv


def test_no_cell_is_a_formula_and_numbers_stay(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_csv(path, ["name", "value"], [["=cmd|calc!A1.png", -1.5], ["-0.25", None], ["@sum", "a,b"], ["ü", "+x"]])
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1:] == [["'=cmd|calc!A1.png", "-1.5"], ["-0.25", ""], ["'@sum", "a,b"], ["ü", "'+x"]]
