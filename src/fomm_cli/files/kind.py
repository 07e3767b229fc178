"""What a file is, where a download left something else in its place."""

from __future__ import annotations

from typing import Literal

HEAD_BYTES = 2048
"""How much of a file is enough to tell."""


def disguise(head: bytes) -> Literal["Git LFS pointer", "SVG drawing", "web page"] | None:
    """What a file is that should be binary, by its first bytes; None where nothing speaks against it."""
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
