"""Keep uploaded files in one temporary folder, under generated names and within limits."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from fomm_cli.errors import InputError
from fomm_cli.web.limits import Limits

CONTENT_TYPES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif",
    ".avif": "image/avif", ".bmp": "image/bmp", ".tif": "image/tiff", ".tiff": "image/tiff",
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm",
    ".mkv": "video/x-matroska", ".avi": "video/x-msvideo", ".mpg": "video/mpeg", ".mpeg": "video/mpeg",
    ".npz": "application/octet-stream",
}  # fmt: skip
"""What a browser is told of a file, by its suffix; other suffixes are dropped."""

_LONGEST_NAME = 80


@dataclass(frozen=True)
class StoredFile:
    """A file that jobs can use.

    Attributes:
        id: how requests name it.
        name: how its owner called it, for display only.
        path: where it is.
        size: in bytes.
        content_type: for a browser.
        own: whether it was uploaded, and so is removed with its folder.
    """

    id: str
    name: str
    path: Path
    size: int
    content_type: str
    own: bool = True

    def described(self) -> dict[str, str | int]:
        """Return what the API tells about it."""
        return {"id": self.id, "name": self.name, "size": self.size, "content_type": self.content_type}


class FileStore:
    """The files of one run of the server."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        """Keep files in `folder`, which exists and is ours alone."""
        self._folder = folder
        self._limits = limits
        self._files: dict[str, StoredFile] = {}

    def add(self, name: str, content: BinaryIO, size: int) -> StoredFile:
        """Copy an upload into the folder.

        Args:
            name: the owner's name for it; only a known suffix of it is used.
            content: the bytes.
            size: how many they are.

        Raises:
            InputError: it is empty, or there are too many files.
        """
        uploads = [file for file in self._files.values() if file.own]
        if size == 0:
            raise InputError(f"{shown_name(name)} is empty", "Choose another file")
        if len(uploads) >= self._limits.stored_files:
            raise InputError(
                f"there are {len(uploads)} uploaded files, which is the limit", "Remove some of them first"
            )
        if sum(file.size for file in uploads) + size > self._limits.stored_bytes:
            raise InputError("the uploaded files take too much room together", "Remove some of them first")
        suffix = known_suffix(name)
        number = secrets.token_hex(8)
        path = self._folder / f"{number}{suffix}"
        try:
            with path.open("xb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        stored = StoredFile(number, shown_name(name), path, size, CONTENT_TYPES.get(suffix, "application/octet-stream"))
        self._files[number] = stored
        return stored

    def offer(self, number: str, name: str, path: Path) -> None:
        """Make a file of the package usable under this id."""
        kind = CONTENT_TYPES.get(path.suffix, "application/octet-stream")
        self._files[number] = StoredFile(number, name, path, path.stat().st_size, kind, own=False)

    def get(self, number: str) -> StoredFile:
        """Return a file.

        Raises:
            KeyError: there is none with this id.
        """
        return self._files[number]

    def named(self, text: str) -> str:
        """Return a message with the owners' names in the place of paths."""
        for file in self._files.values():
            text = text.replace(str(file.path), file.name)
        return text

    def remove(self, number: str) -> None:
        """Delete an uploaded file; files of the package stay.

        Raises:
            KeyError: there is none with this id.
        """
        file = self._files[number]
        if file.own:
            del self._files[number]
            file.path.unlink(missing_ok=True)


def known_suffix(name: str) -> str:
    """Return the suffix of a name if it is a known one, else nothing."""
    suffix = PurePosixPath(name.replace("\\", "/")).suffix.lower()
    return suffix if suffix in CONTENT_TYPES else ""


def shown_name(name: str) -> str:
    """Return the last part of a name as printable text of a sensible length."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter for letter in last if letter.isprintable())[:_LONGEST_NAME] or "file"
