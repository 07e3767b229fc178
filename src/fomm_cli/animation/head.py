"""Move the named keypoints of the small model by a simple head with a pose and an expression.

Coordinates are those of keypoints: x to the right, y down, in [-1, 1] of a frame in which the face fills about half of
the height. Right and left are the person's own, so that the right eye has the smaller x.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

KEYPOINTS = (
    "right iris", "left iris", "right brow", "left brow", "nose", "right corner of the mouth",
    "left corner of the mouth", "upper lip", "lower lip", "chin", "right jaw", "left jaw", "forehead",
    *(f"loose {count}" for count in range(1, 7)),
)  # fmt: skip
"""What each keypoint of the small model is; the loose ones are somewhere on the head, and move with it."""

# places of the keypoints in a frontal face, and how far they are in front of the axis that the head turns around
_HALF = {  # right side of what is there twice
    "iris": (-0.212, -0.15, 0.34), "brow": (-0.253, -0.27, 0.38), "corner": (-0.176, 0.33, 0.36),
    "jaw": (-0.362, 0.36, 0.1), "temple": (-0.42, -0.21, 0.0), "cheek": (-0.2, 0.3, 0.36),
}  # fmt: skip
_MIDDLE = {
    "nose": (0.0, 0.07, 0.55), "upper lip": (0.0, 0.27, 0.46), "lower lip": (0.0, 0.38, 0.45),
    "chin": (0.0, 0.6, 0.42), "forehead": (0.0, -0.41, 0.38), "top": (0.0, -0.39, 0.38), "mouth": (0.0, 0.36, 0.45),
}  # fmt: skip


def _both(name: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    x, y, z = _HALF[name]
    return (x, y, z), (-x, y, z)


PLACES = np.array(
    [*_both("iris"), *_both("brow"), _MIDDLE["nose"], *_both("corner"), _MIDDLE["upper lip"], _MIDDLE["lower lip"],
     _MIDDLE["chin"], *_both("jaw"), _MIDDLE["forehead"], _MIDDLE["top"], *_both("temple"), _MIDDLE["mouth"],
     *_both("cheek")]
)  # fmt: skip
"""(x, y, z) of each keypoint, shape (19, 3); z towards the camera."""

_RIGHT_EYE, _LEFT_EYE, _BROWS, _CORNERS, _UPPER, _LOWER, _CHIN, _JAWS = 0, 1, [2, 3], [5, 6], 7, 8, 9, [10, 11]
_NECK = np.array([0.0, 0.55, -0.05])  # what the head nods and tilts around
_ROUNDNESS = 0.8  # of the face, as slopes of its surface: 0 is flat
_LID_DROP = 0.025  # of the iris's place as the lid comes down
_LID_SHUTS = 0.4  # of the height of an eye: at more than this the small model tears cheeks


@dataclass(frozen=True)
class Pose:
    """Pose and expression of a head at N moments; each an array of shape (N,), all 0 for the source's own.

    Attributes:
        yaw: degrees to the person's left.
        pitch: degrees down.
        roll: degrees towards the person's left shoulder.
        rise: of the whole head, in coordinates.
        right_lid: how far the right eye is closed, 1 for shut, below 0 for wide open.
        left_lid: how far the left eye is closed, 1 for shut, below 0 for wide open.
        gaze_x: of the eyes towards larger x, 1 for the corner of the eye.
        gaze_y: of the eyes towards larger y, in the same unit.
        brows: how far they are raised, 1 for as far as they go.
        smile: 1 for a broad one.
        jaw: how far it is opened, 1 for wide.
        pout: how far the corners of the mouth are drawn together, 1 for a round mouth.
    """

    yaw: np.ndarray
    pitch: np.ndarray
    roll: np.ndarray
    rise: np.ndarray
    right_lid: np.ndarray
    left_lid: np.ndarray
    gaze_x: np.ndarray
    gaze_y: np.ndarray
    brows: np.ndarray
    smile: np.ndarray
    jaw: np.ndarray
    pout: np.ndarray

    @classmethod
    def of(cls, count: int, **curves: np.ndarray) -> Pose:
        """Build a pose of `count` moments; what is not given is 0."""
        return cls(**{field.name: curves.get(field.name, np.zeros(count)) for field in fields(cls)})

    def scaled(self, factor: float) -> Pose:
        """Multiply all movement; lids and jaw stop where they are shut and wide open."""
        moved = {field.name: getattr(self, field.name) * factor for field in fields(self)}
        for lid in ("right_lid", "left_lid"):
            moved[lid] = moved[lid].clip(-0.6, 1)
        moved["jaw"] = moved["jaw"].clip(0, 1.5)
        return Pose(**moved)


def keypoints_of(pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Return where the keypoints of the head are at N moments, and how what is around them is turned and stretched.

    Returns:
        Positions (N, 19, 2) and Jacobians (N, 19, 2, 2), which are the identity where the pose is all 0.
    """
    places, shapes = _expressed(pose)
    turned, local = _turned(places, _rotations(pose))
    turned[..., 1] -= pose.rise[:, None]
    return turned, local @ shapes


