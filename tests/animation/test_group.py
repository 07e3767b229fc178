"""Several faces of one image in one result: every face moves as it is told, and the rest of the image not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from fomm_cli.animation import autocrop
from fomm_cli.animation.animation import DrivingBatch
from fomm_cli.animation.group import Driver
from fomm_cli.batch.manifest import csv_pairs, yaml_pairs
from fomm_cli.cli import main
from fomm_cli.faces.face import Face, largest_first
from fomm_cli.faces.framing import head_square
from fomm_cli.faces.options import FaceGroup
from fomm_cli.geometry import Box, Region
from fomm_cli.keypoints import KeyPoints
from fomm_cli.media.paste_weights import paste_weight
from fomm_cli.media.video.frame import Moment
from support.portraits import ASTRONAUT_FACE, astronaut, blurry_background, load_frames, resized

PLACES = ((20, 30, 300), (330, 60, 260), (560, 20, 250), (180, 250, 220), (620, 230, 200))
"""Left, top and side of five portraits, which overlap a little."""


def group_picture() -> tuple[np.ndarray, list[Box]]:
    """Five portraits on one image, uint8 (480, 860, 3), and the boxes of their faces, the largest first."""
    scene, boxes = blurry_background(860, 480), []
    portrait = astronaut()[:400, 20:420]
    for number, (left, top, side) in enumerate(PLACES):
        small = resized(portrait[:, ::-1] if number % 2 else portrait, side, side)
        scene[top : top + side, left : left + side] = small
        sides = np.array(ASTRONAUT_FACE) - (20, 0, 20, 0)
        if number % 2:
            sides[[0, 2]] = 400 - sides[[2, 0]]
        boxes.append(Box(*(sides * side / 400 + (left, top, left, top))))
    return scene, [face.box for face in largest_first([Face(box) for box in boxes])]


@pytest.fixture
def picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The group as a file, and a detector that knows its faces."""
    scene, boxes = group_picture()
    know(monkeypatch, boxes)
    Image.fromarray(scene).save(tmp_path / "group.png")
    return tmp_path / "group.png"


def know(monkeypatch: pytest.MonkeyPatch, boxes: list[Box]) -> None:
    """Let the face detector find these boxes in every image."""

    @contextmanager
    def detector(*_: object, **__: object) -> Iterator[SimpleNamespace]:
        def find(_image: np.ndarray) -> list[Face]:
            return [Face(box) for box in boxes]

        yield SimpleNamespace(name="these boxes", detect=find, detect_all=find)

    monkeypatch.setattr(autocrop, "open_detector", detector)


def animated(picture: Path, *options: str) -> np.ndarray:
    """Animate into a folder of lossless frames; returns them, (N, H, W, 3)."""
    folder = picture.parent / f"frames-{len(list(picture.parent.iterdir()))}"
    assert main(["animate", "-q", "-s", str(picture), "-o", str(folder), "--cpu", *options]) == 0
    return load_frames(folder)


def inside(box: Box) -> tuple[slice, slice]:
    """Rows and columns of a box."""
    return np.s_[round(box.top) : round(box.bottom), round(box.left) : round(box.right)]


