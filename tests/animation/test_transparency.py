"""A transparent source gives a transparent result, whose alpha channel moves with everything else."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from fomm_cli import Animator
from fomm_cli.animation.enlarge import Enlarged
from fomm_cli.animation.template import motion_template
from fomm_cli.animation.transparency import AlphaTransfer
from fomm_cli.batch.manifest import csv_pairs
from fomm_cli.batch.pool import Unit
from fomm_cli.batch.worker import PairWorker
from fomm_cli.cli import main
from fomm_cli.engines.engine import Decoded
from fomm_cli.marks.stamp import stamp_for
from fomm_cli.marks.verify import verify
from fomm_cli.media.alpha import spread_colours
from fomm_cli.media.first_frame import read_first_frame
from fomm_cli.media.video.writer import open_writer
from fomm_cli.models.bundled import sample
from support.media_helpers import ffmpeg, make_video
from support.parity_data import PARITY

TINY = [f"--config={PARITY / 'tiny_zero_order.yaml'}", f"--checkpoint={PARITY / 'tiny_zero_order.pth.tar'}"]
RED = (255, 0, 0)


def cut_out(size: int) -> np.ndarray:
    """The portrait in the package, cut out by an ellipse with a soft edge, RGBA."""
    image = Image.open(sample()[0]).convert("RGB").resize((size, size), Image.Resampling.LANCZOS)
    rows, columns = (np.mgrid[:size, :size] + 0.5) / size
    distance = np.hypot((rows - 0.45) / 0.43, (columns - 0.5) / 0.3)
    alpha = ((1 - distance) * size / 12).clip(0, 1)
    return np.dstack([np.asarray(image), np.rint(255 * alpha)]).astype(np.uint8)


@pytest.fixture(scope="module")
def cutout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "cutout.png"
    Image.fromarray(cut_out(512)).save(path)
    return path


@pytest.fixture(scope="module")
def driving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("driving") / "a.mp4", size="64x64", seconds=0.16)


def animate(source: Path, driving: Path, result: Path, *options: str) -> Path:
    files = ["-s", str(source), "-d", str(driving), "-o", str(result)]
    assert main(["animate", *files, *TINY, "--cpu", "--quiet", "--crop", "none", *options]) == 0
    return result


def decoded(path: Path, *decoder: str) -> np.ndarray:
    """All frames as the ffmpeg program decodes them, uint8 (N, H, W, 4)."""
    raw = path.with_suffix(".rgba")
    ffmpeg(*decoder, "-i", path, "-f", "rawvideo", "-pix_fmt", "rgba", raw)
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        return np.frombuffer(raw.read_bytes(), np.uint8).reshape(-1, context.height, context.width, 4)


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("align_corners", [True, False])
def test_the_alpha_channel_follows_the_flow(skips: bool, align_corners: bool) -> None:
    nodes, side, size = 32, 64, 256
    extent = side if skips else nodes
    x, y = np.meshgrid(*[np.arange(nodes) * (extent - 1) / (nodes - 1)] * 2)
    x = x + 3 * extent / side  # pixels of the frame, to the right
    places = np.stack((x, y), axis=-1)
    flow = 2 * places / (extent - 1) - 1 if align_corners else (2 * places + 1) / extent - 1
    alpha = cut_out(size)[..., 3]
    generator = cast("Any", SimpleNamespace(skips=skips, align_corners=align_corners))
    images = Enlarged(np.full((size, size, 3), 7, np.uint8), (size, size), (side, side), generator)
    transfer = AlphaTransfer(alpha, images, (side, side), generator)
    frames = torch.full((1, 3, side, side), 7 / 255)
    image = transfer(Decoded(frames, torch.from_numpy(flow[None]).float(), None))[0]
    assert (image[..., :3] == 7).all()
    expected = np.roll(alpha, -3 * size // side, axis=1).astype(int)
    assert np.abs(image[8:-8, 8:-20, 3] - expected[8:-8, 8:-20]).max() <= 2


def test_frames_of_a_batch_do_not_share_what_they_are_computed_in() -> None:
    random = np.random.default_rng(0)
    side, size = 64, 128
    generator = cast("Any", SimpleNamespace(skips=True, align_corners=True))
    images = Enlarged(random.integers(0, 256, (size, size, 3), np.uint8), (size, size), (side, side), generator)
    transfer = AlphaTransfer(cut_out(size)[..., 3], images, (side, side), generator)
    line = torch.linspace(-1, 1, 16)
    still = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)
    flow, frames = torch.stack((still, still + 0.1)), torch.rand(2, 3, side, side)
    batch = transfer(Decoded(frames, flow, None))
    alone = [transfer(Decoded(frames[index : index + 1], flow[index : index + 1], None))[0] for index in (0, 1)]
    assert np.array_equal(batch, alone)
    assert not np.array_equal(batch[0, ..., 3], batch[1, ..., 3])


def test_webm_of_a_portrait_holds_the_warped_alpha(cutout: Path, tmp_path: Path) -> None:
    """The small model shakes its head; the alpha plane is compared with a warp of PyTorch's own."""
    result = tmp_path / "a.webm"
    options = [
        "--crop",
        "none",
        "--size",
        "384",
        "--max_frames",
        "9",
        "--motion_scale",
        "2",
        "--precision",
        "fp32",
        "--cpu",
        "--quiet",
    ]
    assert main(["animate", "-s", str(cutout), "-d", "shake", "-o", str(result), *options]) == 0
    planes = decoded(result, "-c:v", "libvpx-vp9")[..., 3]
    assert len(planes) == 9
    animator = Animator.load(device="cpu")
    motion = motion_template("shake", None, Fraction(25), 2.0)
    source = np.asarray(Image.fromarray(cut_out(512)[..., :3]).resize((256, 256)), np.float32) / 255
    animation = animator.start(source, motion.keypoints[:1])
    flow = animation.decode(animation.transfer(motion.keypoints[8:9])).flow.permute(0, 3, 1, 2)
    alpha = torch.from_numpy(np.asarray(Image.fromarray(cut_out(512)[..., 3]).resize((384, 384), Image.Resampling.BOX)))
    grid = F.interpolate(flow.float(), (384, 384), mode="bilinear", align_corners=True).permute(0, 2, 3, 1)
    warped = F.grid_sample(alpha.float()[None, None], grid, padding_mode="border", align_corners=True)[0, 0].numpy()
    moved, unmoved = (np.abs(warped - plane).mean() for plane in (planes[8], planes[0]))
    assert moved < 1.5
    assert moved < 0.6 * unmoved