def _expressed(pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Return the expression alone: places (N, 19, 3) and changes of shape (N, 19, 2, 2)."""
    count = len(pose.yaw)
    places = np.tile(PLACES, (count, 1, 1))
    stretch = np.ones((count, len(PLACES), 2))  # along x and y
    for eye, lid in ((_RIGHT_EYE, pose.right_lid), (_LEFT_EYE, pose.left_lid)):
        squeezed = lid + 0.18 * pose.smile.clip(0, 1)  # a smile that is felt narrows the eyes
        stretch[:, eye, 1] = 1 - _LID_SHUTS * squeezed.clip(-1, 1)
        places[:, eye, 0] += 0.045 * pose.gaze_x
        places[:, eye, 1] += 0.03 * pose.gaze_y + _LID_DROP * lid.clip(0, 1)
    places[:, _BROWS, 1] -= 0.06 * pose.brows[:, None]
    outwards = np.array([-1.0, 1.0])
    places[:, _CORNERS, 0] += outwards * (0.055 * pose.smile - 0.06 * pose.pout)[:, None]
    places[:, _CORNERS, 1] += (-0.035 * pose.smile + 0.03 * pose.jaw)[:, None]
    stretch[:, [_UPPER, _LOWER], 0] = (1 + 0.3 * pose.smile - 0.3 * pose.pout)[:, None]
    places[:, _UPPER, 1] -= 0.012 * pose.smile + 0.015 * pose.jaw
    places[:, _LOWER, 1] += 0.1 * pose.jaw - 0.01 * pose.smile
    places[:, _CHIN, 1] += 0.11 * pose.jaw
    places[:, _JAWS, 1] += 0.04 * pose.jaw[:, None]
    shapes = np.zeros((*stretch.shape, 2))
    shapes[..., 0, 0], shapes[..., 1, 1] = stretch[..., 0], stretch[..., 1]
    return places, shapes


def _rotations(pose: Pose) -> np.ndarray:
    """Return rotation matrices (N, 3, 3) for x right, y down, z towards the camera."""
    yaw, pitch, roll = (np.radians(angle) for angle in (pose.yaw, pose.pitch, pose.roll))
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)

    def matrix(*entries: np.ndarray) -> np.ndarray:
        return np.stack(entries, -1).reshape(-1, 3, 3)

    around_y = matrix(np.cos(yaw), zero, np.sin(yaw), zero, one, zero, -np.sin(yaw), zero, np.cos(yaw))
    around_x = matrix(one, zero, zero, zero, np.cos(pitch), np.sin(pitch), zero, -np.sin(pitch), np.cos(pitch))
    around_z = matrix(np.cos(roll), -np.sin(roll), zero, np.sin(roll), np.cos(roll), zero, zero, zero, one)
    return np.asarray(around_z @ around_x @ around_y)


def _turned(places: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn places (N, K, 3) around the neck; returns (N, K, 2) as the camera sees them, and local maps (N, K, 2, 2)."""
    turned = (places - _NECK) @ rotations.transpose(0, 2, 1) + _NECK
    slope = -_ROUNDNESS * PLACES[:, :2] * np.array([1.0, 0.5])  # of the surface: dz by dx and dy
    slope[4] = 0  # the tip of the nose looks ahead
    local = rotations[:, None, :2, :2] + rotations[:, None, :2, 2, None] * slope[None, :, None, :]
    return turned[..., :2], local
