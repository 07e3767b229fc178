"""Images that claim gigantic contents, images that make libraries stumble, and videos that name other files."""

from __future__ import annotations

import logging
import re
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fomm_cli.errors import FommError, InputError
from fomm_cli.files.limits import IMAGE_BYTES
from fomm_cli.media.first_frame import read_first_frame
from fomm_cli.media.image import bytes_per_pixel, read_image
from fomm_cli.media.resize import fit_source
from fomm_cli.media.video.audio import audio_codec
from fomm_cli.media.video.reader import open_clip
from support.media_helpers import ffmpeg, make_video

SIDE = 3000

KINDS = {
    "rgb.png": ("RGB", {"compress_level": 1}),
    "rgba.png": ("RGBA", {"compress_level": 1}),
    "grey16.png": ("I;16", {"compress_level": 1}),
    "rgb.jpg": ("RGB", {}),
    "progressive.jpg": ("RGB", {"progressive": True, "subsampling": 0}),
    "cmyk.jpg": ("CMYK", {}),
    "cmyk_progressive.jpg": ("CMYK", {"progressive": True}),
    "rgb.bmp": ("RGB", {}),
    "rgb.tif": ("RGB", {"compression": "tiff_lzw"}),
    "float.tif": ("F", {}),
    "rgb.gif": ("P", {}),
    "rgb.ppm": ("RGB", {}),
    "rgb.tga": ("RGB", {"compression": "tga_rle"}),
    "rgb.jp2": ("RGB", {}),
    "rgba.webp": ("RGBA", {"lossless": True, "quality": 0, "method": 0}),
    "rgba.avif": ("RGBA", {"speed": 10}),
}

MEASURE = """
import sys
from contextlib import suppress
from pathlib import Path
from fomm_cli.media.image import read_image
peak = lambda: int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024
now = lambda: int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) * 1024
for name in sys.argv[1:]:
    open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
    before = now()
    image = read_image(Path(name))
    print(name, peak() - before)
    del image
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures memory as Linux tells it")
def test_reading_takes_no_more_memory_than_is_accounted_for(tmp_path: Path) -> None:
    for name, (mode, options) in KINDS.items():
        side = SIDE // 2 if name.endswith(("jp2", "webp")) else SIDE  # slow to write
        Image.new(mode, (side, side)).save(tmp_path / name, **options)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *KINDS], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    for name in KINDS:
        with Image.open(tmp_path / name) as image:
            accounted = bytes_per_pixel(image, keep_alpha=False)
        taken = int(re.search(rf"^{re.escape(name)} (\d+)", done.stdout, re.MULTILINE)[1])  # type: ignore[index]
        assert taken < accounted * image.width * image.height + 40e6, name  # tiles, and what the decoder keeps
        assert IMAGE_BYTES < 1.2e9  # beside 0.3 GB for the libraries


def _claiming(kind: str, path: Path, side: int) -> None:
    """Write a file of some bytes that claims a huge image."""
    if kind == "gif":
        head, pixel = b"GIF89a", b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0;"
        path.write_bytes(head + struct.pack("<HH", side, side) + b"\x80\0\0" + bytes(6) + pixel)
    elif kind == "bmp":
        header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
        path.write_bytes(b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header)
    else:
        entries = [(256, side), (257, side), (258, 64), (259, 1), (262, 1), (273, 200), (277, 1), (278, side), (279, 9)]
        entries += [(339, 3)]
        body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
        path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(100))


@pytest.mark.parametrize("kind", ["gif", "bmp", "tif"])
def test_small_files_that_claim_huge_images_are_refused(tmp_path: Path, kind: str) -> None:
    _claiming(kind, tmp_path / f"a.{kind}", 20_000)
    with pytest.raises(InputError, match="megapixels"):
        read_first_frame(tmp_path / f"a.{kind}")


@pytest.mark.parametrize("shape", [(1, 100_000, 3), (100_000, 2, 3)])
def test_gigantic_sides_are_averaged(shape: tuple[int, int, int]) -> None:
    ramp = np.linspace(0, 255, max(shape)).astype(np.uint8)
    image = np.broadcast_to(ramp[None, :, None] if shape[0] == 1 else ramp[:, None, None], shape).copy()
    fitted = fit_source(image, (64, 64), "stretch")
    assert fitted.shape == (64, 64, 3)
    along = fitted[32, :, 0] if shape[0] == 1 else fitted[:, 32, 0]
    np.testing.assert_allclose(along, (np.arange(64) + 0.5) / 64, atol=0.02)


@pytest.mark.parametrize("kind", [np.uint16, np.uint8])
def test_tiff_as_opencv_writes_it(tmp_path: Path, kind: type) -> None:
    cv2 = pytest.importorskip("cv2")
    scale = np.iinfo(kind).max // 255
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(kind)
    cv2.imwrite(str(tmp_path / "a.tif"), pixels[..., ::-1] * scale)  # LZW with a predictor
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), pixels)


def test_damage_of_any_kind_is_one_error_and_silent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(5)
    for name in ("rgb.tif", "lzw.tif", "rgb.png", "rgb.jpg", "rgb.gif", "rgb.webp", "rgb.bmp"):
        Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(
            tmp_path / name, **({"compression": "tiff_lzw"} if name == "lzw.tif" else {})
        )
        whole = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
        for _ in range(20):
            damaged = whole.copy()
            places = random.integers(0, min(len(whole), 300), 6)
            damaged[places] = random.integers(0, 256, 6)
            (tmp_path / name).write_bytes(damaged.tobytes())
            with caplog.at_level(logging.DEBUG), suppress(FommError):
                read_first_frame(tmp_path / name)
    assert capfd.readouterr().err == ""  # nor does libtiff write there
    assert not [record for record in caplog.records if record.name == "tifffile" and record.levelno > logging.DEBUG]


PLAYLISTS = {
    "a.m3u8": "#EXTM3U\n#{noise}\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.5,\n{secret}\n#EXT-X-ENDLIST\n",
    "ffconcat.mp4": "ffconcat version 1.0\n#{noise}\nfile {name}\n",
    "concat.mp4": "# {noise}\nffconcat version 1.0\nfile {name}\n",
    "a.mpd": "<MPD>{noise}<Period><BaseURL>{secret}</BaseURL></Period></MPD>",
    "a.sdp": "v=0\no=- {noise}\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
@pytest.mark.parametrize("noise", ["plain", "\x01"])
def test_playlists_open_nothing(tmp_path: Path, name: str, noise: str) -> None:
    secret = make_video(tmp_path / "secret.ts", seconds=0.2)
    text = PLAYLISTS[name].format(noise=noise, secret=secret, name=secret.name)
    (tmp_path / name).write_text(text)
    for read in (open_clip, read_first_frame):
        with pytest.raises(InputError, match=re.escape(name)):
            read(tmp_path / name)
    assert audio_codec(tmp_path / name) is None


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.mkv", ()), ("a.avi", ()), ("a.flv", ()), ("a.ts", ()), ("a.wmv", ()), ("a.mpg", ()), ("a.webm", ()),
     ("a.gif", ()), ("a.y4m", ()), ("a.h264", ()), ("a.mxf", ()), ("a.ogv", ("-c:v", "libtheora")),
     ("a.nut", ()), ("a.3gp", ("-c:v", "mpeg4"))],
)  # fmt: skip
def test_what_is_a_video_is_still_read(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=0.2", "-pix_fmt", "yuv420p", *options, tmp_path / name)
    assert len(list(open_clip(tmp_path / name).frames())) >= 3
