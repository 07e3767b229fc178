"""State each option once: an annotated field of a frozen dataclass becomes a flag of the command line.

A field carries its help, metavar, short flag and bounds in `Option`; its type and default are those of the dataclass:

    crf: Annotated[int | None, Option("quality of the encoding: 0 is best", metavar="N", low=0, high=51)] = None

`add_options` turns the fields into argparse arguments, `from_namespace` reads them back, and `check_bounds`, called by
`__post_init__`, holds for every way in: command line, manifest and library.
"""

from __future__ import annotations

import argparse
import math
import re
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from fomm_cli.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    D = TypeVar("D", bound=DataclassInstance)

MOST = 10**9  # frames, steps: more than anybody has, and below what a 32-bit number holds


@dataclass(frozen=True)
class Option:
    """Describe how a dataclass field looks on the command line.

    Attributes:
        help: one line; the default is added unless the text speaks of it.
        short: a one-letter flag such as ``-s``.
        flag: the long flag without dashes, where it is not the field's name.
        aliases: further long flags with the same meaning, without dashes.
        shortcuts: flags that set a fixed value, such as ``{"cpu": "cpu"}`` for ``--cpu``.
        metavar: the placeholder of the value.
        group: title of the section of `--help`.
        parse: turns text into a value, where the type alone does not say how; raises ValueError.
        merge: joins an earlier and a later value of a flag that is given twice; raises ValueError. None takes the last.
        low: least value of a number.
        high: greatest value of a number.
        above: the number must be greater than this.
        expected: the allowed values in words, for the error; derived from the bounds if empty.
        positional: whether the value stands without a flag.
        bare: the value where the flag is given without one.
        pair: whether the option may differ between the pairs of a batch.
        web: whether a request to `fomm web` may set it; never where it can name a file of this machine.
    """

    help: str
    short: str | None = None
    flag: str | None = None
    aliases: tuple[str, ...] = ()
    shortcuts: Mapping[str, object] = field(default_factory=dict)
    metavar: str | None = None
    group: str | None = None
    parse: Callable[[str], Any] | None = None
    merge: Callable[[Any, Any], Any] | None = None
    low: float | None = None
    high: float | None = None
    above: float | None = None
    expected: str = ""
    positional: bool = False
    bare: str | None = None
    pair: bool = True
    web: bool = False

    def check(self, name: str, value: object) -> None:
        """Raise InputError where a number is out of bounds."""
        if value is None or isinstance(value, bool) or not isinstance(value, (int, float, Fraction)):
            return
        finite = not isinstance(value, float) or math.isfinite(value)
        if (
            not finite
            or (self.low is not None and value < self.low)
            or (self.high is not None and value > self.high)
            or (self.above is not None and value <= self.above)
        ):
            raise invalid(name if self.flag is None else self.flag, value, self.expected or self._range())

    def _range(self) -> str:
        least = f"more than {self.above:g}" if self.above is not None else f"{self.low or 0:g} or more"
        if self.high is None or self.high == MOST:
            return least
        return f"{least}, up to {self.high:g}" if self.above is not None else f"{self.low or 0:g} to {self.high:g}"


def invalid(flag: str, value: object, expected: str) -> InputError:
    """Return the error for a value that an option cannot have."""
    return InputError(f"invalid --{flag} {value}", f"Expected {expected}")


def check_bounds(instance: DataclassInstance) -> None:
    """Check every annotated field of a dataclass against its bounds.

    Raises:
        InputError: a value is out of bounds; the message names the flag.
    """
    for name, (option, _) in described(type(instance)).items():
        option.check(name, getattr(instance, name))


@cache
def described(kind: type) -> dict[str, tuple[Option, Any]]:
    """Return the annotated fields of a dataclass: name to option and bare type."""
    found = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        for note in getattr(hint, "__metadata__", ()):
            if isinstance(note, Option):
                found[name] = (note, hint.__origin__)
    return found


def add_options(
    parser: argparse.ArgumentParser, kind: type[DataclassInstance], *, leave_out: Collection[str] = ()
) -> None:
    """Add a flag for every annotated field of a dataclass, in sections by `Option.group`."""
    groups = {group.title: group for group in parser._action_groups if group.title}  # argparse has no public list
    options = described(kind)
    for each in fields(kind):
        if each.name not in options or each.name in leave_out:
            continue
        option, hint = options[each.name]
        place: argparse._ActionsContainer = parser
        if option.group is not None:
            place = groups.get(option.group) or groups.setdefault(option.group, parser.add_argument_group(option.group))
        _add(place, each, option, hint)


def from_namespace(kind: type[D], namespace: argparse.Namespace, **given: object) -> D:
    """Build a dataclass from parsed arguments; `given` values take precedence, lists become tuples.

    Raises:
        InputError: the values are out of bounds or do not go together.
    """
    values = {**values_of(kind, namespace), **given}
    return kind(**{name: _frozen(value) for name, value in values.items()})