@pytest.mark.parametrize(
    ("name", "decoder"),
    [("a.webm", ("-c:v", "libvpx-vp9")), ("a.mov", ()), ("a.gif", ()), ("frames", None), ("a.webp", None)],
)
def test_formats_that_can_be_transparent_are(
    name: str, decoder: tuple[str, ...] | None, cutout: Path, driving: Path, tmp_path: Path
) -> None:
    result = animate(cutout, driving, tmp_path / name, "--size", "128")
    if decoder is not None:
        images = decoded(result, *decoder)
    elif result.is_dir():
        images = np.stack([np.asarray(Image.open(path)) for path in sorted(result.iterdir())])
    else:
        with Image.open(result) as image:
            images = np.stack(
                [np.asarray(image.seek(number) or image.convert("RGBA")) for number in range(image.n_frames)]
            )
    assert images.shape == (4, 128, 128, 4)
    expected = np.asarray(Image.fromarray(cut_out(512)[..., 3]).resize((128, 128), Image.Resampling.BOX))
    if name.endswith("gif"):
        expected = np.where(expected > 127, 255, 0)
    assert np.abs(images[0, ..., 3].astype(int) - expected).mean() < 1.5  # nothing has moved yet


def test_mp4_is_white_and_says_so_once(
    cutout: Path, driving: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["-s", str(cutout), "-d", str(driving), *TINY, "--cpu", "--crop", "none"]
    assert main(["animate", *files, "-o", str(tmp_path / "a.mp4")]) == 0
    assert capsys.readouterr().err.count("cutout.png is transparent, which .mp4 cannot be: white shows through") == 1
    Image.fromarray(read_first_frame(cutout)).save(tmp_path / "white.png")
    animate(tmp_path / "white.png", driving, tmp_path / "white.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "white.mp4").read_bytes()


def test_a_background_fills_every_format(cutout: Path, driving: Path, tmp_path: Path) -> None:
    Image.new("RGB", (300, 100), RED).save(tmp_path / "red.png")
    for name, background in (("a.mp4", "red"), ("b.webm", str(tmp_path / "red.png"))):
        result = animate(cutout, driving, tmp_path / name, "--background", background)
        with av.open(str(result)) as container:
            assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        corner = decoded(result)[:, 2, 2].astype(int)
        assert np.abs(corner[:, :3] - RED).max() <= 12


def test_an_opaque_source_needs_no_background(
    driving: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, _ = sample()
    files = ["-s", str(source), "-d", str(driving), *TINY, "--cpu", "--crop", "none", "-o", str(tmp_path / "a.mp4")]
    assert main(["animate", *files, "--background", "red"]) == 0
    assert "is not transparent: --background does not show" in capsys.readouterr().err


@pytest.mark.parametrize("background", ["gren", "#12345", "no/such.png", ""])
def test_a_background_that_is_nothing(
    background: str, cutout: Path, driving: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["animate", "-s", str(cutout), "-d", str(driving), *TINY, "--background", background]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    assert "background" in said or "folder" in said


def test_nothing_at_all_cannot_be_animated(driving: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGBA", (64, 64), (1, 2, 3, 0)).save(tmp_path / "nothing.png")
    files = ["-s", str(tmp_path / "nothing.png"), "-d", str(driving), "-o", str(tmp_path / "a.webm")]
    assert main(["animate", *files, *TINY]) == 2
    assert "nothing.png is wholly transparent" in capsys.readouterr().err


def test_pasted_back_the_rest_stays_as_transparent_as_it_was(driving: Path, tmp_path: Path) -> None:
    """The tiny model sees the middle square of a wide image; outside it nothing changes."""
    wide = np.zeros((96, 240, 4), np.uint8)
    wide[:, 72:168] = cut_out(96)
    wide[40:60, 10:50] = (200, 100, 50, 128)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    animate(tmp_path / "wide.png", driving, tmp_path / "frames", "--paste_back", "--fit", "crop", "--mark", "none")
    images = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "frames").iterdir())]
    for image in images:
        assert image.shape == wide.shape
        np.testing.assert_array_equal(image[:, :72, 3], wide[:, :72, 3])
        np.testing.assert_array_equal(image[40:60, 10:50, :3], wide[40:60, 10:50, :3])
    assert np.abs(images[0][..., 3].astype(int) - wide[..., 3]).mean() < 1.5


def test_the_library_keeps_alpha_on_demand(one_thread: None) -> None:  # noqa: ARG001 - used by pytest
    animator = Animator.load(PARITY / "tiny_zero_order.pth.tar", PARITY / "tiny_zero_order.yaml", device="cpu")
    source, frames = cut_out(128), np.load(PARITY / "inputs.npz")["driving"][:2]
    white, transparent = (
        list(animator.animate(source, frames, size=128, keep_alpha=keep_alpha)) for keep_alpha in (False, True)
    )
    assert [image.shape for image in white] == [(128, 128, 3)] * 2
    assert [image.shape for image in transparent] == [(128, 128, 4)] * 2
    assert np.abs(transparent[0][..., 3].astype(int) - source[..., 3]).mean() < 1.5


def test_ranges_of_a_batch_keep_alpha(cutout: Path, driving: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text(
        f"source,driving,result,background\n{cutout},{driving},a.webm,\n{cutout},{driving},b.webm,red\n"
    )
    options = {
        "config": str(PARITY / "tiny_zero_order.yaml"),
        "checkpoint": PARITY / "tiny_zero_order.pth.tar",
        "crop": "none",
    }
    clear, filled = csv_pairs(tmp_path / "pairs.csv", options)
    worker = PairWorker("cpu", 1, tmp_path)
    planes = []
    for number, job in enumerate((clear, filled)):
        unit = Unit(number, str(job.result_video), f"key{number}", "driving", job)
        folders = [tmp_path / f"{number}-{part}" for part in range(3)]
        for part, folder in enumerate(folders[:2]):
            folder.mkdir()
            range_ = Unit(number, unit.name, unit.key, unit.driving_key, job, "range", 2 * part, 2 * part + 2)
            assert worker.run(range_, folder, lambda _: None).frames == 2
        folders[2].mkdir()
        joined = Unit(number, unit.name, unit.key, unit.driving_key, job, "join", parts=tuple(folders[:2]))
        assert worker.run(joined, folders[2], lambda _: None).frames == 4
        planes.append(decoded(folders[2] / str(job.result_video), "-c:v", "libvpx-vp9"))
    assert planes[0][:, 2, 2, 3].max() == 0
    assert planes[1][..., 3].min() == 255
    assert np.abs(planes[1][:, 2, 2, :3].astype(int) - RED).max() <= 12


def test_paths_of_backgrounds_are_relative_to_the_manifest(cutout: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "sky.png")
    (tmp_path / "pairs.csv").write_text(f"source,driving,background\n{cutout},nod,sky.png\n{cutout},nod,#0f0\n")
    first, second = csv_pairs(tmp_path / "pairs.csv", {})
    assert first.background_image == tmp_path / "sky.png"
    assert (second.background, second.background_image) == ("#0f0", None)


@pytest.mark.parametrize("suffix", ["webm", "mov", "webp"])
def test_the_marks_of_transparent_results_are_read(suffix: str, tmp_path: Path) -> None:
    path, stamp = tmp_path / f"a.{suffix}", stamp_for("c0de" * 16, invisible=True)
    rgba = cut_out(256)
    rgba = np.dstack([spread_colours(rgba), rgba[..., 3]])
    comment = json.dumps({"tool": "fomm", "version": "1.2.3", "checkpoint_sha256": "c0de" * 16})
    with open_writer(path, (256, 256), Fraction(25), {"title": "t", "comment": comment}, alpha=True) as writer:
        for index in range(4):
            writer.write(stamp(np.roll(rgba, index, 1)), Fraction(index, 25))
    found = verify(path)
    assert found.metadata is not None
    assert (found.metadata.version, found.metadata.checkpoint_sha256) == ("1.2.3", "c0de" * 16)
    assert found.invisible is not None
    assert found.invisible.payload.checkpoint == 0xC0DE


def test_a_label_is_opaque() -> None:
    stamp = stamp_for("", invisible=False, label="AI")
    labelled = stamp(np.zeros((128, 128, 4), np.uint8))
    assert labelled[-3, 3, 3] == 255
    assert labelled[:64, ..., 3].max() == 0
    assert labelled[..., :3].max() > 200


def test_ffmpeg_keeps_the_alpha_plane_beside_audio(cutout: Path, tmp_path: Path) -> None:
    talking = tmp_path / "talking.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64:r=25:d=0.2", "-f", "lavfi", "-i", "sine=d=0.2", talking)
    result = animate(cutout, talking, tmp_path / "a.webm", "--audio", "--size", "128")
    with av.open(str(result)) as container:
        assert len(container.streams.audio) == 1
    assert decoded(result, "-c:v", "libvpx-vp9")[0, 2, 2, 3] == 0
