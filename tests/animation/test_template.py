"""`fomm motion extract`, and driving with what it makes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fomm_cli import Animator
from fomm_cli.animation.driving import VideoDriving
from fomm_cli.animation.options import AnimateJob
from fomm_cli.animation.template import MotionTemplate, check_fits
from fomm_cli.batch.options import BatchJob
from fomm_cli.batch.plan import plan
from fomm_cli.batch.pool import Unit
from fomm_cli.batch.worker import PairWorker
from fomm_cli.cli import main
from fomm_cli.errors import InputError
from fomm_cli.files.hashing import sha256_of
from fomm_cli.media.video.reader import open_clip
from fomm_cli.models.bundled import sample
from support.batch_helpers import CHECKPOINT, CONFIG, MODEL, WEIGHTS
from support.media_helpers import ffmpeg
from support.portraits import hopper, placed, save_frames

pytestmark = pytest.mark.usefixtures("one_thread")

FRAMES = 8


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few frames of a video, shown for different times."""
    path = tmp_path_factory.mktemp("media") / "talking.mkv"
    times = "setpts='(N+gte(N,3)+2*gte(N,5))/25/TB'"
    ffmpeg("-i", f"file:{sample()[1]}", "-frames:v", str(FRAMES), "-vf", times, "-fps_mode", "vfr", "-an", path)
    return path


@pytest.fixture(scope="module")
def template(talking: Path) -> Path:
    path = talking.with_suffix(".npz")
    assert main(["motion", "extract", "-d", str(talking), "-o", str(path), *WEIGHTS, "--crop", "none", "--quiet"]) == 0
    return path


def animate(driving: Path, result: Path, *flags: str) -> bytes:
    arguments = ["animate", "-s", str(sample()[0]), "-d", str(driving), "-o", str(result), *MODEL, "--quiet", *flags]
    assert main(arguments) == 0
    return result.read_bytes()


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--absolute",),
        ("--no-adapt_scale", "--best_frame", "5"),
        ("--smooth", "--motion_scale", "1.4"),
        ("--start", "0.04", "--end", "0.2"),
        ("--start", "0.1", "--max_frames", "2"),
        ("--find_best_frame", "--face_backend", "builtin"),
        ("--paste_back",),
    ],
)
def test_a_template_drives_as_its_video_does(
    flags: tuple[str, ...], talking: Path, template: Path, tmp_path: Path
) -> None:
    """To the last bit of the file: pictures, times and what it says about itself."""
    flags = (*flags, "--crop", "none")
    assert animate(template, tmp_path / "template.mp4", *flags) == animate(talking, tmp_path / "video.mp4", *flags)


def test_a_picture_gives_a_template_that_makes_a_picture(tmp_path: Path) -> None:
    still = tmp_path / "still.npz"
    assert main(["motion", "extract", "-d", str(sample()[0]), "-o", str(still), *WEIGHTS, "--crop", "none"]) == 0
    direct = animate(sample()[0], tmp_path / "direct.png", "--crop", "none")
    assert animate(still, tmp_path / "still.png", "--crop", "none") == direct


