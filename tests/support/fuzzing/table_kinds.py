"""Make hostile manifests, journals, studies, and values of options."""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
import shutil
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from support.fuzzing.common import (
    FACE,
    MODEL,
    MOTION,
    PLAIN,
    PORTRAIT,
    Originals,
    moving,
    write_face,
    write_portrait,
    write_video,
)
from support.fuzzing.model_kinds import hostile_yaml
from support.fuzzing.mutations import (
    ODD_TEXTS,
    UNREADABLE_NAME,
    mutated_bytes,
    mutated_structure,
    odd_values,
    special_file,
)
from support.fuzzing.trial import ANYTHING, Trial

BATCH = ("batch", *MODEL, *PLAIN)


class Manifests:
    """Tables of pairs, job files, lists of pictures and ratings."""

    name = "manifests"
    weight = 80

    def prepare(self, originals: Path) -> list[Trial]:
        """Write a sound one of each."""
        self._originals = Originals(originals)
        write_portrait(originals / PORTRAIT)
        write_video(originals / MOTION, moving())
        rows = f"source,driving,result,start,fps\n{PORTRAIT},{MOTION},a.mp4,0,25\n{PORTRAIT},{MOTION},b.mp4,,\n"
        (originals / "pairs.csv").write_text(rows, encoding="utf-8")
        pairs = [{"source": PORTRAIT, "driving": MOTION, "result": "a.mp4", "motion_scale": 1.0, "relative": True}]
        self._jobs = {"source": [PORTRAIT], "driving": [MOTION], "max_frames": 2, "crop": "none", "pairs": pairs}
        (originals / "jobs.yaml").write_text(yaml.safe_dump(self._jobs), encoding="utf-8")
        return [self._planned("--pairs", "pairs.csv", ""), self._planned("--jobs", "jobs.yaml", "")]

    def trial(self, dice: random.Random, folder: Path) -> Trial:
        """Change a cell, a value or bytes."""
        self._originals.copy(PORTRAIT, folder)
        self._originals.copy(MOTION, folder)
        act = dice.random()
        if act < 0.2:
            _, what = self._originals.mutate(dice, "pairs.csv", folder)
            return self._planned("--pairs", "pairs.csv", what)
        if act < 0.55:
            return self._planned("--pairs", "pairs.csv", _hostile_csv(dice, folder / "pairs.csv"))
        if act < 0.65:
            _, what = self._originals.mutate(dice, "jobs.yaml", folder)
        elif act < 0.8:
            what = hostile_yaml(dice, folder / "jobs.yaml", yaml.safe_dump(self._jobs))
        else:
            jobs, what = mutated_structure(dice, self._jobs, lambda dice, _: _odd_cell(dice))
            (folder / "jobs.yaml").write_text(yaml.safe_dump(jobs), encoding="utf-8")
        return self._planned("--jobs", "jobs.yaml", what)

    def _planned(self, flag: str, name: str, what: str) -> Trial:
        return Trial([*BATCH, flag, name, "-o", "made", "--dry_run"], what)


def _odd_cell(dice: random.Random) -> Any:
    return dice.choice((dice.choice(ODD_TEXTS), dice.choice(odd_values())))


_COLUMNS = (
    "source", "driving", "result", "start", "end", "fps", "max_frames", "motion_scale", "crf", "best_frame", "face",
    "face_at", "crop", "fit", "checkpoint", "config", "relative", "audio", "engine", "precision", "distance", "unknown",
    "",
)  # fmt: skip


