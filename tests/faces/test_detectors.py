"""What finds faces finds them where they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from fomm_cli.errors import FommError, InputError
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.detectors.weights import ensure_file
from fomm_cli.faces.face import FaceDetector
from fomm_cli.geometry import Box
from support.portraits import ASTRONAUT_EYES, ASTRONAUT_FACE, HOPPER_FACE, astronaut, hopper, placed, resized

FACE = Box(*ASTRONAUT_FACE)


@pytest.fixture(scope="module")
def builtin() -> Iterator[FaceDetector]:
    with open_detector("builtin") as detector:
        yield detector


@pytest.fixture(scope="module")
def mediapipe(with_mediapipe: None) -> Iterator[FaceDetector]:  # noqa: ARG001
    with open_detector("mediapipe") as detector:
        yield detector


@pytest.fixture(params=["builtin", "mediapipe"])
def detector(request: pytest.FixtureRequest) -> FaceDetector:
    found: FaceDetector = request.getfixturevalue(request.param)
    return found


def test_a_face_is_found_where_it_is(detector: FaceDetector) -> None:
    faces = detector.detect(astronaut())
    assert faces[0].box.iou(FACE) > 0.7
    assert detector.detect(hopper()[0])[0].box.iou(Box(*HOPPER_FACE)) > 0.7


@pytest.mark.parametrize("scale", [0.5, 0.25])
def test_a_small_face_is_found_where_it_is(detector: FaceDetector, scale: float) -> None:
    side = round(512 * scale)
    scene = placed(resized(astronaut(), side, side), 512, 384, 512 - side, 384 - side)
    expected = FACE.mapped(scale, scale, 512 - side, 384 - side)
    assert detector.detect(scene)[0].box.iou(expected) > 0.55


def test_nothing_is_found_where_there_is_no_face(detector: FaceDetector) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    for picture in (data.coffee(), noise, np.zeros((5, 300, 3), np.uint8)):
        assert detector.detect(picture) == []


def test_two_faces_come_largest_first(detector: FaceDetector) -> None:
    scene = placed(hopper()[0], 560, 300, 0, 20)
    scene[20:276, 300:556] = resized(astronaut()[20:276, 100:356], 256, 256)
    boxes = [face.box for face in detector.detect(scene)]
    assert boxes[0].iou(Box(*HOPPER_FACE).mapped(1, 1, 0, 20)) > 0.6
    assert boxes[1].iou(FACE.mapped(1, 1, 200, 0)) > 0.6


def test_mediapipe_knows_eyes_and_pose(mediapipe: FaceDetector) -> None:
    face = mediapipe.detect(astronaut())[0]
    assert face.landmarks is not None
    for corners, eye in zip(((33, 133), (362, 263)), ASTRONAUT_EYES, strict=True):
        assert np.abs(face.landmarks[list(corners)].mean(axis=0) - eye).max() < 4


def test_pose_follows_the_turned_and_mirrored_picture(mediapipe: FaceDetector) -> None:
    frame = hopper()[0]
    turned = np.asarray(Image.fromarray(frame).rotate(-20, Image.Resampling.BICUBIC))
    plain, rolled = mediapipe.detect(frame)[0].pose, mediapipe.detect(turned)[0].pose
    assert plain is not None
    assert rolled is not None
    assert rolled.roll - plain.roll == pytest.approx(20, abs=4)
    face, mirrored = mediapipe.detect(astronaut())[0], mediapipe.detect(astronaut()[:, ::-1])[0]
    assert face.pose is not None
    assert mirrored.pose is not None
    assert mirrored.pose.roll == pytest.approx(-face.pose.roll, abs=2)
    assert mirrored.pose.yaw == pytest.approx(-face.pose.yaw, abs=4)


def test_a_backend_that_is_not_there_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fomm_cli.extras.find_spec", lambda _: None)
    with pytest.raises(InputError, match="pip install mediapipe"), open_detector("mediapipe"):
        pass


@pytest.mark.parametrize("content", [b"<html>quota exceeded</html>", None])
def test_auto_goes_on_without_a_genuine_model(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOMM_HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("fomm_cli.extras.find_spec", lambda _: True)
    monkeypatch.setattr("fomm_cli.faces.detectors.mediapipe.ADDRESS", (tmp_path / "gone").as_uri())
    if content is not None:
        (tmp_path / "face_landmarker.task").write_bytes(content)
    with open_detector("auto") as detector:
        assert detector.name == "builtin"


def test_files_are_downloaded_once_and_checked(tmp_path: Path) -> None:
    original = tmp_path / "original"
    original.write_bytes(b"weights")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    kept = tmp_path / "cache" / "kept"
    ensure_file(kept, original.as_uri(), sha256)
    assert kept.read_bytes() == b"weights"
    original.unlink()
    ensure_file(kept, original.as_uri(), sha256)
    with pytest.raises(FommError, match="cannot be downloaded"):
        ensure_file(tmp_path / "other", original.as_uri(), sha256)
    kept.write_bytes(b"changed")
    with pytest.raises(FommError, match="SHA-256"):
        ensure_file(kept, original.as_uri(), sha256)
    assert [path.name for path in kept.parent.iterdir()] == ["kept"]