def test_the_driving_crop_is_made_while_extracting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    driving = save_frames(tmp_path / "driving", np.stack([placed(frame, 460, 400, 190, 130) for frame in hopper()[:2]]))
    flags = ("--crop", "driving", "--face_backend", "builtin")
    path = tmp_path / "cropped.npz"
    assert main(["motion", "extract", "-d", str(driving), "-o", str(path), *WEIGHTS, *flags, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["frames"] == 2
    assert animate(path, tmp_path / "a.mp4", "--crop", "none") == animate(driving, tmp_path / "b.mp4", *flags)
    assert main(["animate", "-s", str(sample()[0]), "-d", str(path), "-o", str(tmp_path / "c.mp4"), *MODEL, "--json",
                 "--crop", "none"]) == 0  # fmt: skip
    assert json.loads(capsys.readouterr().out)["driving_crop"] == said["driving_crop"] is not None


def test_the_file_is_what_numpy_reads(template: Path) -> None:
    with np.load(template, allow_pickle=False) as file:
        arrays = dict(file)
    assert arrays["value"].shape == (FRAMES, 10, 2)
    assert arrays["jacobian"].shape == (FRAMES, 10, 2, 2)
    assert arrays["value"].dtype == arrays["jacobian"].dtype == np.float32
    assert str(arrays["checkpoint_sha256"]) == sha256_of(CHECKPOINT)
    seconds = arrays["times"][:, 0] / arrays["times"][:, 1]
    np.testing.assert_allclose(seconds * 25, [0, 1, 2, 4, 5, 8, 9, 10], atol=0.05)
    assert template.stat().st_size < FRAMES * 400 + 3000


def test_saving_and_loading_lose_nothing(template: Path, tmp_path: Path) -> None:
    first = MotionTemplate.load(template)
    first.save(tmp_path / "again")
    again = MotionTemplate.load(tmp_path / "again")
    assert torch.equal(again.keypoints.value, first.keypoints.value)
    assert replace(again, keypoints=first.keypoints, name=first.name) == first


def test_a_template_of_version_0_1_0_is_still_read() -> None:
    """It was extracted by that version from the first frames of the sample, with the weights of the parity data."""
    old = MotionTemplate.load(Path(__file__).with_name("motion-0.1.0.npz"))
    animator = Animator.load(CHECKPOINT, CONFIG, device="cpu")
    check_fits(old, animator)
    driving = VideoDriving(open_clip(sample()[1], max_frames=4), animator, "stretch")
    new = driving.record()
    assert (old.timeline, old.rate, old.size, old.crop) == (new.timeline, new.rate, new.size, None)
    torch.testing.assert_close(old.keypoints.value, new.keypoints.value, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--audio",), "--audio needs the audio or the frames"),
        (("--visualize",), "--visualize needs the audio or the frames"),
        (("--crop", "both"), "fomm motion extract --crop driving"),
        (("--best_frame", "8"), "Use 0 to 7"),
        (("--start", "9"), "has no frame from second 9"),
    ],
)
def test_what_a_template_cannot_give_is_refused_in_a_line(
    flags: tuple[str, ...], words: str, template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["-s", str(sample()[0]), "-d", str(template), "-o", str(tmp_path / "out.mp4")]
    assert main(["animate", *files, *MODEL, "--face_backend", "builtin", *flags]) == 2
    assert words in only_line(capsys)
    assert list(tmp_path.iterdir()) == []


def only_line(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_template_of_another_model_is_refused(
    template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["-s", str(sample()[0]), "-d", str(template), "-o", str(tmp_path / "out.mp4")]
    assert main(["animate", *files, "--cpu"]) == 2  # the small model in the package
    assert "extracted with another checkpoint" in only_line(capsys)


def changed(**arrays: object) -> Callable[[Path, Path], None]:
    """A damage: the template with other arrays; None leaves one out."""

    def change(template: Path, path: Path) -> None:
        with np.load(template) as file:
            merged = {**dict(file), **arrays}
        np.savez(path, **{name: value for name, value in merged.items() if value is not None})

    return change


def truncated(template: Path, path: Path) -> None:
    path.write_bytes(template.read_bytes()[:-400])


def flipped(template: Path, path: Path) -> None:
    content = bytearray(template.read_bytes())
    content[900:940] = bytes(40)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(truncated, id="truncated"),
        pytest.param(flipped, id="flipped"),
        pytest.param(changed(times=None), id="no times"),
        pytest.param(changed(times=np.array(7)), id="scalar times"),
        pytest.param(changed(times=np.zeros((FRAMES, 4), np.int64)), id="division by zero"),
        pytest.param(changed(times=np.tile(np.array([0, 1, 1, 25]), (FRAMES, 1))), id="times stand still"),
        pytest.param(changed(value=np.full((FRAMES, 10, 2), np.nan, np.float32)), id="not finite"),
        pytest.param(changed(value=np.zeros((FRAMES, 10, 2))), id="double precision"),
        pytest.param(changed(value=np.zeros((FRAMES, 11, 2), np.float32)), id="another number of points"),
        pytest.param(changed(value=np.zeros(FRAMES, np.float32)), id="flat"),
        pytest.param(changed(value=np.array([None, {}], object)), id="pickled objects"),
        pytest.param(changed(rate=np.array([-25, 1])), id="negative rate"),
        pytest.param(changed(format=np.array([1, 2])), id="two formats"),
    ],
)
def test_a_damaged_template_is_named(damage: Callable[[Path, Path], None], template: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.npz"
    damage(template, path)
    with pytest.raises(InputError, match="no motion template, or a damaged one"):
        MotionTemplate.load(path)


def test_what_would_fill_the_memory_is_refused_before_it_is_unpacked(
    template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fomm_cli.animation.template.TEMPLATE_BYTES", 1000)
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(InputError, match="no motion template"):
        MotionTemplate.load(template)


def test_what_is_no_template_at_all_is_named(template: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_text("<html>quota exceeded</html>")
    with pytest.raises(InputError, match="web page"):
        MotionTemplate.load(path)
    changed(format=np.array(2))(template, path)
    with pytest.raises(InputError, match="version 2"):
        MotionTemplate.load(path)


@pytest.mark.parametrize(
    ("output", "driving", "words"),
    [("motion.mp4", "", "ends in .npz"), ("nowhere/motion.npz", "", "nowhere"), ("a.npz", "b.npz", "template already")],
)
def test_extracting_refuses_before_it_works(
    output: str, driving: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = tmp_path / driving if driving else sample()[1]
    assert main(["motion", "extract", "-d", str(video), "-o", str(tmp_path / output), *WEIGHTS]) == 2
    assert words in only_line(capsys)


def test_a_batch_drives_with_templates(template: Path, tmp_path: Path) -> None:
    """Whole, and in ranges that are joined; what a template cannot give is the problem of its pair alone."""
    options = {"crop": "none", "face_backend": "builtin", "precision": "fp32"}  # bf16 depends on the batch
    job = AnimateJob(sample()[0], template, Path("r.mp4"), CHECKPOINT, str(CONFIG), **options)
    pairs = plan(BatchJob((job, replace(job, audio=True, result_video=Path("s.mp4"))), tmp_path))
    assert [pair.frames for pair in pairs] == [FRAMES, None]
    assert "--audio" in pairs[1].problem
    expected = animate(template, tmp_path / "single.mp4", "--crop", "none", "--precision", "fp32")
    worker = PairWorker("cpu", 1, tmp_path)
    unit = Unit(0, "r.mp4", "key", "driving", job)
    worker.run(unit, tmp_path, lambda _frames: None)
    assert (tmp_path / "r.mp4").read_bytes() == expected
    parts = [tmp_path / "0", tmp_path / "5"]
    for part, (begin, end) in zip(parts, [(0, 5), (5, None)], strict=True):
        part.mkdir()
        worker.run(replace(unit, task="range", start=begin, stop=end), part, lambda _frames: None)
    worker.run(replace(unit, task="join", parts=tuple(parts)), tmp_path, lambda _frames: None)
    assert (tmp_path / "r.mp4").read_bytes() == expected
