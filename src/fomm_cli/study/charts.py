"""Draw bar charts of a study by group, and scatter charts of image features against scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fomm_cli.files.atomic import make_folder
from fomm_cli.scoring.figure import figure_file
from fomm_cli.scoring.rubric import STUDY_PARTS
from fomm_cli.study.rows import Row, Study

SUFFIXES = (".png", ".svg")
COLOURS = {"eyes": "#4c78a8", "mouth": "#e45756", "outline": "#72b7b2", "total": "#404040"}
GROUPS = {
    "size": "size of the face",
    "place": "place of the face",
    "kind": "kind of image",
    "mouth": "mouth of the image",
}

_EQUAL = 0.05
_BARS = 0.8  # of the room for a label


def draw_charts(folder: Path, study: Study) -> list[Path]:
    """Draw one chart for each group, and one of features and scores if there are images to compare.

    Returns:
        The SVGs; a PNG lies beside each.
    """
    make_folder(folder)
    made = []
    groups = [(group, [study.of(model, group) for model in study.models]) for group in study.groups]
    by_mouth = [rows_by_mouth(study, model) for model in study.models]
    if len(by_mouth[0]) > 1:
        groups.append(("mouth", by_mouth))
    for group, tables in groups:
        for suffix in SUFFIXES:
            _draw_bars(folder / f"{group}{suffix}", group, dict(zip(study.models, tables, strict=True)))
        made.append(folder / f"{group}.svg")
    compared = [row for row in compared_images(study) if row.features is not None]
    if len({row.portrait for row in compared}) > 2:
        for suffix in SUFFIXES:
            _draw_features(folder / f"features{suffix}", compared)
        made.append(folder / "features.svg")
    return made


def compared_images(study: Study) -> list[Row]:
    """Return the results in equal framings: the kinds, and each portrait as large as the driving face."""
    return [row for row in study.rows if row.group == "kind" or (row.group == "size" and is_equal(row))]


def is_equal(row: Row) -> bool:
    """Return whether the face of the image is as large as the driving face."""
    return row.size is not None and abs(row.size - 1) < _EQUAL


def rows_by_mouth(study: Study, model: str) -> dict[str, list[Row]]:
    """Return the compared images of a model by the state of the mouth."""
    found: dict[str, list[Row]] = {}
    for row in compared_images(study):
        if row.model == model and row.features is not None:
            found.setdefault(row.features.mouth, []).append(row)
    return found


def _draw_bars(path: Path, group: str, tables: dict[str, dict[str, list[Row]]]) -> None:
    """Draw a row for each model: a bar for each part and label, with whiskers over frames and a dot for each result."""
    labels = list(dict.fromkeys(label for table in tables.values() for label in table))
    width = max(5.0, 1.6 * len(labels) + 1)
    with figure_file(path, len(tables), 1, (width, 3.2)) as axes:
        for axis, (model, table) in zip(axes[:, 0], tables.items(), strict=True):
            for number, part in enumerate((*STUDY_PARTS, "total")):
                _draw_part(axis, part, number, [table.get(label, []) for label in labels])
            counts = [len(table.get(label, [])) for label in labels]
            ticks = [f"{label}\nn = {count}" for label, count in zip(labels, counts, strict=True)]
            axis.set_xticks(range(len(labels)), ticks, fontsize=9)
            axis.set_ylim(0, 11.6)  # room for the legend
            axis.set_yticks(range(0, 11, 2))
            axis.set_ylabel("points of 10")
            axis.set_title(f"{GROUPS.get(group, group)}: {model}", fontsize=10)
            axis.grid(axis="y", alpha=0.3)
            axis.set_axisbelow(True)
        axes[0, 0].legend(ncols=4, fontsize=8, loc="upper right")


def _draw_part(axis: Any, part: str, number: int, cells: Sequence[Sequence[Row]]) -> None:
    width = _BARS / (len(STUDY_PARTS) + 1)
    offset = (number - len(STUDY_PARTS) / 2) * width
    for place, rows in enumerate(cells):
        scores = [row.scores[part] for row in rows if part in row.scores]
        label = part if place == 0 else None
        if not scores:
            axis.bar(place + offset, 0, width, color=COLOURS[part], label=label)
            axis.text(place + offset, 0.1, "not seen", rotation=90, ha="center", va="bottom", fontsize=6, color="0.4")
            continue
        mean = float(np.mean([score.value for score in scores]))
        spread = [
            [math.hypot(*(score.value - score.low for score in scores)) / len(scores)],
            [math.hypot(*(score.high - score.value for score in scores)) / len(scores)],
        ]
        axis.bar(place + offset, mean, width, yerr=spread, color=COLOURS[part], label=label,
                 error_kw={"elinewidth": 1, "capsize": 2, "ecolor": "0.3"})  # fmt: skip
        if len(scores) > 1:
            axis.plot([place + offset] * len(scores), [score.value for score in scores], ".", color="0.1", ms=3)


def _draw_features(path: Path, rows: Sequence[Row]) -> None:
    with figure_file(path, 1, 2, (4.2, 3.2)) as axes:
        names = {"contrast": "contrast of the features, grey levels", "whites": "whites of the eyes, ‰ of the face"}
        for axis, (name, label) in zip(axes[0], names.items(), strict=True):
            for model in dict.fromkeys(row.model for row in rows):
                chosen = [row for row in rows if row.model == model and "total" in row.scores]
                values = [getattr(row.features, name) for row in chosen]
                axis.plot(values, [row.scores["total"].value for row in chosen], "o", ms=4, alpha=0.7, label=model)
            axis.set_xlabel(label)
            axis.set_ylabel("total, points of 10")
            axis.set_ylim(0, 10.4)
            axis.grid(alpha=0.3)
        axes[0, 0].legend(fontsize=8)
