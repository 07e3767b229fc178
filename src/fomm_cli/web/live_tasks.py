"""What the child process of a live session does: it keeps the session between frames."""

from __future__ import annotations

import io
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fomm_cli.errors import InputError
from fomm_cli.progress import Progress

if TYPE_CHECKING:
    import numpy as np

    from fomm_cli.live.session import LiveSession

_QUALITY = 85  # of the JPEGs that go to the page
_session: list[LiveSession] = []


def open_session(arguments: dict[str, Any], _progress: Progress) -> dict[str, Any]:
    """Load the model and encode the `avatars`; `motion_scale` multiplies the motion."""
    from fomm_cli.live.session import LiveSession

    session = LiveSession.open(arguments["avatars"])
    session.motion_scale = arguments["motion_scale"]
    _session[:] = [session]
    return {"avatars": len(arguments["avatars"])}


def command(arguments: dict[str, Any], _progress: Progress) -> None:
    """Change the session: a `command`, and for some of them a `value`."""
    session, name, value = _session[0], arguments["command"], arguments["value"]
    if name == "take_reference":
        session.take_reference()
    elif name == "find_reference":
        session.find_reference()
    elif name == "switch_avatar":
        session.switch_avatar(int(value))
    else:
        session.motion_scale = min(10.0, max(0.0, float(value)))


def animate_frame(arguments: dict[str, Any], _progress: Progress) -> tuple[bytes, dict[str, Any]]:
    """Animate a camera `frame`, a small encoded image; returns a JPEG and the figures."""
    began = time.perf_counter()
    frame = _decoded(arguments["frame"], arguments["most_pixels"])
    decoded = time.perf_counter()
    result = _session[0].process(frame, arguments["captured_at"])
    processed = time.perf_counter()
    picture = _encoded(result.image)
    ended = time.perf_counter()
    figures = {
        "captured_at": arguments["captured_at"],
        "face": result.face,
        "reference": result.reference,
        "avatar": result.avatar,
        "warnings": list(result.warnings),
        "crop": None if result.crop is None else asdict(result.crop),
        "milliseconds": {
            **result.milliseconds,
            "jpeg": 1000 * (decoded - began + ended - processed),
            "all": 1000 * (ended - began),
        },
    }
    return picture, figures


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
