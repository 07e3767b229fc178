import logging
import os
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fomm_cli.errors import InputError
from fomm_cli.geometry import Region
from fomm_cli.media.crop import region_of
from fomm_cli.media.resize import fit_frame
from fomm_cli.media.video.frame import Excerpt
from fomm_cli.media.video.reader import Frame, open_clip
from fomm_cli.media.video.timing import judge_timing
from support.media_helpers import decode, ffmpeg, gradient, make_video

NTSC = Fraction(30000, 1001)
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")


def read(path: Path, **options) -> list[Frame]:  # type: ignore[no-untyped-def]
    return list(open_clip(path, **options).frames())


def assert_same_pictures(path: Path, tolerance: float = 2.0) -> None:
    expected, _ = decode(path)
    frames = read(path)
    assert len(frames) == len(expected)
    for frame, picture in zip(frames, expected, strict=True):
        assert frame.image.shape == picture.shape
        assert np.abs(frame.image.astype(int) - picture).mean() <= tolerance


@pytest.mark.parametrize("suffix", ["mp4", "mov", "webm", "mkv", "avi", "gif"])
def test_every_container_gives_what_ffmpeg_gives(tmp_path: Path, suffix: str) -> None:
    codec = {"webm": ("-c:v", "libvpx-vp9", "-cpu-used", "8"), "avi": ("-c:v", "mpeg4"), "gif": ()}.get(suffix, H264)
    path = make_video(tmp_path / f"a.{suffix}", *codec)
    assert_same_pictures(path)
    clip = open_clip(path)
    assert (clip.info.width, clip.info.height, clip.info.rate, clip.info.frame_count) == (64, 48, 25, 25)
    assert not clip.info.still
    assert not clip.info.has_audio
    frames = list(clip.frames())
    assert [frame.time for frame in frames] == [Fraction(k, 25) for k in range(25)]
    assert frames[-1].duration == Fraction(1, 25)
    assert [frame.time for frame in clip.frames()] == [frame.time for frame in frames]  # a second time


