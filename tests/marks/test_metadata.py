"""Metadata is read where fomm wrote it, and not believed where somebody else did."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fomm_cli.marks.metadata import Origin, read_origin
from fomm_cli.marks.verify import verify


def test_hostile_metadata_is_not_believed(tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 64), "gray")
    sayings = ["{" * 5000, '{"tool": "fomm"}', '"fomm"' + '{"a":' * 3000, '{"tool": "fomm", "version": "1\\u001b[2J"}',
               '{"tool": "fomm", "version": ["1"], "checkpoint_sha256": {}}']  # fmt: skip
    for number, saying in enumerate(sayings):
        path = tmp_path / f"{number}.jpg"
        image.save(path, comment=saying.encode())
        assert verify(path).verdict == "nothing found"


ORIGIN = Origin("0.2.0", 64 * "a")
SAYING = '{"synthetic": true, "tool": "fomm", "version": "0.2.0", "checkpoint_sha256": "%s"}' % (64 * "a")


def test_what_fomm_says_is_read_from_images(tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 64), "gray")
    text = PngInfo()
    text.add_text("comment", SAYING)
    image.save(tmp_path / "a.png", pnginfo=text)
    image.save(tmp_path / "a.jpg", comment=f"Made by hand. {SAYING} Indeed.".encode())
    image.save(tmp_path / "a.gif", comment=SAYING.encode())
    for name in ("a.png", "a.jpg", "a.gif"):
        assert read_origin(tmp_path / name) == ORIGIN, name


@pytest.mark.parametrize(
    "saying",
    [
        SAYING.replace("fomm", "gomm"),
        SAYING.replace("0.2.0", "0.2.0 "),
        SAYING.replace("0.2.0", "1" * 41),
        SAYING.replace("aaa", "aaA", 1),
        SAYING.replace('"aaaa', '"aaa', 1),
    ],
)
def test_what_is_nearly_right_is_not_believed(saying: str, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.jpg", comment=saying.encode())
    assert read_origin(tmp_path / "a.jpg") is None


def test_the_last_of_many_comments_of_a_gif_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    Image.new("RGB", (8, 8)).save(path, comment=b"first")
    long = b"x" * 300 + SAYING.encode()
    blocks = b"".join(bytes([len(long[at : at + 255])]) + long[at : at + 255] for at in range(0, len(long), 255))
    path.write_bytes(path.read_bytes()[:-1] + b"\x21\xfe" + blocks + b"\0;")
    assert read_origin(path) == ORIGIN