def _hostile_csv(dice: random.Random, path: Path) -> str:
    """Write a table with one odd cell, an odd head, or an odd form."""
    head, row = ["source", "driving"], [PORTRAIT, MOTION]
    column = dice.choice(_COLUMNS)
    if column not in head:
        head.append(column)
        row.append("")
    value = dice.choice(ODD_TEXTS)
    row[head.index(column)] = value
    what = f"{column} is {value[:30]!r}"
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in row]
    text = ",".join(head) + "\n" + ",".join(quoted) + "\n"
    forms = {
        "": text,
        "a BOM": "\ufeff" + text,
        "Windows's ends of lines": text.replace("\n", "\r\n"),
        "old ends of lines": text.replace("\n", "\r"),
        "semicolons": text.replace(",", ";"),
        "an open quote": text + '"',
        "a NUL": text + "\0\n",
        "a cell of a megabyte": text + "x" * 1_000_000 + "\n",
        "more cells": text + ",".join(["x"] * 1000) + "\n",
        "a head twice": ",".join([*head, *head]) + "\n" + ",".join([*quoted, *quoted]) + "\n",
        "many rows": text + text.partition("\n")[2] * 2000,
    }
    form = dice.choice(("",) * 8 + tuple(forms))
    path.write_bytes(forms[form].encode("utf-8", errors="surrogateescape"))
    return what + (f", with {form}" if form else "")


class Journals:
    """Batches that go on from a damaged journal."""

    name = "journals"
    weight = 54

    def prepare(self, originals: Path) -> list[Trial]:
        """Make a batch by the command line in the first trial; the second one finds it done."""
        self._folder = originals
        write_portrait(originals / PORTRAIT)
        return [self._gone_on("", dry=False), self._gone_on("", dry=False), self._gone_on("", dry=True)]

    def trial(self, dice: random.Random, folder: Path) -> Trial:
        """Damage the file, or change what it says."""
        shutil.copytree(self._folder, folder, dirs_exist_ok=True)
        journal, act = folder / "made" / ".fomm" / "journal.sqlite", dice.random()
        if act < 0.4:
            data, what = mutated_bytes(dice, journal.read_bytes())
            journal.write_bytes(data)
        elif act < 0.5:
            journal.unlink()
            what = special_file(dice, journal)
        elif act < 0.6:
            victim = dice.choice(sorted(path for path in (folder / "made" / ".fomm").rglob("*") if path.is_file()))
            victim.unlink()
            what = f"{victim.name}: {special_file(dice, victim)}"
        else:
            what = _change_journal(dice, journal)
        return self._gone_on(what, dry=dice.random() < 0.4)

    def _gone_on(self, what: str, *, dry: bool) -> Trial:
        arguments = [*BATCH, "-s", PORTRAIT, "-d", PORTRAIT, "-o", "made", *(["--dry_run"] if dry else [])]
        return Trial(arguments, what, ("made",), ("made",))


