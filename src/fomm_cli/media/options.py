"""Options that say which part of a driving video is read, and how images are brought to the model's size."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from fomm_cli.errors import InputError
from fomm_cli.options import MOST, Option, frame_rate, seconds

_GROUP = "trim and size"

Fit = Annotated[
    Literal["stretch", "crop", "pad"], Option("for images that are not square (default: stretch)", group=_GROUP)
]
Start = Annotated[
    float,
    Option(
        "begin here in the driving video, as seconds or h:m:s (default: 0)",
        metavar="TIME", parse=seconds, low=0, high=1e7, expected="seconds, 0 or more", group=_GROUP,
    ),
]  # fmt: skip
End = Annotated[
    float | None,
    Option(
        "stop here, as seconds or h:m:s",
        metavar="TIME", parse=seconds, low=0, high=1e7, expected="seconds, 0 or more", group=_GROUP,
    ),
]  # fmt: skip
MaxFrames = Annotated[int | None, Option("stop after N frames", metavar="N", low=1, high=MOST, group=_GROUP)]
Fps = Annotated[
    Fraction | None,
    Option(
        "frames per second of a folder of frames (default: 25)",
        parse=frame_rate, low=0.001, high=1000, expected="0.001 to 1000 frames per second", group=_GROUP,
    ),
]  # fmt: skip


def check_times(start: float, end: float | None) -> None:
    """Raise InputError unless `end` lies after `start`."""
    if end is not None and end <= start:
        raise InputError(f"invalid --end {end:g}", f"Expected seconds, more than --start ({start:g})")
