"""State what a study has found, in sentences with figures, beside the claims of the students' study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import yaml
from scipy.stats import spearmanr

from fomm_cli.models.bundled import ASSETS
from fomm_cli.scoring.rubric import STUDY_PARTS
from fomm_cli.study.charts import GROUPS, compared_images, is_equal, rows_by_mouth
from fomm_cli.study.ratings import Agreement
from fomm_cli.study.rows import Row, Study

ClaimVerdict = Literal["agrees", "disagrees", "cannot tell", ""]

_CLEAR = 0.5  # points; smaller differences are none
_USABLE = 2.0  # points, below which nothing can get much worse
_SMALL = 0.8  # height of a face in driving faces, below which it is clearly smaller
_FEWEST = 5  # images for a correlation


class Measured(NamedTuple):
    """Whether figures agree with a claim, a sentence with these figures, and the number of results behind them."""

    verdict: ClaimVerdict
    text: str
    samples: int


@dataclass(frozen=True)
class Claim:
    """A sentence about the results.

    Attributes:
        claim: the claim of the students' study that it is about, from assets/claims.yaml; empty for others.
        verdict: whether the figures agree with the claim.
        text: the sentence.
        samples: number of results that it rests on.
    """

    claim: str
    verdict: ClaimVerdict
    text: str
    samples: int


def students_claims() -> dict[str, dict[str, Any]]:
    """Read the claims of the students' study by the name of the measurement that checks them."""
    claims: dict[str, dict[str, Any]] = yaml.safe_load((ASSETS / "claims.yaml").read_text(encoding="utf-8"))
    return claims


def findings(study: Study, agreements: Sequence[Agreement] = ()) -> list[Claim]:
    """Return every sentence about the models, their comparison and the raters."""
    found = []
    for model in study.models:
        whose = f"with {model}, " if len(study.models) > 1 else ""
        for name, students in students_claims().items():
            verdict, text, samples = _MEASUREMENTS[name](study, model)
            found.append(Claim(students["claim"], verdict, whose + text, samples))
        for group in study.groups:
            found += [Claim("", "", whose + text, count) for text, count in _extremes(study.of(model, group), group)]
    found += _models_compared(study)
    found += [_rater_sentence(agreement) for agreement in agreements]
    return found


def _mean(rows: Sequence[Row], name: str) -> float | None:
    values = [value for row in rows if (value := row.value(name)) is not None]
    return float(np.mean(values)) if values else None


def _contrast(study: Study, model: str) -> Measured:
    rows = [
        row for row in compared_images(study)
        if row.model == model and row.features is not None and "total" in row.scores
    ]  # fmt: skip
    totals = [row.scores["total"].value for row in rows]
    columns = {name: [float(getattr(row.features, name)) for row in rows] for name in ("contrast", "whites")}
    if len(rows) < _FEWEST:
        text = f"{len(rows)} image(s) with a face in equal framings are too few; add some with --kind"
        return Measured("cannot tell", text, len(rows))
    if max(totals) < _USABLE or any(len(set(column)) < 2 for column in (totals, *columns.values())):
        text = f"the {len(rows)} images in equal framings hardly differ, or none gets points to compare"
        return Measured("cannot tell", text, len(rows))
    rho = {name: float(spearmanr(column, totals).statistic) for name, column in columns.items()}
    text = (
        f"over {len(rows)} images, the total goes with the contrast by {rho['contrast']:+.2f} "
        f"and with the whites of the eyes by {rho['whites']:+.2f} (Spearman)"
    )
    agrees = rho["contrast"] > max(0.0, rho["whites"])
    return Measured("agrees" if agrees else "disagrees", text, len(rows))


def _small(study: Study, model: str) -> Measured:
    series = [row for rows in study.of(model, "size").values() for row in rows if row.size is not None]
    small = [row for row in series if row.size is not None and row.size < _SMALL]
    same = [row for row in series if is_equal(row)]
    losses = {part: _loss(same, small, part) for part in (*STUDY_PARTS, "total")}
    known = {part: loss for part, loss in losses.items() if loss is not None}
    if "total" not in known or "mouth" not in known:
        return Measured("cannot tell", "there are no results of smaller faces to compare", len(small))
    if (reference := _mean(same, "total") or 0.0) < _USABLE:
        text = f"even faces as large as the driving one get {reference:.1f} points, so there is little to lose"
        return Measured("cannot tell", text, len(small) + len(same))
    parts = ", ".join(f"{part} {-known[part]:+.1f}" for part in STUDY_PARTS if part in known)
    text = (
        f"faces below {_SMALL:g} of the driving face's height get {-known['total']:+.1f} points against equal ones "
        f"({parts}; {len(small)} against {len(same)} results)"
    )
    first = max((part for part in STUDY_PARTS if part in known), key=known.__getitem__)
    agrees = known["total"] > _CLEAR and first == "mouth"
    return Measured("agrees" if agrees else "disagrees", text, len(small) + len(same))