def _change_journal(dice: random.Random, path: Path) -> str:
    """Put another value, kind, column or table in the place of what was noted."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(results)")]
        column = dice.choice(columns)
        odd = (
            None, -1, 2**62, 1e308, "", "x", "[", "[1]", "{}", "[" * 10_000, "\x1b[31m", b"\xff\xfe", b"",
            "../../escaped",
            "done", "failed", "running", "nan",
        )  # fmt: skip
        value = dice.choice(odd)
        statements = {
            f"{column} is {value!r:.40}": (f"UPDATE OR IGNORE results SET {column} = ?", (value,)),  # noqa: S608
            f"{column} is bytes that are no text": (
                f"UPDATE OR IGNORE results SET {column} = CAST(x'ff80' AS TEXT)", ()  # noqa: S608
            ),
            f"the column {column} is missing": (f"ALTER TABLE results DROP COLUMN {column}", ()),
            "the table is missing": ("DROP TABLE results", ()),
            "the table is empty": ("DELETE FROM results", ()),
            "the table is a view": ("CREATE VIEW other AS SELECT * FROM results", ()),
            "the table has another name": ("ALTER TABLE results RENAME TO other", ()),
            "the version is 99": ("PRAGMA user_version = 99", ()),
        }  # fmt: skip
        what = dice.choice((*list(statements)[:1] * 8, *statements))
        try:
            database.execute(*statements[what])
        except sqlite3.Error as error:
            return f"{what} (refused: {error})"
    return what


class Studies:
    """Studies whose reports are written anew from a changed `study.json` and changed ratings."""

    name = "studies"
    weight = 65

    def prepare(self, originals: Path) -> list[Trial]:
        """Write a study as the command does; the trial writes its report."""
        self._folder = originals
        (originals / "study" / "views").mkdir(parents=True)
        for number in range(1, 5):
            write_video(originals / "study" / "views" / f"{number}.mp4", moving(2))
        self._study = _study()
        (originals / "study" / "study.json").write_text(json.dumps(self._study), encoding="utf-8")
        self._ratings = (
            "rater,result,eyes,mouth,outline\nanna,results/small/1.mp4,4,3,0\nbob,results/small/2.mp4,1,2,3\n"
        )
        (originals / "ratings.csv").write_text(self._ratings, encoding="utf-8")
        return [self._reported("")]

    def trial(self, dice: random.Random, folder: Path) -> Trial:
        """Change the study or the ratings."""
        shutil.copytree(self._folder, folder, dirs_exist_ok=True)
        study, ratings, act = folder / "study" / "study.json", folder / "ratings.csv", dice.random()
        if act < 0.6:
            data, what = mutated_structure(dice, self._study, _odd_of_study)
            study.write_text(json.dumps(data), encoding="utf-8")
        elif act < 0.7:
            data, what = mutated_bytes(dice, study.read_bytes())
            study.write_bytes(data)
        elif act < 0.75:
            study.unlink()
            what = special_file(dice, study)
        elif act < 0.8:
            ratings.unlink()
            what = special_file(dice, ratings)
        elif act < 0.9:
            data, what = mutated_bytes(dice, ratings.read_bytes())
            ratings.write_bytes(data)
        else:
            old, new = dice.choice(("anna", "4", "results/small/1.mp4", "eyes", "rater")), dice.choice(ODD_TEXTS)
            text = self._ratings.replace(old, '"' + new.replace('"', '""') + '"', 1)
            ratings.write_bytes(text.encode("utf-8", errors="surrogateescape"))
            what = f"{old} is {new[:30]!r}"
        return self._reported(what)

    def _reported(self, what: str) -> Trial:
        return Trial(["study", "-o", "study", "--ratings", "ratings.csv"], what, ("study",), ("study",))


def _odd_of_study(dice: random.Random, value: Any) -> Any:
    if isinstance(value, str) and dice.random() < 0.6:
        return dice.choice(("../../escaped", "a/b", "", "\x1b[31m", "<script>", "n" * 300, "\u202e", "con"))
    return dice.choice(odd_values())


def _study() -> dict[str, Any]:
    """Write a study of four results in two groups."""
    rows = []
    for number, (group, label) in enumerate(
        (("size", "same"), ("size", "small"), ("place", "middle"), ("place", "left")), 1
    ):
        names = ("total", "eyes", "mouth", "outline", "identity", "quality")
        scores = {name: {"value": 5.0 + number / 2, "low": 4.0, "high": 9.0} for name in names}
        features = {"x": 0.5, "y": 0.5, "face_height": 0.54, "contrast": 12.0, "whites": 3.0, "mouth": "closed"}
        rows.append({
            "result": f"results/small/{number}.mp4", "view": f"views/{number}.mp4", "model": "small", "driving": "nod",
            "group": group, "label": label,
            "portrait": f"p{number}", "size": 1.0, "scores": scores, "basis": "landmarks", "seen": 1.0,
            "distortion": 0.02, "notes": ["a note"], "features": features,
        })  # fmt: skip
    return {"frames": {"nod": 4}, "rows": rows, "failed": {"results/small/9.mp4": "no face"}}


class Options:
    """Odd values for every option of every command that ends soon."""

    name = "options"
    weight = 110

    def prepare(self, originals: Path) -> list[Trial]:
        """Learn the options from the help texts."""
        self._folder = originals
        write_portrait(originals / PORTRAIT)
        write_video(originals / MOTION, moving())
        write_face(originals / FACE)
        (originals / "clips").mkdir()
        write_video(originals / "clips" / MOTION, moving())
        shutil.copy(MODEL[3], originals / "model.pth.tar")
        shutil.copy(MODEL[1], originals / "model.yaml")
        self._inputs = sorted(path.name for path in originals.iterdir())
        self._bases = _bases()
        names = sorted({tuple(_words(base)) for base in self._bases})
        helps = [Trial([*name, "--help"], "") for name in names]
        return [Trial(base, "", (ANYTHING,), codes=frozenset({0, 3})) for base in self._bases] + helps

    def trial(self, dice: random.Random, folder: Path) -> Trial:
        """Give one option or two an odd value, or put a positional argument somewhere."""
        for name in self._inputs:
            Originals(self._folder).copy(name, folder)
        (folder / UNREADABLE_NAME).write_bytes((folder / PORTRAIT).read_bytes())
        base = list(dice.choice(self._bases))
        options, changed = _options_of(*_words(base)), []
        for _ in range(dice.choice((1, 1, 1, 2))):
            value = dice.choice((*ODD_TEXTS, UNREADABLE_NAME, PORTRAIT, MOTION, "model.pth.tar", "model.yaml"))
            act, name = dice.random(), dice.choice(options)
            if name in _OUTPUTS and value.startswith(("/", "..", "~")):
                value = "n" * 300  # whoever tests as root keeps his devices
            if act < 0.8:
                base = _with_option(base, name, value, joined=dice.random() < 0.3)
                changed.append(f"{name} {value[:40]!r}")
            elif act < 0.9:
                base.append(value)
                changed.append(f"{value[:40]!r} added")
            else:
                base.append(name)
                changed.append(f"{name} at the end")
        return Trial(base, ", ".join(changed), (ANYTHING,), codes=frozenset({0, 1, 2, 3}))


_OUTPUTS = {"-o", "--result_video", "--result_dir", "--output", "--out", "--log_dir", "--csv", "--plot"}


def _bases() -> list[list[str]]:
    """Return a valid command line for each command that ends soon."""
    files = ["-s", PORTRAIT, "-d", MOTION]
    model = ["--config", "model.yaml", "--checkpoint", "model.pth.tar"]
    plain = ["--cpu", "--threads", "1", "--crop", "none"]
    return [
        ["animate", *files, *model, *plain, "--max_frames", "1", "-o", "result.mp4"],
        ["animate", *files, *model, *plain, "--max_frames", "2", "-o", "result.mp4", "--precision", "fp32"],
        ["batch", *files, *model, *plain, "-o", "made", "--dry_run"],
        ["check", *files, "--face_backend", "builtin"],
        ["convert", "model.pth.tar", "small.safetensors", "--config", "model.yaml"],
        ["crop", "--inp", FACE, "--min_frames", "0", "--face_backend", "builtin", "--dry_run", "-o", "made"],
        ["motion", "extract", "-d", MOTION, *model, *plain, "-o", "motion.npz"],
        ["reconstruct", "clips", *model, "--max_frames", "1", "--cpu", "-o", "made"],
        ["info"],
    ]


def _words(base: list[str]) -> list[str]:
    return base[:2] if base[0] == "motion" else base[:1]


@cache
def _options_of(*words: str) -> list[str]:
    """Return the names of a command's options, out of its help text."""
    from fomm_cli.cli import main

    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    return sorted(set(re.findall(r"--?[a-z]\w*", text.getvalue())) - {"--help", "-h"})


def _with_option(base: list[str], name: str, value: str, *, joined: bool) -> list[str]:
    """Return the arguments with an option put in, or with another value for it."""
    if name in base and base.index(name) + 1 < len(base):
        changed = list(base)
        changed[changed.index(name) + 1] = value
        return changed
    return [*base, f"{name}={value}"] if joined and name.startswith("--") else [*base, name, value]