@pytest.mark.parametrize("suffix", ["mp4", "mov", "webm", "mkv", "avi", "ts"])
@pytest.mark.parametrize("rate", [NTSC, Fraction(24000, 1001), Fraction(30), Fraction(60), Fraction(25, 2)])
def test_constant_rates_are_exact(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    codec = ("-c:v", "libvpx", "-deadline", "realtime") if suffix == "webm" else ("-c:v", "mpeg4")
    if suffix in ("avi", "ts") and rate in (Fraction(25, 2), Fraction(60)):
        pytest.skip("MPEG-4 and MPEG-TS have their own idea of these")
    path = make_video(tmp_path / f"a.{suffix}", *codec, rate=str(rate), size="16x16", seconds=4)
    clip = open_clip(path)
    frames = list(clip.frames())
    assert clip.info.rate == rate
    assert [frame.time for frame in frames] == [k / rate for k in range(len(frames))]
    assert frames[-1].duration in (1 / rate, None)  # MPEG-TS does not know the last one


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_variable_rate_keeps_its_times(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    uneven = "select='lt(n,20)+not(mod(n,3))',settb=1/1000,setpts='PTS+if(gt(N,20),7*random(1),0)'"
    source = "testsrc=s=32x32:r=30:d=3"
    ffmpeg("-f", "lavfi", "-i", source, "-vf", uneven, "-fps_mode", "passthrough", *H264, path)
    _, expected = decode(path)
    times = [float(frame.time) for frame in read(path)]
    np.testing.assert_allclose(times, np.array(expected) - expected[0], atol=0.002)
    assert all(later > earlier for earlier, later in pairwise(times))


def test_dropped_frames_stay_gaps_on_the_grid(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    source = "testsrc=s=32x32:r=30000/1001:d=2"
    ffmpeg("-f", "lavfi", "-i", source, "-vf", "select='mod(n,20)'", "-fps_mode", "passthrough", *H264, path)
    kept = [k for k in range(60) if k % 20]
    assert [frame.time for frame in read(path)] == [(k - 1) / NTSC for k in kept]


def test_gif_delays_are_kept(tmp_path: Path) -> None:
    pictures = [Image.fromarray(gradient(20, 20, phase)) for phase in range(0, 80, 20)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=[100, 30, 250, 40])
    frames = read(tmp_path / "a.gif")
    assert [frame.time for frame in frames] == [0, Fraction(10, 100), Fraction(13, 100), Fraction(38, 100)]
    assert frames[2].duration == Fraction(25, 100)


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_rotation_of_the_phone(tmp_path: Path, angle: int) -> None:
    upright = make_video(tmp_path / "a.mp4", *H264)
    turned = tmp_path / "b.mp4"
    ffmpeg("-display_rotation", str(angle), "-i", upright, "-c", "copy", turned)
    assert_same_pictures(turned)
    clip = open_clip(turned)
    assert (clip.info.width, clip.info.height) == ((64, 48) if angle == 180 else (48, 64))
    first, before = next(clip.frames()).image, next(open_clip(upright).frames()).image
    np.testing.assert_array_equal(first, np.rot90(before, angle // 90))


def test_mirrored_video(tmp_path: Path) -> None:
    upright = make_video(tmp_path / "a.mp4", *H264)
    ffmpeg("-display_hflip", "-i", upright, "-c", "copy", tmp_path / "b.mp4")
    ffmpeg("-display_rotation", "90", "-display_hflip", "-i", upright, "-c", "copy", tmp_path / "c.mp4")
    assert_same_pictures(tmp_path / "b.mp4")
    assert_same_pictures(tmp_path / "c.mp4")


COLOURS = {
    "undeclared": ("-pix_fmt", "yuv420p"),
    "bt709": ("-vf", "scale=out_color_matrix=bt709:out_range=tv", "-pix_fmt", "yuv420p", "-colorspace", "bt709"),
    "full": ("-vf", "scale=out_color_matrix=bt601:out_range=pc", "-pix_fmt", "yuvj420p", "-color_range", "pc"),
    "full709": ("-vf", "scale=out_color_matrix=bt709:out_range=pc", "-colorspace", "bt709", "-color_range", "pc"),
    "4:4:4": ("-pix_fmt", "yuv444p"),
    "grey": ("-pix_fmt", "gray"),
}


@pytest.mark.parametrize("kind", COLOURS)
def test_colours_follow_the_declared_matrix_and_range(tmp_path: Path, kind: str) -> None:
    path = make_video(tmp_path / "a.mp4", *COLOURS[kind], "-c:v", "libx264", "-qp", "4", seconds=0.2)
    assert_same_pictures(path, tolerance=2.5)
    ours = read(path)[0].image.astype(int)
    made = make_video(tmp_path / "b.mkv", "-c:v", "ffv1", "-pix_fmt", "gbrp", seconds=0.2)
    truth = read(made)[0].image.astype(int)
    truth = truth if kind != "grey" else np.repeat((truth @ [299, 587, 114] // 1000)[..., None], 3, axis=-1)
    inner = np.s_[4:44, 2:60]
    assert np.abs(ours - truth)[inner].mean() < 9  # chroma bleeds at the bars' edges
    assert abs((ours - truth)[inner].mean()) < 3


@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv422p10le", "yuv444p12le"])
def test_deep_colour(tmp_path: Path, pixels: str) -> None:
    # Soft colours, because FFmpeg versions place the chroma samples of deep colour differently.
    source = ("-f", "lavfi", "-i", "gradients=s=96x64:c0=0xc08060:c1=0x4060a0:n=2:d=0.2:seed=3")
    colour = ("-vf", "scale=out_color_matrix=bt709", "-pix_fmt", pixels, "-colorspace", "bt709")
    ffmpeg(*source, *colour, "-c:v", "libx265", "-x265-params", "log-level=none:qp=8", tmp_path / "a.mp4")
    assert_same_pictures(tmp_path / "a.mp4")


def test_odd_sizes(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", size="33x21")
    assert_same_pictures(path)


def test_frames_may_change_size(tmp_path: Path) -> None:
    for index, size in enumerate(["64x48", "32x32"]):
        make_video(tmp_path / f"{index}.h264", *H264, size=size, seconds=0.4)
    both = tmp_path / "both.h264"
    both.write_bytes((tmp_path / "0.h264").read_bytes() + (tmp_path / "1.h264").read_bytes())
    assert [frame.image.shape for frame in read(both)] == [(48, 64, 3)] * 10 + [(32, 32, 3)] * 10


def test_missing_times_follow_the_rate(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.h264", *H264, "-bf", "2", rate="30000/1001")
    clip = open_clip(path, start=0.5)
    frames = list(clip.frames())
    assert clip.info.rate == NTSC
    assert [frame.time for frame in frames] == [k / NTSC for k in range(15)]
    np.testing.assert_array_equal(frames[0].image, read(path)[15].image)


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_alpha_of_webm_lies_over_white(tmp_path: Path, codec: str) -> None:
    alpha = "format=yuva420p,geq=lum=80:cb=128:cr=128:a='if(lt(X,32),0,255)'"
    make_video(tmp_path / "a.webm", "-vf", alpha, "-c:v", codec, "-auto-alt-ref", "0", "-b:v", "1M", seconds=0.4)
    frames = read(tmp_path / "a.webm")
    assert len(frames) == 10
    assert frames[5].image[:, :28].min() > 250
    assert frames[5].image[:, 36:].max() < 90


def test_alpha_of_gif_lies_over_white(tmp_path: Path) -> None:
    pictures = []
    for grey in (40, 80):
        picture = Image.new("RGBA", (8, 8), (grey, grey, grey, 255))
        picture.paste((0, 0, 0, 0), (0, 0, 4, 8))
        pictures.append(picture)
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], disposal=2)
    for frame, grey in zip(read(tmp_path / "a.gif"), (40, 80), strict=True):
        assert (frame.image[:, :4] == 255).all()
        assert (frame.image[:, 4:] == grey).all()


def test_unknown_frame_count(tmp_path: Path) -> None:
    path = tmp_path / "live.webm"
    source = ("-f", "lavfi", "-i", "testsrc=s=16x16:r=30:d=20")
    ffmpeg(*source, "-c:v", "libvpx", "-deadline", "realtime", "-live", "1", "-f", "webm", path)
    clip = open_clip(path)
    assert clip.info.frame_count is None
    assert clip.info.rate == 30
    assert open_clip(path, end=2).info.frame_count == 60
    assert sum(1 for _ in clip.frames()) == 600


@pytest.mark.parametrize("name", ["a:b.mp4", "100%d.mp4", "with space ü.mp4", "-dash.mp4", "http:x.mp4"])
def test_odd_names(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.name == "nt" and ":" in name:
        pytest.skip("Windows has no such names")
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "a.mp4", seconds=0.2).rename(name)
    assert len(read(Path(name))) == 5


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long")
    return make_video(folder / "a.mp4", *H264, "-g", "75", "-bf", "2", seconds=12)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, range(300)),
        ({"start": 1.0}, range(25, 300)),
        ({"start": 0.99}, range(25, 300)),
        ({"start": 0.04, "end": 0.2}, range(1, 5)),
        ({"start": 8.0, "end": 9.0}, range(200, 225)),  # after a seek
        ({"start": 8.01, "max_frames": 3}, range(201, 204)),
        ({"max_frames": 7}, range(7)),
        ({"end": 0.1}, range(3)),
        ({"end": 99.0}, range(300)),
    ],
)
def test_kept_range(long_clip: Path, options: dict[str, float], kept: range) -> None:
    whole = [frame.image for frame in read(long_clip)]
    clip = open_clip(long_clip, **options)  # type: ignore[arg-type]
    frames = list(clip.frames())
    assert clip.info.frame_count == len(frames) == len(kept)
    assert clip.offset == Fraction(kept[0], 25)
    for index, frame in enumerate(frames):
        assert frame.time == Fraction(index, 25)
        np.testing.assert_array_equal(frame.image, whole[kept[index]])


@pytest.mark.parametrize("start", [1.5, 30.0])
def test_start_beyond_the_end(tmp_path: Path, start: float) -> None:
    path = make_video(tmp_path / "a.mp4")
    with pytest.raises(InputError, match=r"a.mp4 has no frame from second .* it is 1.00 s long"):
        read(path, start=start)


@pytest.mark.parametrize("options", [{"start": 2.0, "end": 1.0}, {"start": -1.0}, {"end": 0.0}, {"max_frames": 0}])
def test_impossible_ranges(tmp_path: Path, options: dict[str, float]) -> None:
    path = make_video(tmp_path / "a.mp4")
    with pytest.raises(InputError):
        open_clip(path, **options)  # type: ignore[arg-type]


def test_the_file_is_released_when_the_reader_stops(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    frames = open_clip(path).frames()
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    path.unlink()


def cut(path: Path, share: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "avi", "gif"])
def test_damaged_tail(tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    codec = {"webm": ("-c:v", "libvpx"), "avi": ("-c:v", "mpeg4"), "gif": ()}.get(
        suffix, (*H264, "-movflags", "+faststart")
    )
    path = cut(make_video(tmp_path / f"a.{suffix}", *codec, seconds=4), 0.6)
    clip = open_clip(path)
    count = len(list(clip.frames()))
    assert 15 < count < 90
    list(clip.frames())
    assert [record.levelno for record in caplog.records] == [logging.WARNING]  # once, not for every reading
    # The index of an AVI is at its end, so a cut one does not know how long it was.
    assert f"a.{suffix} is damaged ({'1 frame(s)' if suffix == 'avi' else 'its end is missing'}" in caplog.text
    assert f"the {count} frame(s)" in caplog.text


def test_damaged_middle(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = make_video(tmp_path / "a.mp4", *H264, "-g", "10", "-movflags", "+faststart", seconds=4)
    content = bytearray(path.read_bytes())
    begin = content.index(b"mdat") + (len(content) - content.index(b"mdat")) // 3
    content[begin : begin + 2000] = os.urandom(2000)
    path.write_bytes(content)
    frames = read(path)
    assert 60 < len(frames) < 100
    assert frames[-1].time == Fraction(99, 25)  # what follows keeps its time
    assert len(caplog.records) == 1
    assert "frame(s) could not be read" in caplog.text


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm", "avi", "gif", "ts"])
def test_whole_files_are_not_called_damaged(tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    codec = {"webm": ("-c:v", "libvpx", "-c:a", "libopus"), "gif": ("-map", "0:v"), "avi": ("-c:v", "mpeg4")}
    options = ("-f", "lavfi", "-i", "sine=d=2.7", *codec.get(suffix, (*H264, "-c:a", "aac")))
    path = make_video(tmp_path / f"a.{suffix}", *options, seconds=2)
    assert open_clip(path).info.has_audio == (suffix != "gif")
    assert len(read(path)) == 50
    read(path, start=1)
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.mp4", b"", "is empty"),
        ("a.mp4", b"<html><head></head></html>", "is a web page, not a video"),
        ("a.mp4", b"#EXTM3U\nhttp://127.0.0.1:9/x.ts\n", "is a playlist"),
        ("a.mp4", bytes(range(256)) * 20, "is damaged or not a video"),
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is a HEIC image"),
    ],
)
def test_what_is_no_video_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} {message}"):
        open_clip(tmp_path / name)


def test_other_things_than_videos(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="does not exist"):
        open_clip(tmp_path / "missing.mp4")
    with pytest.raises(InputError, match="holds no images"):
        open_clip(tmp_path)
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", tmp_path / "sound.m4a")
    with pytest.raises(InputError, match="holds audio but no video"):
        open_clip(tmp_path / "sound.m4a")
    Image.new("RGB", (8, 8)).save(tmp_path / "cover.png")
    cover = ("-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic")
    ffmpeg("-i", tmp_path / "sound.m4a", "-i", tmp_path / "cover.png", *cover, tmp_path / "cover.m4a")
    with pytest.raises(InputError, match="holds audio but no video"):
        open_clip(tmp_path / "cover.m4a")
    cut(make_video(tmp_path / "no-index.mp4"), 0.5)
    with pytest.raises(InputError, match=r"index \(moov\) is missing. Download, copy"):
        open_clip(tmp_path / "no-index.mp4")
    assert capfd.readouterr() == ("", "")


def test_no_decodable_frame(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", *H264, "-movflags", "+faststart", seconds=0.2)
    content = bytearray(path.read_bytes())
    begin = content.index(b"mdat") + 4
    content[begin:] = b"\xff" * (len(content) - begin)
    path.write_bytes(content)
    with pytest.raises(InputError, match="holds no frame that can be decoded"):
        open_clip(path)


def test_animated_pictures(tmp_path: Path) -> None:
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    for suffix in ("png", "webp"):
        path = tmp_path / f"a.{suffix}"
        red.save(path, save_all=True, append_images=[blue], duration=100, lossless=True)
        assert [frame.image[0, 0].tolist() for frame in read(path)] == [[255, 0, 0], [0, 0, 255]]


def test_folder_of_frames(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in (1, 2, 10):
        Image.fromarray(gradient(8, 8, number)).save(tmp_path / f"frame{number}.png")
    Image.fromarray(gradient(8, 8, 99)).save(tmp_path / ".hidden.png")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "frame3.png").write_bytes(b"\x89PNG broken")
    clip = open_clip(tmp_path)
    frames = list(clip.frames())
    assert (clip.info.rate, clip.info.frame_count, clip.info.has_audio, clip.info.still) == (25, 4, False, False)
    assert [frame.time for frame in frames] == [0, Fraction(1, 25), Fraction(3, 25)]
    for frame, number in zip(frames, (1, 2, 10), strict=True):
        np.testing.assert_array_equal(frame.image, gradient(8, 8, number))
    assert "1 frame(s) could not be read" in caplog.text


def test_folder_range_and_rate(tmp_path: Path) -> None:
    for number in range(6):
        Image.fromarray(gradient(8, 8, number)).save(tmp_path / f"{number}.jpg", quality=100)
    clip = open_clip(tmp_path, start=0.1, end=0.4, rate=Fraction(10))
    assert clip.info.frame_count == 3
    assert [frame.time for frame in clip.frames()] == [0, Fraction(1, 10), Fraction(2, 10)]
    with pytest.raises(InputError, match=r"it is 0.60 s long"):
        read(tmp_path, start=1.0, rate=Fraction(10))


def test_folder_without_readable_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match="none of the images in"):
        open_clip(tmp_path)


def test_still_picture(tmp_path: Path) -> None:
    Image.fromarray(gradient(9, 7)).save(tmp_path / "a.png")
    clip = open_clip(tmp_path / "a.png")
    assert clip.info.still
    assert (clip.info.width, clip.info.height, clip.info.frame_count) == (7, 9, 1)
    np.testing.assert_array_equal(next(clip.frames()).image, gradient(9, 7))
    assert len(list(clip.frames())) == 1


def test_memory_does_not_grow_with_the_video(long_clip: Path) -> None:
    import tracemalloc

    tracemalloc.start()
    for _ in open_clip(long_clip).frames():
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000  # 300 frames of 64x48 would be 2.8 MB


@pytest.mark.parametrize("rate", [NTSC, Fraction(24000, 1001), Fraction(30), Fraction(15), Fraction(60)])
def test_timing_sees_through_milliseconds(rate: Fraction) -> None:
    times = [Fraction(round(k / rate * 1000) + 7, 1000) for k in range(200)]
    timing = judge_timing(times, Fraction(1, 1000), [Fraction(1000)])
    assert timing.rate == rate
    assert [timing.since_origin(time) for time in times] == [k / rate for k in range(200)]


def test_timing_of_uneven_frames_is_their_average() -> None:
    times = [Fraction(value, 1000) for value in (0, 40, 95, 120, 188, 240, 260, 333, 371, 422, 480)]
    timing = judge_timing(times, Fraction(1, 1000), [Fraction(1000)])
    assert timing.ticks is None
    assert timing.rate == pytest.approx(10 / 0.48, rel=0.01)


def test_shared_driving_video(shared: Path) -> None:
    clip = open_clip(shared / "media" / "driving.mp4", max_frames=40)
    assert (clip.info.rate, clip.info.has_audio, clip.info.frame_count) == (30, True, 40)
    assert len(list(clip.frames())) == 40


def test_ordinary_frames_keep_their_values_in_an_excerpt(tmp_path: Path) -> None:
    path = make_video(tmp_path / "hd.mp4", *H264, size="1920x1080", seconds=0.12)
    region = Region(-20, 30, 1101, 999)
    for whole, part in zip(read(path), open_clip(path).frames(Excerpt(region, (64, 64))), strict=True):
        np.testing.assert_array_equal(part.image, region_of(whole.image, region))


@pytest.mark.parametrize("turn", [(), ("-display_rotation", "90")])
@pytest.mark.parametrize("region", [None, Region(601, 203, 1400, 1600), Region(-300, 100, 1800, 1800)])
def test_large_frames_come_reduced_and_look_the_same(
    tmp_path: Path, turn: tuple[str, ...], region: Region | None
) -> None:
    path = make_video(tmp_path / "4k.mp4", *H264, "-preset", "ultrafast", size="3840x2160", seconds=0.08)
    if turn:
        ffmpeg(*turn, "-i", path, "-c", "copy", tmp_path / "turned.mp4")
        path = tmp_path / "turned.mp4"
    excerpt = Excerpt(region, (96, 96))
    for whole, part in zip(read(path), open_clip(path).frames(excerpt), strict=True):
        exact = whole.image if region is None else region_of(whole.image, region)
        assert part.image.shape[0] >= 2 * 96
        assert (part.image.size < exact.size / 8) == (region is None or region.left > 0)
        small, reduced = (fit_frame(image, (96, 96), "stretch").astype(int) for image in (exact, part.image))
        assert np.abs(small - reduced).mean() < 3  # FFmpeg rounds flat colours by two levels


@pytest.mark.parametrize("options", [{}, {"start": 0.3}, {"end": 0.7}, {"max_frames": 7}])
def test_looks_are_frames_at_intervals_and_the_last(tmp_path: Path, options: dict[str, float]) -> None:
    path = make_video(tmp_path / "a.mp4")
    frames = read(path, **options)
    looks = list(open_clip(path, **options).looks(Fraction(1, 5)))  # type: ignore[arg-type]
    numbers = [number for number, _ in looks]
    assert numbers == sorted({*range(0, len(frames), 5), len(frames) - 1})
    for number, frame in looks:
        assert (frame.time, frame.duration) == (frames[number].time, frames[number].duration)
        np.testing.assert_array_equal(frame.image, frames[number].image)


def test_looks_at_nothing_fail_as_reading_does(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    with pytest.raises(InputError, match=r"has no frame from second 5 on: it is 1\.00 s long"):
        list(open_clip(path, start=5).looks(Fraction(1)))