def _loss(reference: Sequence[Row], others: Sequence[Row], name: str) -> float | None:
    one, other = _mean(reference, name), _mean(others, name)
    return None if one is None or other is None else one - other


def _border(study: Study, model: str) -> Measured:
    table = study.of(model, "place")
    edge = [row for label, rows in table.items() if label != "centre" for row in rows]
    middle = table.get("centre", [])
    means = [[row.distortion for row in rows if row.distortion is not None] for rows in (edge, middle)]
    if not all(means):
        return Measured("cannot tell", "no face is seen in the results at the border and in the middle", len(edge))
    at_edge, in_middle = (float(np.mean(values)) for values in means)
    total = _loss(middle, edge, "total")
    text = (
        f"faces at the border change their width by height by {at_edge:.1%} beyond the driving face, "
        f"those in the middle by {in_middle:.1%}"
        + ("" if total is None else f"; their total is {-total:+.1f} points")
        + f" ({len(means[0])} against {len(means[1])} results)"
    )
    return Measured("agrees" if at_edge > 1.5 * in_middle else "disagrees", text, sum(map(len, means)))


def _mouths(study: Study, model: str) -> Measured:
    table = rows_by_mouth(study, model)
    means = [(kind, mean, len(table[kind])) for kind in students_claims()["mouths"]["best_to_worst"]
             if kind in table and (mean := _mean(table[kind], "mouth")) is not None]  # fmt: skip
    samples = sum(count for _, _, count in means)
    if len(means) < 2:
        text = "the images do not hold their mouths in different ways; add some with --kind"
        return Measured("cannot tell", text, samples)
    text = "mouths get " + ", ".join(f"{mean:.1f} points {kind} (n = {count})" for kind, mean, count in means)
    values = [mean for _, mean, _ in means]
    if max(values) < _USABLE:
        return Measured("cannot tell", f"{text}: there is little to lose", samples)
    in_order = values == sorted(values, reverse=True) and values[0] - values[-1] > _CLEAR
    return Measured("agrees" if in_order else "disagrees", text, samples)


_MEASUREMENTS: dict[str, Callable[[Study, str], Measured]] = {
    "contrast": _contrast,
    "small_face": _small,
    "border": _border,
    "mouths": _mouths,
}
"""The measurement of each claim, by the keys of assets/claims.yaml."""


def _extremes(table: dict[str, list[Row]], group: str) -> list[tuple[str, int]]:
    """Name the best and the worst label of a group by the mean total."""
    if any(row.basis == "landmarks" for rows in table.values() for row in rows):  # outlines alone do not compare
        table = {label: [row for row in rows if row.basis == "landmarks"] for label, rows in table.items()}
    means = {label: mean for label, rows in table.items() if (mean := _mean(rows, "total")) is not None}
    if len(means) < 2:
        return []
    best, worst = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    if means[best] - means[worst] < _CLEAR:
        text = f"the {GROUPS[group]} makes no clear difference: all totals lie within {_CLEAR:g} points"
        return [(text, sum(map(len, table.values())))]
    text = (
        f"by the {GROUPS[group]}, {best} is best with {means[best]:.1f} points (n = {len(table[best])}), "
        f"{worst} is worst with {means[worst]:.1f} (n = {len(table[worst])})"
    )
    return [(text, len(table[best]) + len(table[worst]))]


def _models_compared(study: Study) -> list[Claim]:
    """Compare each further model with the first, over the images that both have animated."""
    first, *others = study.models
    own = {_image(row): row for row in study.rows if row.model == first}
    found = []
    for model in others:
        pairs = [
            (row.scores["total"].value, own[_image(row)].scores["total"].value)
            for row in study.rows
            if row.model == model and "total" in row.scores
            and _image(row) in own and "total" in own[_image(row)].scores
        ]  # fmt: skip
        if pairs:
            differences = np.array([one - other for one, other in pairs])
            text = (
                f"{model} gets {differences.mean():+.2f} points against {first} over {len(pairs)} images, "
                f"and is better in {np.count_nonzero(differences > 0)} of them"
            )
            found.append(Claim("", "", text, 2 * len(pairs)))
    return found


def _image(row: Row) -> str:
    return row.result.rpartition("/")[2]


def _rater_sentence(agreement: Agreement) -> Claim:
    one_another = (
        "nothing was rated twice" if agreement.alpha is None
        else f"{agreement.raters} raters agree by {agreement.alpha:.2f} (Krippendorff's alpha)"
    )  # fmt: skip
    scores = (
        "too few to compare with the scores" if agreement.rho is None
        else f"their mean points go with the computed score by {agreement.rho:+.2f} (Spearman, p = {agreement.p:.2g})"
    )  # fmt: skip
    text = f"people on {agreement.part}: {one_another}; {scores}, over {agreement.results} results"
    return Claim("", "", text, agreement.results)
