"""Read ratings by people, and measure how far they agree with one another and with the scores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from fomm_cli.errors import InputError
from fomm_cli.files.tables import read_csv
from fomm_cli.scoring.rubric import STUDY_PARTS

HIGHEST = 4
"""Points for a part; 0 is the least."""


@dataclass(frozen=True)
class Rating:
    """The points that one person gives one result: 0 to `HIGHEST` by part."""

    rater: str
    result: str
    points: dict[str, int]


def read_ratings(path: Path) -> list[Rating]:
    """Read the ratings in a CSV that `study.html` has saved, or in several of them put together.

    Raises:
        InputError: it cannot be read, or makes no sense; the message names the line.
    """
    columns, rows = read_csv(path)
    if missing := {"rater", "result", *STUDY_PARTS} - set(columns):
        raise InputError(f"{path} has no column {min(missing)}", "Save the ratings with study.html")
    return [_rating(row, f"{path}, line {line}") for line, row in rows if row["rater"] != "rater"]


def _rating(row: dict[str, str], where: str) -> Rating:
    points = {}
    for part in STUDY_PARTS:
        text = row[part].strip()
        if text not in map(str, range(HIGHEST + 1)):
            raise InputError(f"{where}: {part} is {text!r}", f"Give 0 to {HIGHEST} points")
        points[part] = int(text)
    return Rating(row["rater"], row["result"], points)


@dataclass(frozen=True)
class Agreement:
    """The agreement of people about a part, or about the total.

    Attributes:
        part: eyes, mouth, outline or total.
        raters: how many there are.
        results: rated by at least one of them.
        alpha: Krippendorff's, for ordered points; None with one rater.
        rho: Spearman's, between mean points and computed scores; None for less than three results.
        p: of rho.
    """

    part: str
    raters: int
    results: int
    alpha: float | None
    rho: float | None
    p: float | None


def mean_points(ratings: Sequence[Rating]) -> dict[str, dict[str, float]]:
    """Return mean points by result and part, scaled to 10, with their total."""
    table: dict[str, list[dict[str, int]]] = defaultdict(list)
    for rating in ratings:
        table[rating.result].append(rating.points)
    means = {}
    for result, given in table.items():
        parts = {part: 10 / HIGHEST * float(np.mean([points[part] for points in given])) for part in STUDY_PARTS}
        means[result] = {**parts, "total": float(np.mean(list(parts.values())))}
    return means


def agreements(ratings: Sequence[Rating], computed: dict[str, dict[str, float]]) -> list[Agreement]:
    """Measure the agreement of raters with one another and with the computed scores.

    Args:
        ratings: of results.
        computed: scores by result and part; parts that could not be seen are missing.
    """
    means = mean_points(ratings)
    raters = sorted({rating.rater for rating in ratings})
    found = []
    for part in (*STUDY_PARTS, "total"):
        units = [
            [sum(r.points.values()) if part == "total" else r.points[part] for r in ratings if r.result == result]
            for result in means
        ]
        pairs = [(mean[part], computed[name][part]) for name, mean in means.items() if part in computed.get(name, {})]
        rho = p = None
        if len(pairs) >= 3 and all(len(set(column)) > 1 for column in zip(*pairs, strict=True)):
            rho, p = (float(value) for value in spearmanr(*zip(*pairs, strict=True)))
        found.append(Agreement(part, len(raters), len(means), krippendorff_alpha(units), rho, p))
    return found


def krippendorff_alpha(units: Sequence[Sequence[float]]) -> float | None:
    """Compute Krippendorff's alpha for ordered values: 1 for perfect agreement, 0 for chance.

    Formulas of *Computing Krippendorff's Alpha-Reliability* (Krippendorff, 2011), section E, ordinal metric.

    Args:
        units: for each thing rated, the values that it got, by any number of raters.

    Returns:
        None if no thing was rated twice, or all values are equal.
    """
    pairable = [unit for unit in units if len(unit) > 1]
    values = sorted({value for unit in pairable for value in unit})
    place = {value: index for index, value in enumerate(values)}
    coincidences = np.zeros((len(values), len(values)))
    for unit in pairable:
        for one, other in permutations(unit, 2):
            coincidences[place[one], place[other]] += 1 / (len(unit) - 1)
    counts = coincidences.sum(axis=1)
    if len(values) < 2:
        return None
    distances = _ordinal_distances(counts)
    observed = (coincidences * distances).sum()
    expected = (np.outer(counts, counts) * distances).sum() / (counts.sum() - 1)
    return float(1 - observed / expected)


def _ordinal_distances(counts: np.ndarray) -> np.ndarray:
    """Return the squared number of values from the middle of one rank to the middle of another, (V, V)."""
    middles = np.cumsum(counts) - counts / 2
    return np.asarray((middles[:, None] - middles[None]) ** 2)
