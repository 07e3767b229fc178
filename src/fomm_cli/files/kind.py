"""Tell what a file is by its first bytes, and recognise web pages and Git LFS pointers in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

HEAD_BYTES = 2048
"""How much of a file is enough to tell what it is."""

Kind = Literal["folder", "video", "image or video"]

_IMAGE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"jp2 ", b"jpx ")
_VIDEO_STARTS = (b"\x1aE\xdf\xa3", b"FLV", b"OggS")  # Matroska and WebM, Flash, Ogg


def identify(path: Path) -> Kind:
    """Tell what an existing path is; opens a file once.

    Returns:
        "video" for files that are no images for certain. Anything else may be an image, a GIF, or something unknown.
    """
    if path.is_dir():
        return "folder"
    with path.open("rb") as file:
        head = file.read(12)
    is_video = head.startswith(_VIDEO_STARTS) or (head.startswith(b"RIFF") and head[8:12] == b"AVI ")
    is_mp4 = head[4:8] == b"ftyp" and head[8:12] not in _IMAGE_BRANDS
    return "video" if is_video or is_mp4 else "image or video"


def disguise(head: bytes) -> Literal["Git LFS pointer", "SVG drawing", "web page"] | None:
    """Detect HTML pages, Git LFS pointers and SVGs saved under a binary file's name; None for anything else."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"version https://git-lfs"):
        return "Git LFS pointer"
    if start.startswith((b"<svg", b"<?xml")) and b"<svg" in start:
        return "SVG drawing"
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")) or (
        start[:1] == b"<" and b"<html" in start[:512]
    ):
        return "web page"
    return None