def shift(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How far (x, y) what is in the middle of an image has moved, by the median of optical flow."""
    gray = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, after)]
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(gray[0], gray[1], np.empty(0))
    return np.asarray(np.median(flow.reshape(-1, 2), axis=0))


def test_every_face_of_a_group_moves_and_the_rest_stays_as_it_is(picture: Path) -> None:
    scene, boxes = group_picture()
    frames = animated(picture, "--face", "all", "-d", "shake", "--fps", "5", "--max_frames", "5")
    crops = [Region.square_around(head_square(box)) for box in boxes]
    untouched = np.ones(scene.shape[:2], bool)
    for crop in crops:
        untouched[max(0, crop.top) : crop.bottom, max(0, crop.left) : crop.right] = False
    assert untouched.mean() > 0.2
    assert (frames[:, untouched] == scene[untouched]).all()
    for box in boxes:
        x = [shift(scene[inside(box)], frame[inside(box)])[0] for frame in frames]
        assert np.ptp(x) > 0.03 * box.width, box  # by its own face: the crops of the others show it standing still


def test_each_face_has_a_driver_of_its_own(picture: Path) -> None:
    scene, boxes = group_picture()
    frames = animated(picture, "--face", "1=nod", "--face", "2=shake", "--fps", "5", "--max_frames", "6")
    moved = [np.ptp([shift(scene[inside(box)], frame[inside(box)]) for frame in frames], axis=0) for box in boxes]
    assert moved[0][1] > 2 * moved[0][0]
    assert moved[1][0] > 2 * moved[1][1]
    for box in boxes[2:]:
        middle = inside(box.about_centre(0.9))
        assert all(np.array_equal(frame[middle], scene[middle]) for frame in frames)


def test_a_portrait_alone_is_animated_as_by_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, [Box(*ASTRONAUT_FACE)])
    Image.fromarray(astronaut()).save(tmp_path / "one.png")
    options = ("-d", "nod", "--fps", "2", "--max_frames", "2")
    group = animated(tmp_path / "one.png", "--face", "all", *options)
    assert np.array_equal(group, animated(tmp_path / "one.png", "--face", "1", "--paste_back", *options))
    assert not np.array_equal(group[0], group[1])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--face", "6=nod"], "there is no --face 6: 5 faces were found"),
        (["--face", "1=nod", "--face", "1=shake"], "face 1 is given twice"),
        (["--face", "1=missing.mp4"], "missing.mp4 does not exist"),
        (["--face", "1=waltz"], "is no motion of the package"),
        (["--face", "0=nod"], "names no face: 1 is the largest"),
        (["--face", "everyone"], "'everyone' is not a face such as 2, all or 2=talking.mp4"),
        (["--face", "all", "--crop", "none"], "--crop none does not go with --face all"),
        (["--face", "all", "--visualize"], "--visualize does not go with --face all"),
        (["--face", "all", "--face_at", "3,3"], "--face and --face_at exclude each other"),
        (["--face", "all", "-d", "nod", "--find_best_frame"], "--find_best_frame means nothing for nod"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    picture: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    assert main(["animate", "-q", "--cpu", "-s", str(picture), "-o", str(picture.parent / "out.mp4"), *options]) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert len(captured.err.splitlines()) == 1
    assert [path.name for path in picture.parent.iterdir()] == ["group.png"]


def test_nobody_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    know(monkeypatch, [])
    Image.fromarray(blurry_background(300, 200)).save(tmp_path / "nobody.png")
    assert main(["animate", "-q", "--cpu", "-s", str(tmp_path / "nobody.png"), "-o", "out.mp4", "--face", "all"]) == 2
    assert "there is no face for --face all: none was found" in capsys.readouterr().err


def test_pairs_files_give_faces_their_drivers(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    table, jobs = tmp_path / "pairs.csv", tmp_path / "jobs.yaml"
    table.write_text("source,driving,face\ng.png,nod,all\ng.png,nod,1=a.mp4; 2=smile\ng.png,nod,2\n", encoding="utf-8")
    jobs.write_text("pairs:\n- {source: g.png, driving: nod, face: [all, 2=a.mp4]}\n", encoding="utf-8")
    own = (1, tmp_path / "a.mp4"), (2, Path("smile"))
    assert [job.face for job in csv_pairs(table, {})] == [FaceGroup(everybody=True), FaceGroup(drivers=own), 2]
    assert yaml_pairs(jobs, {})[0].face == FaceGroup(everybody=True, drivers=((2, tmp_path / "a.mp4"),))


class Frames:
    """A driving motion of three frames at 10 a second, whose keypoints count them; notes how many were read."""

    def __init__(self) -> None:
        self.footage = SimpleNamespace(info=SimpleNamespace(rate=Fraction(10)))
        self.read = 0

    def batches(self) -> Iterator[DrivingBatch]:
        import torch

        for index in range(3):
            self.read += 1
            yield DrivingBatch([Moment(Fraction(index, 10), None)], keypoints=KeyPoints(torch.full((1, 1, 2), index)))


@pytest.mark.parametrize(("repeats", "shown"), [(True, [0, 0, 1, 2, 0, 1, 2, 2]), (False, [0, 0, 1, 2, 2, 2, 2, 2])])
def test_a_driver_keeps_its_own_time(repeats: bool, shown: list[int]) -> None:
    motion: Any = Frames()
    driver = Driver(motion, SimpleNamespace(device="cpu", detect=None), smooth=False, repeats=repeats)  # type: ignore[arg-type]
    times = [Fraction(place, 100) for place in (0, 9, 10, 25, 30, 49, 50, 59)]
    assert driver.at(times[:2]).value[:, 0, 0].tolist() == shown[:2]
    assert motion.read == 2  # no further than it has to
    assert driver.at(times[2:]).value[:, 0, 0].tolist() == shown[2:]


def test_weights_leave_neighbours_their_heads() -> None:
    near, far, shape = Box(100, 100, 200, 220), Box(240, 110, 320, 200), (400, 500)
    region = Region(0, 0, 500, 400)
    over_animated, over_still = (
        paste_weight(region, shape, near, [far], []),
        paste_weight(region, shape, near, [], [far]),
    )
    for weight in (over_animated, over_still):
        assert (weight[inside(near)] == 1).all()
        assert (weight[inside(far.about_centre(0.8))] == 0).all()
        assert np.abs(np.diff(weight, axis=1)).max() < 0.15  # a blend, no edge
    assert over_animated[150, 20] == 1
