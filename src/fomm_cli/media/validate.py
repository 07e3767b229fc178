"""Recognise wrong input files and explain them."""

from __future__ import annotations

from pathlib import Path

from fomm_cli.errors import InputError, with_article
from fomm_cli.files.kind import HEAD_BYTES, disguise
from fomm_cli.files.limits import IMAGE_BYTES, IMAGE_SIDE, VIDEO_PIXELS

DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "asf", "flv", "live_flv", "mpegts", "mpeg", "mpegvideo", "mxf",
    "ogg", "nut", "rm", "swf", "wtv", "dv", "ivf", "h264", "hevc", "vvc", "obu", "av1", "m4v", "mjpeg",
    "mpjpeg", "h263", "gif", "apng", "yuv4mpegpipe", "jpegxl_anim", "fits",
    *(f"{name}_pipe" for name in (
        "bmp", "dds", "dpx", "exr", "gif", "hdr", "j2k", "jpeg", "jpegls", "jpegxl", "pam", "pbm", "pcx", "pgm",
        "pgmyuv", "pfm", "phm", "png", "ppm", "psd", "qoi", "sgi", "sunrast", "tiff", "webp", "xbm", "xpm", "xwd",
    )),
    "wav", "mp3", "aac", "flac", "ac3", "aiff", "au", "amr", "caf", "w64",  # to say that there is only audio
)  # fmt: skip
"""What FFmpeg may take a file for: none that opens other files, as playlists (hls, concat, dash, sdp, imf) do."""

CONTAINER_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ",".join(DEMUXERS)}
"""For everything that FFmpeg opens."""

_MENDED_BY = {
    "Git LFS pointer": "Fetch the real file: git lfs pull",
    "SVG drawing": "Export it as PNG.",
    "web page": "The download went wrong: save the file itself.",
}
_BYTES_OF_ROW = 16  # what Pillow keeps for each row beside its pixels
_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"[playlist]", b"v=0", b"<MPD")
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


def check_content(path: Path, wanted: str) -> None:
    """Refuse files that are something else in disguise, from their first bytes.

    Raises:
        InputError: a web page, a Git LFS pointer, text, an SVG drawing or a HEIC image.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if found := disguise(head):
        article = "an" if found.startswith("SVG") else "a"
        raise InputError(f"{path} is {article} {found}, not {with_article(wanted)}", _MENDED_BY[found])
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        raise InputError(f"{path} is a HEIC image, which cannot be read here", "Convert it to PNG or JPEG.")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_PLAYLISTS):
        raise InputError(
            f"{path} is a playlist, which names other files, not {with_article(wanted)}", f"Give the {wanted} itself."
        )
    if _is_text(head) and not head.startswith(b"YUV4MPEG2"):
        raise InputError(f"{path} is a text file, not {with_article(wanted)}", f"Give {with_article(wanted)} file.")


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The head may end in the middle of one character, and nowhere else.
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return all(character.isprintable() or character in "\t\r\n\f" for character in text)


def check_decoded_size(path: Path, width: int, height: int, bytes_per_pixel: int) -> None:
    """Refuse images that would fill the memory, before they are decoded.

    Args:
        path: the file.
        width: in pixels.
        height: in pixels.
        bytes_per_pixel: that decoding and converting take at a time.

    Raises:
        InputError: more than IMAGE_BYTES in all, or a side of more than IMAGE_SIDE.
    """
    if max(height, width) > IMAGE_SIDE:
        raise InputError(f"{path} is {width} x {height} pixels, the limit is {IMAGE_SIDE} a side", "Crop it first.")
    if height * (width * bytes_per_pixel + _BYTES_OF_ROW) > IMAGE_BYTES:
        raise too_large(path, width * height, IMAGE_BYTES // bytes_per_pixel)


def check_frame_size(path: Path, width: int, height: int) -> None:
    """Refuse videos whose frames would fill the memory.

    Raises:
        InputError: more than VIDEO_PIXELS.
    """
    if width * height > VIDEO_PIXELS:
        raise too_large(path, width * height, VIDEO_PIXELS)


def too_large(path: Path, pixels: int, most: int) -> InputError:
    """Build the error for an image of more pixels than are read."""
    return InputError(
        f"{path} has {pixels / 1e6:.0f} megapixels, the limit for this kind of file is {most / 1e6:.0f}",
        "Make it smaller first.",
    )
