"""Which driving frame is most like the source."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from fomm_cli.animation.best_frame import find_best_frame, normalized
from fomm_cli.cli import main
from fomm_cli.errors import FommError
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.models.bundled import sample

SHAPE = np.random.default_rng(0).uniform(50, 200, (68, 2))


def test_size_and_place_of_a_face_do_not_matter() -> None:
    np.testing.assert_allclose(normalized(SHAPE * 3 + 17), normalized(SHAPE), atol=1e-9)


def test_the_frame_with_the_nearest_shape_is_found() -> None:
    turned = SHAPE @ np.array([[0.9, -0.3], [0.3, 0.9]])
    assert find_best_frame(SHAPE, [turned, SHAPE * 1.3 + 8, SHAPE[::-1]]) == 1


def test_frames_without_a_face_are_skipped() -> None:
    in_one_place = np.ones((68, 2))
    assert find_best_frame(SHAPE, [None, in_one_place, SHAPE + 5]) == 2


def test_no_face_at_all_is_no_frame() -> None:
    assert find_best_frame(None, [SHAPE]) is None
    assert find_best_frame(SHAPE, [None]) is None


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", refuse)
    monkeypatch.setenv("FOMM_HOME", str(tmp_path / "fomm"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.mark.usefixtures("no_network")
def test_without_the_landmark_weights_the_models_key_points_serve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, driving = sample()
    files = ["--source_image", str(source), "--driving_video", str(driving), "--result_video", str(tmp_path / "o.mp4")]
    assert main(["animate", *files, "--find_best_frame", "--max_frames", "4", "--cpu"]) == 0
    err = capsys.readouterr().err
    assert "cannot be downloaded" in err
    assert "best frame: " in err
    assert (tmp_path / "o.mp4").stat().st_size > 0


@pytest.mark.usefixtures("no_network")
def test_tampered_weights_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "s3fd-619a316812.pth").write_bytes(b"something else")
    with pytest.raises(FommError, match="SHA-256"), open_detector("face-alignment"):
        pass
