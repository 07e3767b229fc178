"""The live engine with the small model, frame by frame, without a camera."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fomm_cli.errors import InputError
from fomm_cli.live.avatars import Avatars, avatar_paths
from fomm_cli.live.options import LiveJob
from fomm_cli.live.session import LiveFrame, LiveSession
from fomm_cli.models.bundled import sample
from support.portraits import ASTRONAUT_FACE, astronaut, blurry_background, placed, resized

pytestmark = pytest.mark.usefixtures("one_thread")

JOB = LiveJob(device="cpu", threads=1, face_backend="builtin", realtime=False)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two avatars: the astronaut as she is, and in blue."""
    folder = tmp_path_factory.mktemp("avatars")
    blue = np.asarray(Image.open(sample()[0]).convert("RGB")).copy()
    blue[..., :2] //= 4
    Image.fromarray(blue).save(folder / "blue.png")
    return [sample()[0], folder / "blue.png"]


@pytest.fixture
def session(sources: list[Path]) -> Iterator[LiveSession]:
    with LiveSession.open(sources, JOB) as opened:
        yield opened


def camera(x: int = 150, y: int = 80) -> np.ndarray:
    """A camera frame, uint8 (480, 640, 3), with a face in it."""
    return placed(resized(astronaut(), 400, 400), 640, 480, x, y)


def test_a_face_is_framed_followed_and_animated(session: LiveSession, sources: list[Path]) -> None:
    frames = [session.process(camera(), index / 5) for index in range(3)]
    last = frames[-1]
    assert last.face
    assert last.image.shape == last.camera.shape == (256, 256, 3)
    left, top, right, bottom = (0.78125 * side for side in ASTRONAUT_FACE)
    middle = 150 + (left + right) / 2, 80 + (top + bottom) / 2
    assert last.crop.box.centre == pytest.approx(middle, abs=0.15 * last.crop.width)
    assert set(last.milliseconds) == {"detect", "decode", "other"}
    assert all(value > 0 for value in last.milliseconds.values())
    source = np.asarray(Image.open(sources[0]).convert("RGB"), float)
    assert np.abs(last.image - source).mean() < 12, "in the reference pose the avatar is the source itself"


def test_without_a_face_the_avatar_rests_and_says_so(session: LiveSession) -> None:
    frames = [session.process(blurry_background(320, 240), index * 0.6) for index in range(6)]
    assert not any(frame.face for frame in frames)
    assert sum(("no face" in text) for frame in frames for text in frame.warnings) == 1
    assert np.array_equal(frames[0].image, frames[-1].image)


def test_a_switch_takes_one_frame_once_the_avatar_is_encoded(session: LiveSession) -> None:
    first = session.process(camera(), 0.0)
    wait_until_encoded(session.avatars, 1)
    session.switch_avatar(1)
    second = session.process(camera(), 0.2)
    assert (first.avatar, second.avatar) == (0, 1)
    assert is_blue(second)
    assert not is_blue(first)


def wait_until_encoded(avatars: Avatars, index: int) -> None:
    deadline = time.monotonic() + 60
    while not avatars.is_encoded(index):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_blue(frame: LiveFrame) -> bool:
    red, _, blue = frame.image.reshape(-1, 3).mean(axis=0)
    return bool(blue > 2 * red)


def test_a_camera_that_changes_its_size_goes_on(session: LiveSession) -> None:
    session.process(camera(), 0.0)
    for index, size in enumerate([(320, 240), (1280, 720), (240, 320)], start=1):
        frame = resized(camera(), *size)
        result = session.process(frame, index / 5)
        assert result.image.shape == (256, 256, 3)
        assert result.crop.width <= max(size)


def test_a_mirrored_camera_gives_the_mirrored_crop(session: LiveSession) -> None:
    plain = session.process(camera(40), 0.0).crop.box.centre[0]
    session.toggle_mirror()
    mirrored = session.process(camera(40), 0.2).crop.box.centre[0]
    assert mirrored == pytest.approx(640 - plain, abs=12)


def test_the_motion_fades_out_at_scale_0(session: LiveSession) -> None:
    for index in range(3):
        session.process(camera(), index / 5)
    session.motion_scale = 0.0
    still = [session.process(camera(150, 80 + 4 * index), 1 + index / 5).image for index in range(6)]
    assert np.array_equal(still[-1], still[-2])


def test_an_avatar_that_cannot_be_read_is_told_and_the_present_one_stays(sources: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    with LiveSession.open([sources[0], bad], replace(JOB, crop="none")) as session:
        wait_until_encoded(session.avatars, 1)
        session.switch_avatar(1)
        first = session.process(camera(), 0.0)
        assert first.avatar == 0
        assert "bad.png" in first.warnings[0]
        assert session.process(camera(), 0.2).warnings == ()


def test_an_avatar_can_be_added_at_any_time(session: LiveSession, sources: list[Path]) -> None:
    session.process(camera(), 0.0)
    session.avatars.add(sources[1])
    assert len(session.avatars) == 3
    session.switch_avatar(2)
    wait_until_encoded(session.avatars, 2)
    added = session.process(camera(), 0.2)
    assert added.avatar == 2
    assert is_blue(added)


def test_frames_have_the_size_asked_for_and_the_detail_of_the_source(tmp_path: Path) -> None:
    """The source at the model's size, scaled up, has no detail; the original has."""
    Image.fromarray(astronaut()).save(tmp_path / "large.png")
    still, plain = [], []
    for size, images in ((512, still), ("model", plain)):
        with LiveSession.open([tmp_path / "large.png"], replace(JOB, size=size, crop="none")) as session:
            images += [session.process(camera(), index / 5).image for index in range(2)]
    assert {image.shape for image in still} == {(512, 512, 3)}
    blurred = np.asarray(Image.fromarray(plain[-1]).resize((512, 512), Image.Resampling.BICUBIC), float)
    truth = astronaut().astype(float)
    assert np.abs(still[-1] - truth).mean() < 0.7 * np.abs(blurred - truth).mean()


def test_a_folder_gives_its_images_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "notes.txt"):
        (tmp_path / name).touch()
    one = tmp_path.parent / "one.png"
    assert avatar_paths([tmp_path, one]) == [tmp_path / "a.JPG", tmp_path / "b.png", one]


def test_a_folder_without_images_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no images"):
        avatar_paths([tmp_path])
