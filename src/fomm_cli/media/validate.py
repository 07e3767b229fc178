"""What people hand over instead of a picture or a video, said in their words."""

from __future__ import annotations

import difflib
from pathlib import Path

from fomm_cli.errors import InputError
from fomm_cli.files.kind import HEAD_BYTES, disguise

MAX_PIXELS = 178_000_000  # where Pillow, too, suspects a decompression bomb

_MENDED_BY = {
    "Git LFS pointer": "Fetch the real file: git lfs pull",
    "SVG drawing": "Export it as PNG.",
    "web page": "The download went wrong: save the file itself.",
}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


def check_file(path: Path, wanted: str) -> None:
    """Make sure that ``path`` is a readable file with something in it.

    Args:
        path: the file.
        wanted: what it should hold, for the message: "picture", "video".

    Raises:
        InputError: missing, a folder, empty or not readable.
    """
    check_exists(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a {wanted}", f"Name one {wanted} file in it.")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "Check its permissions.") from error
    if empty:
        raise InputError(f"{path} is empty (0 bytes)", "Download or copy it again.")


def check_exists(path: Path) -> None:
    """Make sure that something is at ``path``, else suggest what is near it.

    Raises:
        InputError: nothing there, or a folder on the way may not be entered.
    """
    try:
        found = path.exists()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "Check the name and the permissions.") from error
    if not found:
        raise InputError(f"{path} does not exist", _suggestion(path))


def _suggestion(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"There is no folder {folder}: check the path."
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        names = []
    close = difflib.get_close_matches(path.name, names, n=3)
    return f"Did you mean {' or '.join(str(folder / name) for name in close)}?" if close else "Check the path."


def check_content(path: Path, wanted: str) -> None:
    """Refuse files that are something else in disguise, from their first bytes.

    Raises:
        InputError: a web page, a Git LFS pointer, text, an SVG drawing or a HEIC picture.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if found := disguise(head):
        article = "an" if found.startswith("SVG") else "a"
        raise InputError(f"{path} is {article} {found}, not a {wanted}", _MENDED_BY[found])
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        raise InputError(f"{path} is a HEIC picture, which cannot be read here", "Convert it to PNG or JPEG.")
    if _is_text(head) and not head.startswith(b"YUV4MPEG2"):
        raise InputError(f"{path} is a text file, not a {wanted}", f"Give a {wanted} file.")


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The head may end in the middle of one character, and nowhere else.
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return all(character.isprintable() or character in "\t\r\n\f" for character in text)


def check_pixels(path: Path, width: int, height: int) -> None:
    """Refuse pictures that would fill the memory.

    Raises:
        InputError: more than MAX_PIXELS.
    """
    if width * height > MAX_PIXELS:
        raise too_large(path, width * height)


def too_large(path: Path, pixels: int) -> InputError:
    """Build the error for a picture of ``pixels`` pixels."""
    return InputError(
        f"{path} has {pixels / 1e6:.0f} megapixels, the limit is {MAX_PIXELS / 1e6:.0f}", "Make it smaller first."
    )
