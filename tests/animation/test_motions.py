"""The motions of the package: loops that start from the source's own pose, for models with named keypoints."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from fomm_cli.animation.head import KEYPOINTS, Pose, keypoints_of
from fomm_cli.animation.motions import MOTIONS, poses
from fomm_cli.animation.options import AnimateJob
from fomm_cli.animation.template import is_motion, open_footage
from fomm_cli.cli import main
from fomm_cli.media.video.reader import open_clip
from fomm_cli.models.bundled import sample
from fomm_cli.options import described
from support.parity_data import PARITY

RATE = 25.0
OTHER = [f"--config={PARITY / 'tiny_first_order.yaml'}", f"--checkpoint={PARITY / 'tiny_first_order.pth.tar'}"]


def loop(name: str, seconds: float, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    return keypoints_of(poses(name, round(seconds * RATE), RATE, scale))


def test_the_help_of_animate_names_every_motion() -> None:
    option, _ = described(AnimateJob)["driving_video"]
    assert all(name in option.help for name in MOTIONS)


@pytest.mark.parametrize("seconds", [0.5, None, 11.3])
@pytest.mark.parametrize("name", MOTIONS)
def test_every_motion_is_a_seamless_loop_from_the_sources_pose(name: str, seconds: float | None) -> None:
    values, jacobians = loop(name, seconds or MOTIONS[name].seconds)
    resting, upright = keypoints_of(Pose.of(1))
    assert np.allclose(values[0], resting[0], atol=1e-9)
    assert np.allclose(jacobians[0], upright[0], atol=1e-9)
    assert np.isfinite(values).all()
    assert (np.linalg.det(jacobians) > 0.05).all()  # nothing is turned inside out
    if seconds is None or seconds > 1:
        steps = np.abs(np.diff(values, axis=0)).max(axis=(1, 2))
        assert np.abs(values[0] - values[-1]).max() <= steps.max()  # no jump where the loop closes
        assert np.ptp(values, axis=0).max() > 0.01  # and something moves


def test_what_is_named_moves() -> None:
    eyes, nose, chin = [0, 1], KEYPOINTS.index("nose"), KEYPOINTS.index("chin")
    still = keypoints_of(Pose.of(1))[0][0]
    nod, shake = loop("nod", 2.4)[0] - still, loop("shake", 2.6)[0] - still
    assert np.abs(nod[:, nose, 1]).max() > 5 * np.abs(nod[:, nose, 0]).max()
    assert np.abs(shake[:, nose, 0]).max() > 5 * np.abs(shake[:, nose, 1]).max()
    assert (loop("talk", 7.2)[0] - still)[:, chin, 1].max() > 0.03
    open_eyes = loop("blink", 3.0)[1][:, eyes, 1, 1]
    assert open_eyes.min(axis=0) == pytest.approx(open_eyes.min(), abs=1e-6)  # both alike
    assert open_eyes.min() < 0.65
    right, left = loop("wink", 2.4)[1][:, eyes, 1, 1].min(axis=0)
    assert left < 0.65 < 0.8 < right
    corners = loop("smile", 4.0)[0][:, [5, 6], 0]
    assert np.diff(corners).max() > np.diff(corners)[0].item() + 0.05


def test_blinks_are_as_frequent_and_as_short_as_peoples() -> None:
    lids = poses("idle", round(60 * RATE), RATE).left_lid
    shut = lids > 0.5
    blinks = int((np.diff(shut.astype(int)) == 1).sum())
    assert 14 <= blinks <= 20
    assert 0.08 <= shut.sum() / RATE / blinks <= 0.25


def test_strength_stops_at_shut_lids() -> None:
    assert np.array_equal(loop("nod", 2.4, 0.0)[0], np.repeat(loop("nod", 2.4)[0][:1], 60, axis=0))
    assert loop("blink", 3.0, 5.0)[1][:, 0, 1, 1].min() == pytest.approx(
        loop("blink", 3.0)[1][:, 0, 1, 1].min(), abs=1e-3
    )


def test_a_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_motion(Path("nod"))
    footage = open_footage(Path("nod"), duration=1.0, rate=Fraction(10))
    assert footage.info.frame_count == 10
    (tmp_path / "nod").write_bytes(b"a file")
    assert not is_motion(Path("nod"))
    assert not is_motion(Path("jump"))


def test_an_image_alone_is_animated(tmp_path: Path) -> None:
    result = tmp_path / "me.mp4"
    command = ["animate", "-s", str(sample()[0]), "--duration", "0.4", "--crop", "none", "--cpu", "-o", str(result)]
    assert main(command) == 0
    frames = [frame.image for frame in open_clip(result).frames()]
    assert len(frames) == 10


def test_motions_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["motion", "list", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["motions"]) == set(MOTIONS)


@pytest.mark.parametrize(
    ("options", "problem", "next_step"),
    [
        (["-d", "nod", *OTHER], "keypoints of this checkpoint have no names", "Leave out --checkpoint"),
        (["-d", "nod", "--visualize"], "--visualize means nothing for nod", "give a video"),
        (["-d", "nod", "--absolute"], "--absolute means nothing for nod", "give a video"),
        (["-d", str(sample()[1]), "--duration", "3"], "--duration is for the motions of the package", "--end"),
        (["-d", "nod", "--duration", "0"], "invalid --duration 0", "0.2 to 600 seconds"),
        (["-d", "nodd"], "nodd does not exist", "nod"),
    ],
)
def test_what_makes_no_sense_is_refused(
    options: list[str], problem: str, next_step: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ["-s", str(sample()[0]), "--cpu", "--crop", "none", "-o", str(tmp_path / "x.mp4")]
    assert main(["animate", *source, *options]) == 2
    said = capsys.readouterr().err
    assert problem in said
    assert next_step in said
    assert not list(tmp_path.iterdir())
