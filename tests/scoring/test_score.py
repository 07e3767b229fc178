"""`fomm score` gives the answers that are known: of a video against itself, frozen, mirrored, late, or another one."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from fomm_cli.cli import main
from fomm_cli.faces.detectors.opening import open_detector
from fomm_cli.faces.face import FaceDetector
from fomm_cli.faces.landmarks import CHEEKS, INNER_LIPS, OUTER_LIPS, RIGID
from fomm_cli.media.video.reader import open_clip
from fomm_cli.media.video.writer import open_writer
from fomm_cli.models.bundled import sample
from fomm_cli.scoring.concordance import agreement
from fomm_cli.scoring.measurements import FaceTrack, interior, track_face
from fomm_cli.scoring.rubric import PARTS, Scores, matched, score_faces
from support.batch_helpers import CHECKPOINT, CONFIG
from support.portraits import blurry_background

CLIPS = ("id0033_01.mp4", "id0058_02.mp4", "id0149_02.mp4")  # all of whose parts move
FRAMES = 50


@dataclass(frozen=True)
class Known:
    """A clip, and what was done to it."""

    pictures: list[np.ndarray]
    plain: FaceTrack
    mirrored: FaceTrack
    mute: FaceTrack

    def scored(self, result: FaceTrack) -> dict[str, float]:
        scores = score_faces(self.plain[: len(result)], result, result[:1])
        return values(scores)


def values(scores: Scores) -> dict[str, float]:
    assert scores.total is not None
    return {"total": scores.total.value, **{name: part.value for name, part in scores.parts.items() if part}}


@pytest.fixture(scope="module")
def home(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder with MediaPipe's model."""
    if find_spec("mediapipe") is None:
        pytest.skip("MediaPipe is not installed: pip install mediapipe")
    folder = tmp_path_factory.mktemp("home")
    shutil.copy(shared / "models" / "face_landmarker.task", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOMM_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def detector(home: Path) -> Iterator[FaceDetector]:  # noqa: ARG001 - has to be there first
    with open_detector("mediapipe") as detector:
        yield detector


@pytest.fixture(scope="module")
def clips(shared: Path, detector: FaceDetector) -> list[Known]:
    return [_known(shared / "faces" / "train" / name, detector) for name in CLIPS]


def _known(path: Path, detector: FaceDetector) -> Known:
    pictures = [frame.image for frame in open_clip(path, max_frames=FRAMES).frames()]
    plain = _track(pictures, detector)
    mirrored = [np.ascontiguousarray(picture[:, ::-1]) for picture in pictures]
    return Known(pictures, plain, _track(mirrored, detector), _track(mouth_frozen(pictures, plain), detector))


def _track(pictures: list[np.ndarray], detector: FaceDetector) -> FaceTrack:
    return track_face(((index / 25, picture) for index, picture in enumerate(pictures)), detector)


def mouth_frozen(pictures: list[np.ndarray], track: FaceTrack) -> list[np.ndarray]:
    """The first frame's mouth, moved along with the head, in every frame."""
    return [
        _with_mouth(picture, pictures[0], points, track.landmarks[0])
        for picture, points in zip(pictures, track.landmarks, strict=True)
    ]


def _with_mouth(picture: np.ndarray, first: np.ndarray, points: np.ndarray, before: np.ndarray) -> np.ndarray:
    old, new = (face[list(RIGID)] @ (1, 1j) for face in (before, points))
    turn = np.vdot(new - new.mean(), old - old.mean()) / np.vdot(new - new.mean(), new - new.mean())
    shift = old.mean() - turn * new.mean()  # from the frame's places to those of the first frame
    affine = (turn.real, -turn.imag, shift.real, turn.imag, turn.real, shift.imag)
    moved = Image.fromarray(first).transform(
        first.shape[1::-1], Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC
    )
    lips = np.concatenate([points[list(OUTER_LIPS)], points[[152]]])  # and the chin, which goes down with the jaw
    (x, y), (half_width, half_height) = (lips.max(0) + lips.min(0)) / 2, (lips.max(0) - lips.min(0)) / 2
    rows, columns = np.mgrid[: first.shape[0], : first.shape[1]]
    inside = ((columns - x) / (1.25 * half_width)) ** 2 + ((rows - y) / (1.15 * half_height)) ** 2 < 1
    mask = gaussian_filter(inside.astype(float), 3)[..., None]
    return (mask * np.asarray(moved) + (1 - mask) * picture).round().astype(np.uint8)


def test_a_video_against_itself_gets_all_points(clips: list[Known]) -> None:
    for clip in clips:
        assert clip.scored(clip.plain) == pytest.approx(dict.fromkeys(("total", *PARTS), 10))


def test_a_still_picture_gets_none_for_what_moves(clips: list[Known]) -> None:
    for clip in clips:
        scored = clip.scored(clip.plain[np.zeros(FRAMES, int)])
        assert max(scored[part] for part in ("eyes", "mouth", "outline")) <= 2
        assert min(scored["identity"], scored["quality"]) > 9


def test_a_still_mouth_costs_the_mouth_alone(clips: list[Known]) -> None:
    for clip in clips:
        scored = clip.scored(clip.mute)
        assert scored["mouth"] <= 5
        assert min(scored["eyes"], scored["outline"]) >= 8


def test_worse_following_scores_lower(clips: list[Known]) -> None:
    delay = np.maximum(0, np.arange(FRAMES) - 10)
    pairs = zip(clips, clips[1:] + clips[:1], strict=True)
    itself, mirrored, late, others = (
        [clip.scored(track)["total"] for clip, track in tracks]
        for tracks in (
            [(clip, clip.plain) for clip in clips],
            [(clip, clip.mirrored) for clip in clips],
            [(clip, clip.plain[delay]) for clip in clips],
            [(clip, other.plain) for clip, other in pairs],
        )
    )
    assert min(itself) > 9.9
    assert 3 < min(mirrored) <= max(mirrored) < 7
    assert min(mirrored) > max(late)
    assert np.mean(late) > np.mean(others) + 0.5
    assert max(others) < 2


def test_a_mirror_turns_the_head_and_not_the_mouth(clips: list[Known]) -> None:
    for clip in clips:
        scored = clip.scored(clip.mirrored)
        assert scored["mouth"] > 8
        assert scored["outline"] < 2


def test_degrees_of_movement_rank_as_they_should(clips: list[Known]) -> None:
    clip = clips[1]
    totals = []
    for share in (1.0, 0.8, 0.5, 0.2):  # of the movement, landmarks and all
        weaker = FaceTrack(
            clip.plain.times,
            *(first + share * (all_ - first) for all_, first in ((a, a[:1]) for a in _parts(clip.plain))),
            clip.plain.patches,
        )
        totals.append(clip.scored(weaker)["total"])
    assert totals[0] == pytest.approx(10)
    assert all(high - low > 0.3 for high, low in pairwise(totals))


def _parts(track: FaceTrack) -> tuple[np.ndarray, ...]:
    return track.landmarks, track.expressions, track.poses, track.interiors


def test_frames_without_a_face_count_as_not_drawn(clips: list[Known]) -> None:
    clip = clips[0]
    landmarks = clip.plain.landmarks.copy()
    landmarks[25:] = np.nan
    hidden = FaceTrack(
        clip.plain.times, landmarks, clip.plain.expressions, clip.plain.poses, clip.plain.interiors, clip.plain.patches
    )
    scores = score_faces(clip.plain, hidden, clip.plain[:1])
    assert scores.seen == 0.5
    assert values(scores)["eyes"] == pytest.approx(5)
    assert "50%" in " ".join(scores.notes)
    landmarks[:] = np.nan
    scores = score_faces(clip.plain, hidden, clip.plain[:1])
    assert values(scores) == {"total": 0, "eyes": 0, "mouth": 0, "outline": 0}
    assert scores.parts["identity"] is None


def test_a_few_melted_faces_cost_identity_and_quality(clips: list[Known]) -> None:
    for clip in clips:
        patches = clip.plain.patches.copy()
        patches[20:25] = patches[20:25, ::-1]  # five faces of fifty, upside down, whose landmarks stay
        melted = replace(clip.plain, patches=patches)
        scored = clip.scored(melted)
        assert scored["identity"] < 8
        assert scored["total"] == pytest.approx(10)


@pytest.mark.parametrize("still_first", [True, False])
def test_one_common_frame_is_nothing_to_compare(
    still_first: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    home: Path,  # noqa: ARG001 - has to be there
) -> None:
    image = tmp_path / "still.png"
    Image.fromarray(next(iter(open_clip(sample()[1], max_frames=1).frames())).image).save(image)
    result, driving = (image, sample()[1]) if still_first else (sample()[1], image)
    assert main(["score", str(result), "-d", str(driving)]) == 2
    assert "share a single frame" in capsys.readouterr().err


def test_agreement_is_lins_concordance() -> None:
    generator = np.random.default_rng(0)
    x = np.cumsum(generator.normal(size=(1, 200)), axis=1)
    y = 0.7 * x + generator.normal(size=(1, 200)) + 2
    x, y = x - x[:, :1], y - y[:, :1]
    everywhere, one = np.ones(200, bool), np.ones(1)
    lin = 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert agreement(x, y, one, everywhere).mean() == pytest.approx(lin)
    assert agreement(x, 0 * y, one, everywhere).mean() == pytest.approx(0)
    assert agreement(x, -x, one, everywhere).mean() < 0
    trembling = 0.1 * generator.normal(size=(2, 1, 200))  # calm: judged by how large the error is
    assert agreement(*trembling, one, everywhere).mean() > 0.9
    assert agreement(0 * x, 2 * np.sin(x), one, everywhere).mean() == pytest.approx(0, abs=0.05)


def test_frames_are_matched_by_time() -> None:
    of_driving, of_result = matched(np.arange(100) / 25, np.arange(30) / 12.5)
    assert list(of_driving) == list(range(61))  # the result ends after 2.4 s
    assert np.abs(of_driving / 25 - of_result / 12.5).max() <= 0.0801
    everything = np.arange(20) / 30
    assert all((indices == np.arange(20)).all() for indices in matched(everything, everything))


def test_skin_between_the_lips_is_not_the_inside_of_a_mouth() -> None:
    points = np.zeros((478, 2))
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    ring = np.stack((np.cos(angles), np.sin(angles)), axis=1)
    points[list(INNER_LIPS)], points[list(OUTER_LIPS)] = 100 + 20 * ring, 100 + 30 * ring
    points[list(CHEEKS)] = ((50, 60), (150, 60))
    skin = np.full((200, 200, 3), (200, 150, 130), np.uint8)
    rows, columns = np.mgrid[:200, :200]
    radius = np.hypot(rows - 100, columns - 100)
    skin[radius < 33] = (170, 90, 90)  # lips
    for colour, share in (((170, 90, 90), 0), ((195, 145, 128), 0), ((35, 15, 15), 1), ((235, 230, 220), 1)):
        drawn = skin.copy()
        drawn[radius < 21] = colour
        assert interior(drawn, points) == pytest.approx(share * np.pi * 20**2, rel=0.05, abs=5)


def write(path: Path, pictures: list[np.ndarray]) -> Path:
    with open_writer(path, pictures[0].shape[:2], Fraction(25), {}) as writer:
        for index, picture in enumerate(pictures):
            writer.write(picture, Fraction(index, 25))
    return path


def test_command(clips: list[Known], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    driving = write(tmp_path / "driving.mp4", clips[1].pictures[:40])
    Image.fromarray(clips[1].pictures[0]).save(tmp_path / "source.png")
    flags = ["--json", "--csv", str(tmp_path / "a.csv"), "--plot", str(tmp_path / "a.svg")]
    command = ["score", str(driving), "-d", str(driving), "-s", str(tmp_path / "source.png"), *flags]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["total"]["value"] == pytest.approx(10)
    assert found["basis"] == "landmarks"
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    assert all(row["driving_jaw"] == row["result_jaw"] for row in rows)
    drawing = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert all(text in drawing for text in ("driving video", "mouth: gap", "outline: yaw", "total 10.0 of 10"))


def test_size_frame_rate_and_encoding_hardly_matter(
    clips: list[Known], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    driving = write(tmp_path / "driving.mp4", clips[1].pictures[:40])
    smaller = [np.asarray(Image.fromarray(picture).resize((200, 200))) for picture in clips[1].pictures[:40:2]]
    slow = tmp_path / "slow.mp4"
    with open_writer(slow, (200, 200), Fraction(25, 2), {}, crf=24) as writer:
        for index, picture in enumerate(smaller):
            writer.write(picture, Fraction(2 * index, 25))
    assert main(["score", str(slow), "-d", str(driving), "--json"]) == 0
    parts = json.loads(capsys.readouterr().out)["parts"]
    assert min(parts[part]["value"] for part in ("mouth", "outline")) > 6.5


def test_what_has_no_face_is_judged_by_the_models_keypoints(
    home: Path,  # noqa: ARG001 - has to be there first
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scene = blurry_background(96, 80)
    moving = [np.roll(scene, (round(4 * np.sin(index / 3)), index % 9), axis=(0, 1))[:64, :64] for index in range(14)]
    driving = write(tmp_path / "driving.mp4", moving)
    still = write(tmp_path / "still.mp4", [moving[0]] * 14)
    model = ["--config", str(CONFIG), "--checkpoint", str(CHECKPOINT), "--device", "cpu", "--json"]
    outlines = []
    for result in (driving, still):
        assert main(["score", str(result), "-d", str(driving), *model]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["basis"] == "keypoints"
        assert found["parts"]["eyes"] is found["parts"]["mouth"] is None
        assert "optical flow" in " ".join(found["notes"])
        outlines.append(found["parts"]["outline"]["value"])
    assert outlines[0] == pytest.approx(10)
    assert outlines[1] < 5


def test_wrong_use_is_told_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "missing.mp4", "-d", "missing.mp4"]) == 2
    assert main(["score", "a.mp4", "-d", "a.mp4", "--plot", str(tmp_path / "a.txt")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
