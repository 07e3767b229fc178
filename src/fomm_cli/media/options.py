"""Options that say which part of a driving video is read, and the sizes of what the model sees and what it shows."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

from fomm_cli.errors import InputError
from fomm_cli.files.inputs import is_there
from fomm_cli.options import MOST, Option, frame_rate, seconds

_GROUP = "trim and size"
LEAST_PIXELS, MOST_PIXELS = 64, 2048  # of the longer side; beyond, a frame takes longer than anybody waits
_SIZES = f"model, source, or an even number from {LEAST_PIXELS} to {MOST_PIXELS}"

Fit = Annotated[
    Literal["stretch", "crop", "pad"],
    Option("for images that are not square (default: stretch)", group=_GROUP, web=True),
]


def result_size(text: str) -> int | str:
    """Read ``model``, ``source`` or a number of pixels."""
    if text in ("model", "source"):
        return text
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither model nor source nor a number of pixels") from None


ResultSize = Annotated[
    int | str,
    Option(
        "pixels of the result's longer side: model (256 mostly), source (as many as are animated of it, at most "
        f"{MOST_PIXELS}), or an even N; beyond the model's size, fine detail comes from the source",
        metavar="model|source|N", parse=result_size, low=LEAST_PIXELS, high=MOST_PIXELS, expected=_SIZES,
        group="output", web=True,
    ),
]  # fmt: skip
BackgroundChoice = Annotated[
    str | None,
    Option(
        "what shows through a transparent source: a colour such as green or #00ff00, or an image (default: the result "
        "stays transparent where its format can, else white)",
        metavar="COLOUR|IMAGE", group="output",
    ),
]  # fmt: skip
Start = Annotated[
    float,
    Option(
        "begin here in the driving video, as seconds or h:m:s (default: 0)",
        metavar="TIME", parse=seconds, low=0, high=1e7, expected="seconds, 0 or more", group=_GROUP, web=True,
    ),
]  # fmt: skip
End = Annotated[
    float | None,
    Option(
        "stop here, as seconds or h:m:s",
        metavar="TIME", parse=seconds, low=0, high=1e7, expected="seconds, 0 or more", group=_GROUP, web=True,
    ),
]  # fmt: skip
MaxFrames = Annotated[int | None, Option("stop after N frames", metavar="N", low=1, high=MOST, group=_GROUP, web=True)]
Fps = Annotated[
    Fraction | None,
    Option(
        "frames per second of a folder of frames, or of a motion of the package (default: 25)",
        parse=frame_rate, low=0.001, high=1000, expected="0.001 to 1000 frames per second", group=_GROUP,
    ),
]  # fmt: skip


def check_result_size(size: int | str) -> None:
    """Raise InputError unless a size is a word or an even number."""
    if (isinstance(size, str) and size not in ("model", "source")) or (isinstance(size, int) and size % 2):
        raise InputError(f"invalid --size {size}", f"Expected {_SIZES}")


def colour_of(text: str) -> tuple[int, ...] | None:
    """Return red, green and blue of a CSS name, or of a colour such as ``#00ff00``; None for any other text."""
    from PIL import ImageColor

    try:
        colour = ImageColor.getrgb(text)
    except ValueError:
        return None
    return colour if len(colour) == 3 and max(colour) <= 255 else None


def check_background(text: str) -> None:
    """Raise InputError where a background is neither a colour nor the name of a file."""
    if colour_of(text) is None and not (text and is_there(Path(text))):
        raise InputError(
            f"invalid --background {text!r}", "Expected a colour such as green or #00ff00, or an existing image"
        )


def check_times(start: float, end: float | None) -> None:
    """Raise InputError unless `end` lies after `start`."""
    if end is not None and end <= start:
        raise InputError(f"invalid --end {end:g}", f"Expected seconds, more than --start ({start:g})")
