"""The pose of an avatar on synthetic keypoints: nothing here needs a model or a camera."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fomm_cli.keypoints import KeyPoints
from fomm_cli.live.motion import GLIDE_SECONDS, SEARCH_SECONDS, LiveMotion, Reference

RATE = 25
FACE = torch.tensor([[-0.3, -0.3], [0.3, -0.3], [0.0, 0.0], [-0.2, 0.3], [0.2, 0.3]])


def pose(x: float = 0.0, *, mouth: float = 0.0, size: float = 1.0) -> KeyPoints:
    """A face moved to the right, with its mouth opened: the last two points move apart."""
    value = FACE * size + torch.tensor([x, 0.0])
    value[3:, 1] += mouth
    return KeyPoints(value[None], torch.eye(2).repeat(1, len(FACE), 1, 1))


def run(motion: LiveMotion, poses: list[KeyPoints | None], start: float = 0.0) -> np.ndarray:
    """The values (frames, K, 2) that an avatar takes, frame by frame."""
    taken = [motion(each, start + index / RATE) for index, each in enumerate(poses)]
    return torch.cat([each.value for each in taken]).numpy()


def largest_step(values: np.ndarray) -> float:
    return float(np.abs(np.diff(values, axis=0)).max())


def seconds(length: float) -> int:
    return round(length * RATE)


def settled(source: KeyPoints | None = None) -> LiveMotion:
    """A motion whose reference is the straight face, held."""
    motion = LiveMotion(pose() if source is None else source)
    run(motion, [pose()] * seconds(SEARCH_SECONDS + 1))
    assert motion.reference.state == "held"
    return motion


def test_the_motion_since_the_reference_is_added_to_the_source() -> None:
    source = pose(0.1)
    motion = settled(source)
    values = run(motion, [pose()] * 2 + [pose(0.04)] * seconds(2), start=5)
    assert values[0] == pytest.approx(source.value[0].numpy(), abs=1e-5)
    assert values[-1] == pytest.approx(pose(0.14).value[0].numpy(), abs=1e-3)


def test_motion_scale_multiplies_it_and_changes_without_a_jump() -> None:
    motion = settled()
    before = run(motion, [pose(0.1)] * seconds(1), start=5)
    motion.motion_scale = 2.0
    after = run(motion, [pose(0.1)] * seconds(1), start=6)
    assert after[-1] == pytest.approx(pose(0.2).value[0].numpy(), abs=2e-3)
    assert largest_step(np.concatenate([before[-1:], after])) < 0.1 / RATE / GLIDE_SECONDS * 2


def test_the_automatic_reference_is_the_nearest_pose_of_the_first_seconds_and_is_held() -> None:
    reference, source = Reference(), pose(mouth=0.02)
    for index, mouth in enumerate([0.2, 0.1, 0.03, 0.15, 0.3]):
        reference.see(pose(mouth=mouth), source, index * 0.5)
    assert reference.state == "searching"
    reference.see(pose(mouth=0.25), source, SEARCH_SECONDS)
    assert reference.state == "held"
    assert not reference.see(pose(mouth=0.02), source, SEARCH_SECONDS + 0.1), "a nearer pose comes too late"
    assert reference.keypoints is not None
    assert torch.equal(reference.keypoints.value, pose(mouth=0.03).value)


def test_a_taken_reference_is_the_next_frame() -> None:
    reference = Reference()
    reference.see(pose(), pose(), 0.0)
    reference.take()
    assert reference.see(pose(0.3), pose(), 0.1)
    assert reference.state == "held"
    assert reference.keypoints is not None
    assert torch.equal(reference.keypoints.value, pose(0.3).value)


def test_a_second_search_keeps_the_reference_until_it_ends() -> None:
    reference, source = Reference(), pose(mouth=0.02)
    for index in range(5):
        reference.see(pose(mouth=0.3), source, float(index))
    reference.find()
    assert not reference.see(pose(mouth=0.05), source, 10.0)
    assert not reference.see(pose(mouth=0.2), source, 11.0)
    assert reference.see(pose(mouth=0.2), source, 10.0 + SEARCH_SECONDS)
    assert reference.keypoints is not None
    assert torch.equal(reference.keypoints.value, pose(mouth=0.05).value)


def test_a_lost_face_fades_to_rest_and_comes_back_without_a_jump() -> None:
    source = pose()
    motion = settled(source)
    turned = [pose(0.3 * min(1.0, index / seconds(1))) for index in range(seconds(2))]
    values = run(motion, [*turned, *[None] * seconds(2), *[pose(0.3)] * seconds(2)], start=5)
    assert np.abs(values[seconds(2) - 1] - source.value[0].numpy()).max() > 0.25
    at_rest = values[seconds(2 + GLIDE_SECONDS) + 1 : seconds(4)]
    assert at_rest == pytest.approx(np.broadcast_to(source.value[0].numpy(), at_rest.shape), abs=1e-6)
    assert values[-1] == pytest.approx(pose(0.3).value[0].numpy(), abs=0.01)
    assert largest_step(values) < 0.05, "0.3 in one step would be a jump"


def test_a_new_reference_does_not_make_the_avatar_jump() -> None:
    motion = settled()
    run(motion, [pose(0.02 * index) for index in range(15)], start=5)
    before = run(motion, [pose(0.28)] * seconds(1), start=6)
    motion.reference.take()
    after = run(motion, [pose(0.28)] * seconds(1), start=7)
    assert before[-1][0, 0] > FACE[0, 0] + 0.25
    assert after[-1] == pytest.approx(FACE.numpy(), abs=1e-3)
    assert largest_step(np.concatenate([before[-1:], after])) < 0.05


def test_keypoints_that_jump_as_those_of_no_face_are_held_back() -> None:
    motion = settled()
    still = run(motion, [pose()] * 5, start=5)[-1]
    generator = torch.Generator().manual_seed(0)
    noise = [KeyPoints(torch.rand(1, 5, 2, generator=generator) * 2 - 1, pose().jacobian) for _ in range(10)]
    held = run(motion, list(noise), start=5.2)
    assert motion.doubtful_since == pytest.approx(5.2)
    assert held == pytest.approx(np.broadcast_to(still, held.shape), abs=1e-5)


def test_a_confirmed_face_is_followed_wherever_it_is() -> None:
    motion = settled()
    run(motion, [pose()], start=4.96)
    run(motion, [pose(0.9)] * 3, start=5)
    assert motion.doubtful_since is not None
    motion.confirm(5.08)
    values = run(motion, [pose(0.9)] * seconds(1), start=5.12)
    assert motion.doubtful_since is None
    assert values[-1] == pytest.approx(pose(0.9).value[0].numpy(), abs=1e-3)
    assert largest_step(values) < 0.2


def test_doubt_does_not_last_longer_than_a_second() -> None:
    motion = settled()
    run(motion, [pose()], start=4.96)
    run(motion, [pose(0.9)] * 3, start=5)
    assert motion.doubtful_since is not None
    run(motion, [pose(0.9)] * seconds(2), start=5.12)
    assert motion.doubtful_since is None


def test_an_avatar_or_a_scale_changed_in_doubt_is_no_failure() -> None:
    motion = settled()
    run(motion, [pose()], start=4.96)
    motion.motion_scale = 0.5
    motion.switch(pose(0.2))
    assert run(motion, [pose(0.9)] * 3, start=5)[-1] == pytest.approx(pose(0.2).value[0].numpy(), abs=1e-3)


def test_jitter_is_filtered() -> None:
    random = np.random.default_rng(0)
    motion = LiveMotion(pose())
    noisy = [pose(float(random.normal(0, 0.004))) for _ in range(seconds(6))]
    values = run(motion, list(noisy))[seconds(4) :]
    given = torch.cat([each.value for each in noisy])[seconds(4) :, 0, 0].numpy()
    assert values[:, 0, 0].std() < 0.6 * given.std()


def test_another_avatar_is_shown_at_once() -> None:
    motion = settled()
    motion.switch(pose(0.4, size=1.2))
    first = run(motion, [pose()], start=5)[0]
    assert first == pytest.approx(pose(0.4, size=1.2).value[0].numpy(), abs=1e-4)


def test_times_may_stand_still() -> None:
    motion = LiveMotion(pose())
    for _ in range(3):
        taken = motion(pose(0.01), 1.0)
    assert all(math.isfinite(value) for value in taken.value.flatten().tolist())
