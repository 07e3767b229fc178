"""Read config files: bundled ones by name, others by path, with errors that name the key and the value."""

from __future__ import annotations

import json
import re
import reprlib
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from pydantic import BaseModel, ValidationError

from fomm_cli.config.schema import Config, Section
from fomm_cli.errors import InputError, did_you_mean
from fomm_cli.files.inputs import check_file
from fomm_cli.files.limits import CONFIG_BYTES
from fomm_cli.files.yaml_text import parse_yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_FOLDERS = (
    Path(__file__).parents[1] / "assets" / "config",  # an installed wheel
    Path(__file__).parents[3] / "config",  # a source checkout
)


def config_names() -> list[str]:
    """Return the names of the bundled configs, sorted."""
    return sorted(_bundled())


def config_text(name: str) -> str:
    """Return the YAML text of a bundled config, comments included.

    Raises:
        InputError: there is no bundled config of that name.
    """
    path = _bundled().get(name.removesuffix(".yaml"))
    if path is None:
        raise InputError(
            f"there is no bundled config {name}",
            f"{did_you_mean(name, config_names())}Bundled: {', '.join(config_names())}",
        )
    return path.read_text(encoding="utf-8")


def load_config(name_or_path: str) -> Config:
    """Load a bundled config by name, with or without ``.yaml``, or any config file by path; a file wins.

    Raises:
        InputError: there is no such config, it cannot be read, or something in it is wrong.
    """
    path = Path(name_or_path)
    bundled = _bundled().get(name_or_path.removesuffix(".yaml"))
    if bundled is not None and not path.is_file():
        path = bundled
    return parse_config(_read_yaml(path), origin=str(path))


def parse_config(data: object, origin: str) -> Config:
    """Check the plain values of a config, as YAML or JSON give them.

    Args:
        data: mapping of sections; numbers are not taken from text nor text from numbers.
        origin: where it comes from, for the messages.

    Raises:
        InputError: a key is unknown or missing, or a value is wrong.
    """
    if not isinstance(data, dict):
        found = "it is empty" if data is None else f"found {reprlib.repr(data)}"
        raise InputError(f"{origin} must hold the sections {', '.join(Config.model_fields)}, but {found}")
    try:
        # as JSON, lists pass for tuples while everything else stays strict; a YAML date is judged as text
        return Config.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        raise _input_error(error, origin) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{origin} holds values that no config can have: {error}") from error


def _bundled() -> dict[str, Path]:
    folder = next(filter(Path.is_dir, _FOLDERS), _FOLDERS[0])
    return {path.stem: path for path in folder.glob("*.yaml")}


def _read_yaml(path: Path) -> object:
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise InputError(
            f"no config {str(path)!r}: it is neither a file nor a bundled config",
            f"{did_you_mean(str(path), config_names())}"
            f"Give the path of a .yaml file or one of: {', '.join(config_names())}",
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read the config {str(path)!r}: {reason}", "Give the path of a .yaml file") from error
    if stat.S_ISDIR(found.st_mode):
        raise InputError(f"cannot read the config {str(path)!r}: it is a folder", "Give the path of a .yaml file")
    if stat.S_ISREG(found.st_mode) and not found.st_size:
        return None
    check_file(path, "config", CONFIG_BYTES)
    return parse_yaml(path.read_bytes(), path)


_ALLOWED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "string_pattern_mismatch": "a file ending such as .mp4",
    "tuple_type": "a list",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "value_error": "{error}",
}


def _input_error(error: ValidationError, origin: str) -> InputError:
    """Report the first problem, unknown keys before others, for a misspelt key is also a missing one."""
    problems = error.errors(include_url=False)
    problem, next_step = _explain(min(problems, key=lambda detail: detail["type"] != "extra_forbidden"))
    more = len(problems) - 1
    count = f" (and {more} more problem{'s' * (more > 1)})" if more else ""
    return InputError(f"{origin}: {problem}{count}", next_step)


def _explain(detail: ErrorDetails) -> tuple[str, str]:
    """Return (problem, next step) in words."""
    *parents, key = detail["loc"] or ("",)
    dotted, value = _dotted(detail["loc"]), detail["input"]
    if detail["type"] == "extra_forbidden":
        allowed = sorted(_section_at(parents).model_fields)
        return (
            f"unknown key {_cut(repr(dotted))}",
            f"{did_you_mean(str(key), allowed)}Allowed there: {', '.join(allowed)}",
        )
    if detail["type"] == "missing":
        return f"{dotted} is missing", "Add it"
    if not detail["loc"]:
        return detail["msg"], ""
    found = "empty" if value is None else _cut(json.dumps(value, ensure_ascii=False))
    return f"{dotted} is {found}, but must be {_allowed(detail)}", _unquote(value, detail["type"])


def _allowed(detail: ErrorDetails) -> str:
    if detail["type"] == "model_type":
        return "a section with the keys " + ", ".join(_section_at(detail["loc"]).model_fields)
    if detail["type"] == "literal_error":
        return "3: images are RGB"
    template = _ALLOWED.get(detail["type"])
    return template.format(**detail.get("ctx", {})) if template else detail["msg"].removeprefix("Input should be ")


def _unquote(value: object, kind: str) -> str:
    """Say how to write a number that YAML took for text; PyYAML wants a dot and a signed exponent."""
    number = re.fullmatch(r"([-+]?\d*\.?\d+)(?:[eE]([-+]?)(\d+))?", value) if isinstance(value, str) else None
    if number is None or kind.startswith("string"):
        return ""
    mantissa, sign, exponent = number.groups()
    if exponent is None:
        return f"Write {value} without quotes"
    if kind == "int_type":
        return "Write it without an exponent"
    return f"Write {mantissa}{'' if '.' in mantissa else '.0'}e{sign or '+'}{exponent}: YAML takes {value} for text"


def _section_at(path: Iterable[int | str]) -> type[BaseModel]:
    section: type[BaseModel] = Config
    for key in path:
        annotation = section.model_fields[str(key)].annotation
        section = next(kind for kind in (annotation, *get_args(annotation)) if _is_section(kind))
    return section


def _is_section(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _dotted(path: Iterable[int | str]) -> str:
    """Return ``a.b[2]`` for ("a", "b", 2)."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")


def _cut(text: str, width: int = 80) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
