import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fomm_cli.errors import FommError, InputError
from fomm_cli.media.image import write_image
from fomm_cli.media.video.reader import open_clip
from fomm_cli.media.video.writer import open_writer
from support.media_helpers import decode, describe, gradient, metadata

NTSC = Fraction(30000, 1001)
METADATA = {"title": "Änne talks", "comment": "made by fomm " + "x" * 300}
VIDEOS = ["mp4", "mov", "webm", "gif"]


def write(path: Path, rate: Fraction = NTSC, count: int = 20, size: tuple[int, int] = (48, 64)) -> Path:
    with open_writer(path, size, rate, METADATA) as writer:
        for index in range(count):
            writer.write(gradient(*size, index), index / rate)
    return path


@pytest.mark.parametrize("suffix", VIDEOS)
def test_ffmpeg_and_our_reader_read_it_back(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}")
    frames, times = decode(path)
    tick = {"gif": 0.01, "webm": 0.001}.get(suffix, 1e-5)
    np.testing.assert_allclose(times, [float(k / NTSC) for k in range(20)], atol=tick)
    ours = list(open_clip(path).frames())
    assert len(ours) == len(frames) == 20
    for index in range(20):
        expected = gradient(48, 64, index).astype(int)
        assert np.abs(frames[index] - expected).mean() < 3
        assert np.abs(ours[index].image - expected).mean() < 3


@pytest.mark.parametrize("suffix", ["mp4", "mov", "webm"])
@pytest.mark.parametrize(
    "rate", [NTSC, Fraction(24000, 1001), Fraction(25), Fraction(10), Fraction(120), Fraction(25, 2)]
)
def test_constant_rates_are_exact(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    import av

    path = write(tmp_path / f"a.{suffix}", rate, count=31, size=(16, 16))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == rate
        if suffix != "webm":
            assert stream.duration * stream.time_base == 31 / rate


@pytest.mark.parametrize("suffix", VIDEOS)
def test_variable_times_are_kept(tmp_path: Path, suffix: str) -> None:
    times = [Fraction(value, 1000) for value in (0, 40, 73, 200, 233, 500, 1490)]
    path = tmp_path / f"a.{suffix}"
    with open_writer(path, (16, 16), Fraction(2997, 250), {}) as writer:
        for index, time in enumerate(times):
            writer.write(gradient(16, 16, 20 * index), time, Fraction(1, 4))
    _, written = decode(path)
    tick = {"gif": 0.0051, "webm": 0.001}.get(suffix, 1e-4)
    np.testing.assert_allclose(written, [float(time) for time in times], atol=tick)
    if suffix != "gif":
        assert "Duration: 00:00:01.74" in describe(path)


def test_gif_frames_too_quick_for_it_are_dropped(tmp_path: Path) -> None:
    _, times = decode(write(tmp_path / "a.gif", Fraction(100), count=20, size=(16, 16)))
    np.testing.assert_allclose(times, np.arange(10) / 50, atol=1e-3)


def test_gif_repeats_and_ends_after_its_comment(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gif")
    assert path.read_bytes().endswith(b"\0;")
    with Image.open(path) as image:
        assert image.info["loop"] == 0
        assert image.n_frames == 20


@pytest.mark.parametrize("suffix", VIDEOS)
def test_metadata_is_shown_by_ffmpeg(tmp_path: Path, suffix: str) -> None:
    text = metadata(write(tmp_path / f"a.{suffix}"))
    assert "Änne talks" in text
    assert METADATA["comment"] in text


@pytest.mark.parametrize("suffix", VIDEOS)
@pytest.mark.parametrize("size", [(17, 31), (1, 1), (33, 64), (64, 33)])
def test_odd_sizes_are_padded_never_scaled(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    if suffix == "webm" and size == (1, 1):
        pytest.skip("VP9 at 2x2 is not worth having")
    frames, _ = decode(write(tmp_path / f"a.{suffix}", count=3, size=size))
    height, width = size if suffix == "gif" else (size[0] + size[0] % 2, size[1] + size[1] % 2)
    assert frames.shape[1:] == (height, width, 3)
    difference = frames[1, : size[0], : size[1]].astype(int) - gradient(*size, 1)
    assert np.abs(difference).mean() < 6


@pytest.mark.parametrize("suffix", ["mp4", "mov", "webm"])
def test_colours_are_declared(tmp_path: Path, suffix: str) -> None:
    assert "yuv420p(tv, bt709" in describe(write(tmp_path / f"a.{suffix}"))


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 120, 90)])
@pytest.mark.parametrize("suffix", VIDEOS)
def test_flat_colours_come_back(tmp_path: Path, suffix: str, colour: tuple[int, int, int]) -> None:
    path = tmp_path / f"a.{suffix}"
    with open_writer(path, (32, 32), Fraction(25), {}) as writer:
        writer.write(np.full((32, 32, 3), colour, np.uint8), Fraction(0))
    frames, _ = decode(path)
    assert np.abs(frames[0].astype(int) - colour).max() <= 5
    assert np.abs(next(open_clip(path).frames()).image.astype(int) - colour).max() <= 5


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_the_index_is_at_the_front(tmp_path: Path, suffix: str) -> None:
    content = write(tmp_path / f"a.{suffix}").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("suffix", VIDEOS)
