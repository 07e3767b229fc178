"""Run a live session in its child process, which keeps the session between frames."""

from __future__ import annotations

import io
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fomm_cli.errors import InputError
from fomm_cli.live.options import LiveJob
from fomm_cli.progress import Progress

if TYPE_CHECKING:
    import numpy as np

    from fomm_cli.live.pipeline import Pipeline
    from fomm_cli.live.session import LiveSession
    from fomm_cli.marks.stamp import Stamp

_QUALITY = 85  # of the JPEGs that go to the page


@dataclass(frozen=True)
class _Live:
    """A session, what decodes its frames, and what marks them."""

    session: LiveSession
    pipeline: Pipeline
    stamp: Stamp


_open: list[_Live] = []
"""The session of this process; empty before `open_session`."""


def open_session(arguments: dict[str, Any], _progress: Progress) -> dict[str, Any]:
    """Load the model and encode the `avatars`; `job` holds the options."""
    from fomm_cli.live.pipeline import Pipeline
    from fomm_cli.live.session import LiveSession
    from fomm_cli.marks.stamp import stamp_for

    session = LiveSession.open(arguments["avatars"], arguments["job"])
    _open[:] = [_Live(session, Pipeline(session), stamp_for(session.checkpoint_sha256, invisible=True))]
    return {"avatars": len(arguments["avatars"])}


def command(arguments: dict[str, Any], _progress: Progress) -> None:
    """Change the session: a `command`, and for some of them a `value` or a `file`."""
    session, name, value = _open[0].session, arguments["command"], arguments["value"]
    if name == "take_reference":
        session.take_reference()
    elif name == "find_reference":
        session.find_reference()
    elif name == "add_avatar":
        session.avatars.add(arguments["file"])
    elif name == "switch_avatar":
        session.switch_avatar(int(value))
    else:
        session.motion_scale = LiveJob(motion_scale=float(value)).motion_scale


def put_frame(arguments: dict[str, Any], _progress: Progress) -> bool:
    """Begin to animate a camera `frame`, a small encoded image; returns whether the next one has to wait for it."""
    from fomm_cli.live.camera import Shot

    began = time.perf_counter()
    frame = _decoded(arguments["frame"], arguments["most_pixels"])
    pipeline, captured_at = _open[0].pipeline, arguments["captured_at"]
    pipeline.put(Shot(frame, captured_at, began))
    return pipeline.is_full


def take_frame(_arguments: dict[str, Any], _progress: Progress) -> tuple[bytes, dict[str, Any]]:
    """Finish the frame that was put first; returns a JPEG and the figures."""
    done = _open[0].pipeline.take(wait=True)
    assert done is not None  # noqa: S101 - as many are taken as were put
    shot, result = done
    image = _encoded(_open[0].stamp(result.image))
    figures = {
        "captured_at": shot.time,
        "face": result.face,
        "reference": result.reference,
        "avatar": result.avatar,
        "warnings": list(result.warnings),
        "crop": asdict(result.crop),
        "milliseconds": {**result.milliseconds, "all": 1000 * (time.perf_counter() - shot.captured_at)},
    }
    return image, figures


def _decoded(data: bytes, most_pixels: int) -> np.ndarray:
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "WEBP", "PNG")) as image:
            if max(image.size) > most_pixels:
                raise InputError(f"a camera frame of {image.width}x{image.height} is too large", "Send smaller frames")
            return np.asarray(image.convert("RGB"))
    except Image.DecompressionBombError as error:
        raise InputError("a camera frame is too large", "Send smaller frames") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise InputError("a camera frame is no JPEG, WebP or PNG", "Send one image in each binary message") from error


def _encoded(image: np.ndarray) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
