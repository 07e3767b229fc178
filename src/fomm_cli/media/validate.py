"""What people hand over instead of a picture or a video, said in their words."""

from __future__ import annotations

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
