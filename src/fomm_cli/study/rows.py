"""Store the results of a study as records, as JSON to continue from, and as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fomm_cli.errors import InputError
from fomm_cli.files.atomic import replacing
from fomm_cli.files.tables import write_csv
from fomm_cli.scoring.rubric import PARTS, Score
from fomm_cli.study.portraits import Features

NUMBERS = ("total", *PARTS)


@dataclass(frozen=True)
class Row:
    """One result.

    Attributes:
        result: path of the video in the study's folder, which names it.
        view: path of the video that shows it beside its source and driving video.
        model: it was made by.
        driving: name of the driving video.
        group: size, place or kind.
        label: in the group.
        portrait: name of the image it was made from.
        size: height that the image's face was given, in driving faces; None where no face was found.
        scores: by the names in `NUMBERS`; what could not be seen is missing.
        basis: of the scores: landmarks, or keypoints.
        seen: ratio of the frames in which the result's face was found.
        distortion: mean change of the face's width by height that the driving face does not have, as a fraction.
        notes: on the scores.
        features: of the image.
    """

    result: str
    view: str
    model: str
    driving: str
    group: str
    label: str
    portrait: str
    size: float | None
    scores: dict[str, Score]
    basis: str
    seen: float
    distortion: float | None
    notes: tuple[str, ...]
    features: Features | None

    def value(self, name: str) -> float | None:
        """Return a score by its name; None if the part could not be seen."""
        return self.scores[name].value if name in self.scores else None


@dataclass(frozen=True)
class Study:
    """All data that the report of a study is made from.

    Attributes:
        frames: of the driving videos, by their names.
        rows: the results.
        failed: why there is no result, by its name.
    """

    frames: dict[str, int]
    rows: tuple[Row, ...]
    failed: dict[str, str]

    @property
    def models(self) -> list[str]:
        """Return the names of the models, in their order."""
        return list(dict.fromkeys(row.model for row in self.rows))

    @property
    def groups(self) -> list[str]:
        """Return the names of the groups, in their order."""
        return list(dict.fromkeys(row.group for row in self.rows))

    def of(self, model: str, group: str) -> dict[str, list[Row]]:
        """Return the rows of a group by their label."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            if (row.model, row.group) == (model, group):
                found.setdefault(row.label, []).append(row)
        return found

    def save(self, path: Path) -> None:
        """Write everything as JSON."""
        with replacing(path) as part:
            part.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Study:
        """Read what `save` has written.

        Raises:
            InputError: there is no study, or it was written by another version.
        """
        from pydantic import TypeAdapter

        if not path.is_file():
            raise InputError(
                f"there is no study in {path.parent}", "Give --source_image and --driving_video to make one"
            )
        try:
            study = TypeAdapter(cls).validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} is damaged, or of another version", "Delete it and run the study again"
            ) from error
        for row in study.rows:
            _check_names(row, path)
        return study


def _check_names(row: Row, path: Path) -> None:
    """Raise InputError where a name would lead out of the study's folder: it may come from somebody else."""
    for name in (row.group, row.model, row.driving):
        if not name or name != Path(name).name or "\\" in name or name in (".", ".."):
            raise InputError(f"{path}: the name {name!r} leads out of the study", "Delete the file")
    for name in (row.view, row.result):
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise InputError(f"{path}: the file {name!r} is not inside the study", "Delete the file")


def write_table(path: Path, rows: Sequence[Row], people: dict[str, dict[str, float]]) -> None:
    """Write a CSV with a line for each result.

    Args:
        path: of the CSV.
        rows: the results.
        people: mean points that they were given, by result and part.
    """
    lines = [table_line(row, people.get(row.result)) for row in rows]
    write_csv(path, list(lines[0]) if lines else ["result"], [list(line.values()) for line in lines])


def table_line(row: Row, people: dict[str, float] | None) -> dict[str, str]:
    """Return a result as text by column."""
    line = {name: str(getattr(row, name)) for name in ("result", "model", "driving", "group", "label", "portrait")}
    for name in NUMBERS:
        score = row.scores.get(name)
        for suffix, value in (("", "value"), ("_low", "low"), ("_high", "high")):
            line[name + suffix] = "" if score is None else f"{getattr(score, value):.2f}"
    line["size"] = "" if row.size is None else f"{row.size:.3f}"
    line |= {"basis": row.basis, "seen": f"{row.seen:.3f}"}
    line["distortion"] = "" if row.distortion is None else f"{row.distortion:.4f}"
    features = row.features
    for name in ("face_height", "x", "y", "contrast", "whites"):
        line[name] = "" if features is None else f"{getattr(features, name):.3f}"
    line["mouth_held"] = "" if features is None else features.mouth
    for name in ("eyes", "mouth", "outline", "total"):
        line[f"people_{name}"] = "" if people is None else f"{people[name]:.2f}"
    return {**line, "notes": " | ".join(row.notes)}