def values_of(
    kind: type[DataclassInstance], namespace: argparse.Namespace, *, leave_out: Collection[str] = ()
) -> dict[str, Any]:
    """Return the parsed values of a dataclass's fields by name."""
    names = [each.name for each in fields(kind) if each.name not in leave_out]
    return {name: getattr(namespace, name) for name in names if hasattr(namespace, name)}


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _add(place: argparse._ActionsContainer, each: Field[Any], option: Option, hint: Any) -> None:
    default = None if each.default is MISSING else each.default
    if option.positional:
        place.add_argument(each.name, help=_help(option, default), metavar=option.metavar, **_type_of(hint, option))
        return
    long = option.flag or each.name
    flags = [*filter(None, [option.short]), f"--{long}", *(f"--{alias}" for alias in option.aliases)]
    if hint is bool and option.parse is None:
        if default:
            place.add_argument(
                *flags, dest=each.name, action=argparse.BooleanOptionalAction, default=True, help=option.help
            )
            place.add_argument(f"--no_{long}", dest=each.name, action="store_false", help=argparse.SUPPRESS)
        else:
            place.add_argument(*flags, dest=each.name, action="store_true", help=option.help)
    else:
        required = each.default is MISSING and each.default_factory is MISSING
        place.add_argument(
            *flags, dest=each.name, default=_listed(default, hint), required=required, metavar=option.metavar,
            help=_help(option, default), **_type_of(hint, option),
        )  # fmt: skip
    for name, value in option.shortcuts.items():
        text = f"the same as --{f'no-{long}' if value is False else f'{long} {value}'}"
        place.add_argument(f"--{name}", dest=each.name, action="store_const", const=value, help=text)


def _type_of(hint: Any, option: Option) -> dict[str, Any]:
    """Return the argparse keywords that read a value of a type."""
    kinds = [kind for kind in _members(hint) if kind is not types.NoneType]
    if get_origin(kinds[0]) is Literal:
        return {"choices": get_args(kinds[0])}
    if option.parse is not None:
        read = _reader(option.parse)
    else:
        inner = get_args(kinds[0])[0] if get_origin(kinds[0]) is tuple else kinds[0]
        read = inner if inner in (int, float, Path) else str
    if _is_list(kinds[0]):
        return {"type": read, "nargs": "+", "action": "extend"}
    if option.merge is not None:
        return {"type": read, "action": _merging(option.merge)}
    return {"type": read} if option.bare is None else {"type": read, "nargs": "?", "const": option.bare}


def _merging(merge: Callable[[Any, Any], Any]) -> type[argparse.Action]:
    """Return an action that joins the values of a flag that is given several times."""

    class Merging(argparse.Action):
        def __call__(
            self, _parser: object, namespace: argparse.Namespace, values: object, _flag: object = None
        ) -> None:
            earlier = getattr(namespace, self.dest)
            try:
                setattr(namespace, self.dest, values if earlier is None else merge(earlier, values))
            except ValueError as error:
                raise argparse.ArgumentError(self, str(error)) from error

    return Merging


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _is_list(kind: Any) -> bool:
    """Tell `tuple[X, ...]`, a list of values, from a fixed tuple such as a point."""
    return get_origin(kind) is tuple and get_args(kind)[-1] is Ellipsis


def _listed(default: object, hint: Any) -> object:
    """Return a fresh list for an option that collects values, as argparse appends to its default."""
    return [] if default == () and any(_is_list(kind) for kind in _members(hint)) else default


def _reader(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Let the message of a ValueError reach the user through argparse."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except (ValueError, ZeroDivisionError, OverflowError) as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read


def _help(option: Option, default: object) -> str:
    text = option.help.replace("%", "%%")
    if default in (None, (), True, False) or "default" in text:
        return text
    shown = f"{default:g}" if isinstance(default, float) else default
    return f"{text} (default: {','.join(map(str, shown)) if isinstance(shown, tuple) else shown})"


def point(text: str) -> tuple[float, float]:
    """Read ``X,Y``, in pixels or fractions."""
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{text!r} is not X,Y, such as 120,80") from None
    return x, y


def size(text: str) -> tuple[int, int]:
    """Read ``WIDTH,HEIGHT`` in pixels."""
    try:
        width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{text!r} is not WIDTH,HEIGHT, such as 256,256") from None
    return width, height


def boolean(text: str) -> bool:
    """Read ``true`` or ``false``."""
    if text.lower() not in {"true", "false"}:
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def seconds(text: str) -> float:
    """Read a time as seconds, ``m:s`` or ``h:m:s``."""
    parts = text.split(":")
    try:
        if len(parts) > 3 or any(":" in text and float(part) < 0 for part in parts):
            raise ValueError
        return sum(float(part) * 60.0**place for place, part in enumerate(reversed(parts)))
    except ValueError:
        raise ValueError(f"{text!r} is not a time such as 12.5 or 1:02:03") from None


def frame_rate(text: str) -> Fraction:
    """Read frames per second as ``25``, ``29.97`` or ``30000/1001``."""
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?|\d{1,9}/\d{1,9}", text.strip()):  # an exponent could take all memory
        raise ValueError(f"{text!r} is not a frame rate such as 25, 29.97 or 30000/1001")
    return Fraction(text.strip())
