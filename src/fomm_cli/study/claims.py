"""State what a study has found, in sentences with figures, beside the claims of the students' study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import yaml
from scipy.stats import rankdata

from fomm_cli.models.bundled import ASSETS
from fomm_cli.scoring.rubric import STUDY_PARTS
from fomm_cli.study.charts import GROUPS, compared_images, is_equal
from fomm_cli.study.ratings import Agreement
from fomm_cli.study.rows import Row, Study

ClaimVerdict = Literal["agrees", "disagrees", "cannot tell", ""]
Statistic = Callable[[np.ndarray], float]

_CLEAR = 0.5  # points; smaller differences are none
_USABLE = 2.0  # points, below which nothing can get much worse
_SMALL = 0.8  # height of a face in driving faces, below which it is clearly smaller
_FEWEST = 5  # portraits; the spread of fewer says nothing about other portraits
_RESAMPLES = 2000


class Measured(NamedTuple):
    """A verdict on a claim, a sentence with the figures, and the number of portraits behind them."""

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
        samples: number of portraits, or of results, that it rests on.
    """

    claim: str
    verdict: ClaimVerdict
    text: str
    samples: int


@dataclass(frozen=True)
class Effect:
    """A figure that is above zero where the claim holds, with its 95 % bootstrap interval over the portraits."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.2f} [{self.low:+.2f} to {self.high:+.2f}]"


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


def verdict_of(effects: Sequence[Effect]) -> ClaimVerdict:
    """Return agrees if every interval lies above zero, disagrees if one lies below, and cannot tell otherwise."""
    if all(effect.low > 0 for effect in effects):
        return "agrees"
    return "disagrees" if any(effect.high < 0 for effect in effects) else "cannot tell"


def effect_of(portraits: np.ndarray, statistic: Statistic) -> Effect:
    """Estimate a statistic of portraits, and by resampling them how far it holds for others.

    Args:
        portraits: a line for each, float (N, ...).
        statistic: of such an array.
    """
    random = np.random.default_rng(0)
    numbers = random.integers(0, len(portraits), (_RESAMPLES, len(portraits)))
    low, high = np.percentile([statistic(portraits[drawn]) for drawn in numbers], (2.5, 97.5))
    return Effect(statistic(portraits), float(low), float(high))


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's rank correlation; 0 where either does not vary."""
    ranks = np.stack([rankdata(one), rankdata(other)])
    return float(np.corrcoef(ranks)[0, 1]) if ranks.std(1).all() else 0.0


def _contrast(study: Study, model: str) -> Measured:
    rows = [
        row for row in compared_images(study)
        if row.model == model and row.features is not None and "total" in row.scores
    ]  # fmt: skip
    table = np.array([
        [np.mean([row.scores["total"].value for row in of_one]),
         *(np.mean([getattr(row.features, name) for row in of_one]) for name in ("contrast", "whites"))]
        for of_one in _by_portrait(rows).values()
    ])  # fmt: skip
    if len(table) < _FEWEST:
        text = f"{len(table)} portrait(s) with a face in equal framings are too few; add some with --kind"
        return Measured("cannot tell", text, len(table))
    if table[:, 0].max() < _USABLE:
        return Measured("cannot tell", f"none of the {len(table)} portraits gets {_USABLE:g} points", len(table))
    contrast = effect_of(table, lambda chosen: correlation(chosen[:, 1], chosen[:, 0]))
    whites = effect_of(table, lambda chosen: correlation(chosen[:, 2], chosen[:, 0]))
    beyond = effect_of(
        table,
        lambda chosen: correlation(chosen[:, 1], chosen[:, 0]) - max(0.0, correlation(chosen[:, 2], chosen[:, 0])),
    )
    text = (
        f"over {len(table)} portraits, the total goes with the contrast by {contrast} and with the whites of the eyes "
        f"by {whites} (Spearman); the first beyond the second: {beyond}"
    )
    return Measured(verdict_of([beyond]), text, len(table))


