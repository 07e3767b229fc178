"""Validate the requests of the API; options and their bounds are those of the commands' dataclasses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from fomm_cli.animation.options import AnimateJob
from fomm_cli.errors import InputError
from fomm_cli.faces.options import FaceNumber
from fomm_cli.live.options import LiveJob
from fomm_cli.media.options import Fit
from fomm_cli.options import described

ANIMATE_OPTIONS = frozenset(name for name, (option, _) in described(AnimateJob).items() if option.web)
"""The options of `fomm animate` that a request may set, by their names on the command line."""

_ANIMATE = TypeAdapter(AnimateJob)


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CheckRequest(_Request):
    """Judge a source; ids of files, and which face is meant."""

    source: str
    driving: str | None = None
    face: FaceNumber = None
    fit: Fit = "stretch"


class AnimateRequest(_Request):
    """Animate a source; ids of files or motions, and options."""

    kind: Literal["animate"] = "animate"
    source: str
    driving: str
    model: str | None = None
    format: Literal["mp4", "webm", "gif", "webp"] = "mp4"
    options: dict[str, Any] = Field(default_factory=dict)


class ScoreRequest(_Request):
    """Score the result of a job."""

    kind: Literal["score"]
    job: str


class LiveStart(_Request):
    """Begin a live session."""

    avatars: list[str] = Field(min_length=1, max_length=30)
    motion_scale: float = LiveJob.motion_scale


class LiveCommand(_Request):
    """Change a live session; `value` is the index of an avatar or a scale, `file` the id of a new avatar's image."""

    command: Literal["take_reference", "find_reference", "add_avatar", "switch_avatar", "motion_scale"]
    value: float = 0.0
    file: str = ""


Request = TypeVar("Request", bound=BaseModel)

_JOB: TypeAdapter[AnimateRequest | ScoreRequest] = TypeAdapter(AnimateRequest | ScoreRequest)


def job_request(body: bytes) -> AnimateRequest | ScoreRequest:
    """Read a request to start a job.

    Raises:
        InputError: it is none.
    """
    with _explained():
        return _JOB.validate_json(body)


def read_request(model: type[Request], body: bytes | str) -> Request:
    """Read a request.

    Raises:
        InputError: it is none.
    """
    with _explained():
        return model.model_validate_json(body)


def animate_job(options: Mapping[str, Any], files: Mapping[str, Path | str | None]) -> AnimateJob:
    """Return the job that the options of a request and the files of the server make.

    Raises:
        InputError: there is no such option, or it has an impossible value.
    """
    unknown = sorted(set(options) - ANIMATE_OPTIONS)
    if unknown:
        raise InputError(f"there is no option {unknown[0]!r}", f"Options: {', '.join(sorted(ANIMATE_OPTIONS))}")
    if not isinstance(options.get("face"), (int, str, type(None))):
        raise InputError("face: expected the number of one face", "See docs/web.md")  # a group names files
    with _explained():
        return _ANIMATE.validate_python({**options, **files})


@contextmanager
def _explained() -> Iterator[None]:
    """Raise what pydantic finds wrong in the block as an InputError."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{place or 'the request'}: {first['msg']}", "See docs/web.md") from error
