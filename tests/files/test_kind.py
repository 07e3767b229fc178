"""What files are by their first bytes, as real encoders write them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from fomm_cli.files.kind import disguise, identify


@pytest.mark.parametrize(("name", "codec"), [
    ("a.mp4", "mpeg4"), ("a.mov", "mpeg4"), ("a.mkv", "mpeg4"), ("a.webm", "libvpx"), ("a.avi", "mpeg4"),
    ("a.flv", "flv"),
])  # fmt: skip
def test_videos_are_told_whatever_their_name(name: str, codec: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        container.mux(stream.encode(None))
    assert identify(path.rename(tmp_path / "portrait.png")) == "video"


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.webp", "a.avif", "a.jp2", "a.tif", "a.bmp"])
def test_images_are_not_taken_for_videos(name: str, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / name)
    assert identify((tmp_path / name).rename(tmp_path / "talking.mp4")) == "image or video"


def test_folders_and_empty_files(tmp_path: Path) -> None:
    assert identify(tmp_path) == "folder"
    (tmp_path / "empty").touch()
    assert identify(tmp_path / "empty") == "image or video"


@pytest.mark.parametrize(("text", "what"), [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
    (b"\xef\xbb\xbf <!DOCTYPE html><title>Not found</title>", "web page"),
    (b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'/>", "web page"),
    (b"<!-- sent by a proxy --><html></html>", "web page"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG drawing"),
    (b"<?xml version='1.0'?><svg/>", "SVG drawing"),
    (b"name,age\n<svg", None),
    (b"text about <html> pages", None),
    (b"", None),
])  # fmt: skip
def test_texts_under_the_name_of_a_binary_file_are_told(text: bytes, what: str | None) -> None:
    assert disguise(text) == what
