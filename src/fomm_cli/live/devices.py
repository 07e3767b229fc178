"""List the cameras of this machine, and explain why one of them does not open."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fomm_cli.errors import FommError, InputError

OTHER_WAY = "or use your browser's camera: fomm web"


@dataclass(frozen=True)
class CameraInfo:
    """A camera of this machine.

    Attributes:
        number: as ``--camera`` takes it.
        name: as the system calls it.
    """

    number: int
    name: str


def list_cameras() -> list[CameraInfo]:
    """Return the cameras of this machine; on systems that do not tell, none."""
    if sys.platform == "linux":
        return sorted(_linux_cameras(), key=lambda camera: camera.number)
    import av.device

    system = "avfoundation" if sys.platform == "darwin" else "dshow"
    with suppress(Exception):  # FFmpeg was built without it
        found = [each for each in av.device.enumerate_input_devices(system) if "video" in each.media_types]
        return [CameraInfo(number, each.description) for number, each in enumerate(found)]
    return []


def _linux_cameras() -> Iterator[CameraInfo]:
    for folder in Path("/sys/class/video4linux").glob("video*"):
        with suppress(OSError, ValueError):
            if (folder / "index").read_text().strip() == "0":  # further nodes of a camera give no frames
                yield CameraInfo(int(folder.name.removeprefix("video")), (folder / "name").read_text().strip())


def number_of(camera: str) -> int:
    """Return the number of a camera that is given by its number or by a part of its name.

    Raises:
        InputError: there is none of this name.
    """
    if camera.isdigit():
        return int(camera)
    found = [each for each in list_cameras() if camera.lower() in each.name.lower()]
    if not found:
        names = ", ".join(f"{each.number} ({each.name})" for each in list_cameras())
        known = f"The cameras are {names}" if names else f"No camera was found: plug one in, {OTHER_WAY}"
        raise InputError(f"{camera} is no camera, no file and no address", known)
    return found[0].number


def cannot_open(place: int | str) -> FommError:
    """Return the error for a camera that does not open: what is the matter, as far as the system tells."""
    if isinstance(place, str):
        return InputError(f"{place} cannot be opened", "Check the address, and that the stream is on")
    device = Path(f"/dev/video{place}")
    if sys.platform == "darwin":
        return FommError(
            f"camera {place} cannot be opened",
            f"Allow your terminal to use it: System Settings, Privacy & Security, Camera; {OTHER_WAY}",
        )
    if sys.platform == "linux" and device.exists() and not os.access(device, os.R_OK | os.W_OK):
        return FommError(
            f"camera {place} cannot be opened: no permission for {device}",
            f"Type: sudo usermod -aG video $USER, and log in again; {OTHER_WAY}",
        )
    if sys.platform == "linux" and not device.exists():
        return InputError(f"there is no camera {place}", f"See fomm live --list_cameras, {OTHER_WAY}")
    return FommError(f"camera {place} cannot be opened", f"Close other programs that use it, {OTHER_WAY}")