def _small(study: Study, model: str) -> Measured:
    series = [row for rows in study.of(model, "size").values() for row in rows if row.size is not None]
    small = _by_portrait([row for row in series if row.size is not None and row.size < _SMALL])
    same = _by_portrait([row for row in series if is_equal(row)])
    losses, reference = [], []
    for portrait in sorted(small.keys() & same.keys()):
        loss = [_loss(same[portrait], small[portrait], part) for part in ("total", *STUDY_PARTS)]
        if None not in loss:
            losses.append(loss)
            reference.append(_mean(same[portrait], "total"))
    if not losses:
        return Measured("cannot tell", "there are no results of smaller faces to compare", 0)
    table = np.array(losses, float)
    mean = float(np.mean([value for value in reference if value is not None]))
    if mean < _USABLE:
        text = f"even faces as large as the driving one get {mean:.1f} points, so there is little to lose"
        return Measured("cannot tell", text, len(table))
    mouth = 1 + STUDY_PARTS.index("mouth")
    others = [1 + index for index, part in enumerate(STUDY_PARTS) if part != "mouth"]
    total = effect_of(table, lambda chosen: float(chosen[:, 0].mean()))
    first = effect_of(table, lambda chosen: float(chosen[:, mouth].mean() - chosen[:, others].mean(0).max()))
    parts = ", ".join(f"{part} {mean:.1f}" for part, mean in zip(STUDY_PARTS, table[:, 1:].mean(0), strict=True))
    text = (
        f"faces below {_SMALL:g} of the driving face's height lose {total} points against equal ones ({parts}), the "
        f"mouth {first} more than any other part, over {len(table)} portrait(s)"
    )
    return _judged([total, first], text, len(table))


def _border(study: Study, model: str) -> Measured:
    table = study.of(model, "place")
    edge = _by_portrait([row for label, rows in table.items() if label != "centre" for row in rows])
    middle = _by_portrait(table.get("centre", []))
    changes = [
        (_distortion(edge[portrait]), _distortion(middle[portrait])) for portrait in sorted(edge.keys() & middle.keys())
    ]
    known = np.array([change for change in changes if None not in change], float)
    if not len(known):
        return Measured("cannot tell", "no face is seen in the results at the border and in the middle", 0)
    squeezed = effect_of(100 * known, lambda chosen: float((chosen[:, 0] - chosen[:, 1]).mean()))
    at_edge, in_middle = known.mean(0)
    text = (
        f"faces at the border change their width by height by {at_edge:.1%} beyond the driving face, those in the "
        f"middle by {in_middle:.1%}: {squeezed} percentage points, over {len(known)} portrait(s)"
    )
    return _judged([squeezed], text, len(known))


def _mouths(study: Study, model: str) -> Measured:
    order: list[str] = students_claims()["mouths"]["best_to_worst"]
    table = []
    for rows in _by_portrait([row for row in compared_images(study) if row.model == model]).values():
        held = rows[0].features.mouth if rows[0].features else ""
        if held in order and (mean := _mean(rows, "mouth")) is not None:
            table.append((order.index(held), mean))
    points = np.array(table, float).reshape(-1, 2)
    kinds = sorted(set(points[:, 0].astype(int)))
    if len(kinds) < 2:
        text = "the portraits do not hold their mouths in different ways; add some with --kind"
        return Measured("cannot tell", text, len(points))
    of_kind = {kind: points[points[:, 0] == kind, 1] for kind in kinds}
    means = ", ".join(
        f"{values.mean():.1f} points {order[kind]} (n = {len(values)})" for kind, values in of_kind.items()
    )
    if points[:, 1].max() < _USABLE:
        return Measured("cannot tell", f"mouths get {means}: there is little to lose", len(points))
    in_order = effect_of(points, lambda chosen: -correlation(chosen[:, 0], chosen[:, 1]))
    return _judged([in_order], f"mouths get {means}; the students' order holds by {in_order} (Spearman)", len(points))


_MEASUREMENTS: dict[str, Callable[[Study, str], Measured]] = {
    "contrast": _contrast,
    "small_face": _small,
    "border": _border,
    "mouths": _mouths,
}
"""The measurement of each claim, by the keys of assets/claims.yaml."""


def _judged(effects: Sequence[Effect], text: str, portraits: int) -> Measured:
    """Judge by intervals, where there are enough portraits for them to mean something."""
    if portraits < _FEWEST:
        return Measured("cannot tell", f"{text}: too few for a verdict", portraits)
    return Measured(verdict_of(effects), text, portraits)


def _by_portrait(rows: Sequence[Row]) -> Mapping[str, list[Row]]:
    """Collect the results of each portrait, of all driving videos."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.portrait, []).append(row)
    return found


def _mean(rows: Sequence[Row], name: str) -> float | None:
    values = [value for row in rows if (value := row.value(name)) is not None]
    return float(np.mean(values)) if values else None


def _loss(reference: Sequence[Row], others: Sequence[Row], name: str) -> float | None:
    one, other = _mean(reference, name), _mean(others, name)
    return None if one is None or other is None else one - other


def _distortion(rows: Sequence[Row]) -> float | None:
    values = [row.distortion for row in rows if row.distortion is not None]
    return float(np.mean(values)) if values else None


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