def test_same_frames_give_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    first, second = (write(tmp_path / f"{name}.{suffix}").read_bytes() for name in "ab")
    assert first == second


def test_frames_by_pattern(tmp_path: Path) -> None:
    write(tmp_path / "shot_%03d.png", count=12)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"shot_{index:03d}.png" for index in range(12)]
    with Image.open(tmp_path / "shot_007.png") as image:
        np.testing.assert_array_equal(np.asarray(image), gradient(48, 64, 7))
        assert image.info["Title"] == "Änne talks"


def test_one_picture(tmp_path: Path) -> None:
    write(tmp_path / "a.png", count=1)
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), gradient(48, 64, 0))


def test_crf_sets_the_quality(tmp_path: Path) -> None:
    sizes = []
    for crf in (10, 40):
        path = tmp_path / f"{crf}.mp4"
        with open_writer(path, (48, 64), NTSC, {}, crf) as writer:
            writer.write(np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8), Fraction(0))
        sizes.append(path.stat().st_size)
    assert sizes[0] > 1.5 * sizes[1]


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.avi"])
def test_unsupported_names_list_the_supported_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"Use \.mp4, \.mov, \.webm, \.gif or \.webp.*\.png or \.jpg"):
        open_writer(tmp_path / name, (16, 16), Fraction(25), {})


@pytest.mark.parametrize("suffix", VIDEOS)
def test_a_place_that_cannot_be_written_to(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FommError, match=rf"missing.a.{suffix} cannot be written: No such file"):
        write(tmp_path / "missing" / f"a.{suffix}")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("suffix", ["mp4", "webm", "gif"])
def test_full_disk(tmp_path: Path, suffix: str) -> None:
    path, picture = tmp_path / f"a.{suffix}", tmp_path / "a.png"
    path.symlink_to("/dev/full")
    picture.symlink_to("/dev/full")
    with pytest.raises(FommError, match=f"a.{suffix} cannot be written: No space left") as caught:
        write(path)
    assert caught.value.exit_code == 1
    with pytest.raises(FommError, match="No space left"):
        write_image(picture, gradient(99, 99), {})


LIMITED = """
import resource, signal, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from fomm_cli.errors import FommError
from fomm_cli.media.video.writer import open_writer

def written(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        with open_writer(path, (64, 64), Fraction(25), {"title": "t"}) as writer:
            for index in range(20):
                noise = np.random.default_rng(index).integers(0, 255, (64, 64, 3), dtype=np.uint8)
                writer.write(noise, Fraction(index, 25))
    except FommError:
        return False
    return True

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
assert written(10**9)
size = path.stat().st_size
assert not any(map(written, (100, size // 2, size - 1)))
assert written(size)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs file size limits")
@pytest.mark.parametrize("suffix", VIDEOS)
def test_a_disk_that_fills_up_is_never_missed(tmp_path: Path, suffix: str) -> None:
    subprocess.run([sys.executable, "-c", LIMITED, tmp_path / f"a.{suffix}"], check=True)


def test_close_twice_and_after_an_error(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "a.mp4", (16, 16), NTSC, {})
    writer.write(gradient(16, 16), Fraction(0))
    writer.close()
    writer.close()
    assert decode(tmp_path / "a.mp4")[0].shape[0] == 1
    with pytest.raises(ZeroDivisionError), open_writer(tmp_path / "b.mp4", (16, 16), NTSC, {}) as broken:
        broken.write(gradient(16, 16), Fraction(0))
        raise ZeroDivisionError
    (tmp_path / "b.mp4").unlink(missing_ok=True)  # nobody holds it


def test_gif_of_a_face_looks_like_it(shared: Path, tmp_path: Path) -> None:
    clip = open_clip(shared / "media" / "driving.mp4", max_frames=3)
    frames = list(clip.frames())
    with open_writer(tmp_path / "a.gif", frames[0].image.shape[:2], clip.info.rate, {}) as writer:
        for frame in frames:
            writer.write(frame.image, frame.time, frame.duration)
    written, _ = decode(tmp_path / "a.gif")
    for frame, picture in zip(frames, written, strict=True):
        assert np.abs(frame.image.astype(int) - picture).mean() < 4
