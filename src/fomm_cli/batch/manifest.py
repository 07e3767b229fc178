"""Read the pairs to animate from patterns, a CSV table, or a YAML job file."""

from __future__ import annotations

import functools
import glob
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from fomm_cli.animation.options import AnimateJob
from fomm_cli.errors import InputError
from fomm_cli.faces.options import FaceGroup
from fomm_cli.files.inputs import is_there, read_text
from fomm_cli.files.tables import read_csv
from fomm_cli.files.yaml_text import parse_yaml
from fomm_cli.media.folder import images_at
from fomm_cli.options import described

Options = dict[str, Any]
"""Fields of `AnimateJob` by name."""

_ALIASES = {"source": "source_image", "driving": "driving_video", "result": "result_video"}
_PATHS = ("source_image", "driving_video", "checkpoint", "config", "background")
_TEXTS = ("config", "background")  # of these: a name, too
_UNUSED_COLUMNS = ("distance", "frame")  # the original's pairs lists have them, and its code ignores them
_COLUMNS = {name: (option, kind) for name, (option, kind) in described(AnimateJob).items() if option.pair}


def cross(sources: Sequence[str], drivings: Sequence[str], options: Options) -> list[AnimateJob]:
    """Pair every source with every driving video.

    Args:
        sources: files, patterns such as ``dataSet/*.png``, or folders of images.
        drivings: files, patterns or folders of frames.
        options: options of all pairs.

    Raises:
        InputError: a pattern without matches, or impossible options.
    """
    images = [path for pattern in sources for found in _expand(pattern) for path in images_at(found)]
    videos = [path for pattern in drivings for path in _expand(pattern)]
    return [
        AnimateJob(**{**options, "source_image": image, "driving_video": video}) for video in videos for image in images
    ]


def csv_pairs(path: Path, options: Options) -> list[AnimateJob]:
    """Read pairs from a CSV file with the columns ``source`` and ``driving``, and any option of `fomm animate`.

    Paths are relative to the file's folder, or else to the working folder; an empty cell leaves the option alone.

    Raises:
        InputError: it cannot be read, or a row is wrong; the message names the line.
    """
    names, rows = read_csv(path)
    if not {"source", "source_image"} & set(names) or not {"driving", "driving_video"} & set(names):
        raise InputError(f"{path} needs the columns source and driving", f"It has: {', '.join(names) or 'none'}")
    jobs = []
    for line, row in rows:
        where = f"{path}, line {line}"
        given = {name: text.strip() for name, text in row.items() if text and name not in _UNUSED_COLUMNS}
        if given:
            jobs.append(_job({**options, **_converted(given, path.parent, where)}, where))
    if not jobs:
        raise InputError(f"{path} names no pairs", "Add a line for each pair")
    return jobs


def yaml_pairs(path: Path, options: Options) -> list[AnimateJob]:
    """Read pairs from a YAML job file.

    It may hold ``pairs``, a list with a ``source``, a ``driving`` and any option of `fomm animate` for each; and
    ``source`` and ``driving``, patterns or lists of them, every one with every one; and options for all.

    Raises:
        InputError: it cannot be read, or something in it is wrong.
    """
    content = parse_yaml(read_text(path, "job file"), path)
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a job file", "Write options and a list of pairs, see docs/scale.md")
    content = _canonical(content, str(path))
    pairs = content.pop("pairs", [])
    sources, drivings = (_patterns(content.pop(name, []), path) for name in ("source_image", "driving_video"))
    common = {**options, **_converted(content, path.parent, str(path))}
    if not isinstance(pairs, list) or not all(isinstance(pair, dict) for pair in pairs):
        raise InputError(f"{path}: pairs is not a list of pairs", "Write `- source: a.png` and so on under it")
    jobs = cross(sources, drivings, common)
    for number, pair in enumerate(pairs, start=1):
        where = f"{path}, pair {number}"
        jobs.append(_job({**common, **_converted(pair, path.parent, where)}, where))
    if not jobs:
        raise InputError(f"{path} names no pairs", "Add pairs, or source and driving")
    return jobs


def _expand(pattern: str) -> list[Path]:
    path = Path(pattern)
    if is_there(path) or not glob.has_magic(pattern):
        return [path]
    found = sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207 - may be absolute
    if not found:
        raise InputError(f"no file matches the pattern {pattern}", "Check the folder, and quote the pattern")
    return found


def _patterns(value: object, manifest: Path) -> list[str]:
    names = value if isinstance(value, list) else [value]
    return [str(_located(manifest.parent, str(name))) for name in names]


def _canonical(given: Mapping[str, object], where: str) -> Options:
    """Rename options to the fields of `AnimateJob`; ``-`` counts as ``_``."""
    named = {}
    for name, value in given.items():
        plain = str(name).replace("-", "_")
        plain = _ALIASES.get(plain, plain)
        if plain not in _COLUMNS and plain != "pairs":
            known = ", ".join([*_ALIASES, *_COLUMNS])
            raise InputError(f"{where}: {name} is not an option of a pair", f"There are: {known}")
        named[plain] = value
    return named


def _converted(given: Mapping[str, object], folder: Path, where: str) -> Options:
    """Convert text or YAML to the types of the fields; paths are relative to `folder` where they exist there."""
    options = {}
    for name, value in _canonical(given, where).items():
        if name == "pairs":
            raise InputError(f"{where}: pairs is not an option of a pair")
        option, kind = _COLUMNS[name]
        try:
            if isinstance(value, list) and option.merge is not None and option.parse is not None:
                options[name] = functools.reduce(option.merge, [option.parse(str(each)) for each in value])
            elif option.parse is None or value is None or isinstance(value, list):
                options[name] = TypeAdapter(kind).validate_python(value)
            else:
                options[name] = option.parse(str(value))
        except ValidationError as error:
            raise InputError(f"{where}: {name} {value!r}: {error.errors()[0]['msg']}") from error
        except (ValueError, ZeroDivisionError, OverflowError) as error:
            raise InputError(f"{where}: {name}: {error}") from error
        if name in _PATHS and value is not None:
            place = _located(folder, str(value))
            options[name] = str(place) if name in _TEXTS else Path(place)
        if isinstance(options[name], FaceGroup):
            options[name] = options[name].mapped(lambda path: Path(_located(folder, str(path))))
    return options


def _located(folder: Path, name: str) -> Path | str:
    """Return the path inside the folder if something is there; otherwise as it stands."""
    beside = folder / name
    return beside if is_there(beside) or (glob.has_magic(name) and glob.glob(str(beside))) else name  # noqa: PTH207


def _job(options: Options, where: str) -> AnimateJob:
    missing = [field.name for field in fields(AnimateJob)[:2] if options.get(field.name) is None]
    if missing:
        raise InputError(f"{where}: {missing[0]} is missing", "Give every pair a source and a driving video")
    try:
        return AnimateJob(**options)
    except InputError as error:
        raise InputError(f"{where}: {error.problem}", error.next_step) from error
