"""Judge from an image how well a portrait will animate, by what the study of twenty images found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from fomm_cli.faces.face import Face, Pose
from fomm_cli.faces.framing import LARGE, SMALL, framing_in
from fomm_cli.faces.landmarks import (
    CHEEKS,
    EYE_CORNERS_68,
    EYELIDS,
    INNER_LIPS,
    INNER_LIPS_68,
    LEFT_EYE,
    RIGHT_EYE,
    UNDER_EYES,
)
from fomm_cli.geometry import Box

Mouth = Literal["closed", "slightly open", "open", "slightly open with teeth", "open with teeth"]
Verdict = Literal["good", "fair", "poor"]
VERDICTS: tuple[Verdict, ...] = ("good", "fair", "poor")

_TRAINED_SMALL = 0.42  # of the frame's height; 99 % of the faces in training data are larger
_EYES_AT = 0.32  # of the face's height, from its top, where only the box is known
_WHITE = 0.72  # least ratio of the darkest to the brightest colour channel in white
_OPEN = 0.03  # gap between the lips, in heights of the face
_WIDE_OPEN = 0.12
_TEETH_SHARE = 0.25  # of the opening, that is bright and without colour
_MEASURED = 128  # pixels; faces are brought to this width before they are measured
_BLURRED, _SOFT = 5.0, 9.0  # variance of the Laplacian, in squared grey levels
_DARK, _BRIGHT = 45.0, 225.0  # grey level of the middle of a face
_FLAT, _PALE = 9.0, 16.0  # grey levels between features and skin
_TURNED, _FAR_TURNED = 18.0, 35.0  # degrees from facing the camera
_LYING = 60.0  # degrees of roll, from which an image lies on its side rather than a head
_FEW_PIXELS = 48  # height of a face, below which nothing of it can be seen to move
_SHADED = 0.6  # brightness under the eyes by that of the cheeks, below which glasses hide the eyes
_APART, _FAR_APART = 12.0, 25.0  # degrees between source and driving video


@dataclass(frozen=True)
class Finding:
    """One property of an image that was judged.

    Attributes:
        topic: what, in a word.
        verdict: good, fair or poor.
        text: a sentence.
        flag: what mends it, as on the command line; empty where nothing does.
    """

    topic: str
    verdict: Verdict
    text: str
    flag: str = ""


def worst(findings: list[Finding]) -> Verdict:
    """Return the worst verdict."""
    return max((finding.verdict for finding in findings), key=VERDICTS.index, default="good")


def judge_source(image: np.ndarray, frame: Box, faces: list[Face], face: Face) -> list[Finding]:
    """Judge a source image in every respect.

    Args:
        image: uint8 (H, W, 3).
        frame: the part of it that the model is shown, in its pixels.
        faces: all that were found.
        face: the one to animate.
    """
    findings = [
        judge_size(face.box, frame),
        judge_position(face, frame),
        _judge_number(faces),
        *_judge_proportions(face.box, frame),
    ]
    if face.pose is not None:
        findings.append(_judge_turn(face.pose))
    if face.box.height < _FEW_PIXELS:
        text = f"the face is only {face.box.height:.0f} pixels high"
        findings.append(Finding("resolution", "poor", text, "use a larger image"))
    if face.landmarks is not None and len(face.landmarks) == 478:
        findings += _judge_eyes(image, face)
    if face.landmarks is not None:
        findings.append(_judge_mouth(image, face))
    grey = _measured(image, face.box)
    return [*findings, _judge_sharpness(grey), _exposure(grey), _judge_contrast(grey)]


def judge_size(face: Box, frame: Box) -> Finding:
    """Judge the height of a face by the training data and by what the study found."""
    height = framing_in(face, frame).height
    height_text = f"the face is {height:.0%} of the frame high"
    if height >= LARGE:
        return Finding("size", "poor", f"{height_text}: only its features are in the image", "use a wider image")
    if height >= _TRAINED_SMALL:
        return Finding("size", "good", f"{height_text}, as in the training data or a little larger")
    if height >= SMALL:
        return Finding("size", "fair", f"{height_text}: a little small", "--crop source")
    return Finding("size", "poor", f"{height_text}: eyes and mouth are too small to move", "--crop auto")


def judge_position(face: Face, frame: Box) -> Finding:
    """Judge whether the whole face is in the frame."""
    eyes, box = _eyes(face), face.box
    if eyes.top < frame.top or eyes.left < frame.left or eyes.right > frame.right:
        return Finding("position", "poor", "the eyes are cut off at the border", "use an image with the whole face")
    if box.bottom > frame.bottom + 0.02 * frame.height:
        return Finding("position", "fair", "the chin is cut off at the border", "use an image with the whole face")
    visible = box.intersection(frame).area / box.area
    if visible < 0.9:
        return Finding("position", "fair", f"{1 - visible:.0%} of the face lie outside the frame", "--crop auto")
    return Finding("position", "good", "the face is whole")


def _judge_proportions(face: Box, frame: Box) -> Iterator[Finding]:
    if framing_in(face, frame).is_distorted:
        text = f"the image is {frame.width:.0f}x{frame.height:.0f}, and is stretched to a square"
        yield Finding("proportions", "fair", text, "--crop auto or --fit crop")


def _judge_number(faces: list[Face]) -> Finding:
    if len(faces) == 1:
        return Finding("faces", "good", "one face found")
    places = ", ".join(f"{face.box.centre[0]:.0f},{face.box.centre[1]:.0f}" for face in faces)
    return Finding(
        "faces", "fair", f"{len(faces)} faces found, at {places}; one is animated", "--face N or --face_at X,Y"
    )


def _judge_turn(pose: Pose) -> Finding:
    if abs(pose.roll) > _LYING:
        return Finding("pose", "poor", f"the image is turned by {abs(pose.roll):.0f} degrees", "rotate it")
    angle = max(abs(pose.yaw), abs(pose.pitch))
    text = f"the head is turned by {abs(pose.yaw):.0f} and tilted by {abs(pose.pitch):.0f} degrees"
    if angle <= _TURNED:
        return Finding("pose", "good", text)
    return Finding("pose", "fair" if angle <= _FAR_TURNED else "poor", text, "use an image that faces the camera")


def judge_start(source: Pose, driving: Pose) -> Finding:
    """Judge whether the driving video begins in the pose of the source, as relative motion supposes."""
    apart = max(abs(source.yaw - driving.yaw), abs(source.pitch - driving.pitch), abs(source.roll - driving.roll))
    text = f"the driving video begins with the head turned {apart:.0f} degrees away from the source's"
    if apart <= _APART:
        return Finding("first frame", "good", text)
    return Finding("first frame", "fair" if apart <= _FAR_APART else "poor", text, "--find_best_frame")


def mouth_of(image: np.ndarray, face: Face) -> Mouth:
    """Classify the mouth of a face with landmarks in an image, uint8 (H, W, 3)."""
    lips = _of(face, INNER_LIPS, INNER_LIPS_68)
    gap = Box.around(lips).height / face.box.height
    if gap < _OPEN:
        return "closed"
    if _teeth_share(image, lips) > _TEETH_SHARE:
        return "open with teeth" if gap > _WIDE_OPEN else "slightly open with teeth"
    return "open" if gap > _WIDE_OPEN else "slightly open"


def _judge_eyes(image: np.ndarray, face: Face) -> Iterator[Finding]:
    """Tell dark glasses: what lies under the eyes is then much darker than the cheeks."""
    assert face.landmarks is not None  # noqa: S101 - the caller has looked
    below = min(_brightness_at(image, face.landmarks[mark], face) for mark in UNDER_EYES)
    inside = max(_brightness_at(image, face.landmarks[list(lids)].mean(0), face) for lids in EYELIDS)
    cheeks = min(_brightness_at(image, face.landmarks[mark], face) for mark in CHEEKS)
    if max(below, inside) < _SHADED * cheeks:
        yield Finding("eyes", "poor", "the eyes are hidden, as by dark glasses", "use an image that shows the eyes")


def _brightness_at(image: np.ndarray, place: np.ndarray, face: Face) -> float:
    """Return the median brightness, 0 to 255, of a small square about a place (x, y)."""
    half = max(1, round(0.02 * face.box.height))
    x, y = (int(value) for value in place)
    patch = image[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
    return float(np.median(patch.mean(axis=-1))) if patch.size else 0.0


def _judge_mouth(image: np.ndarray, face: Face) -> Finding:
    """Judge the mouth; in the study slightly open without teeth beat closed, which beat teeth."""
    mouth = mouth_of(image, face)
    flag = "use an image with the lips slightly open or closed"
    if mouth == "closed":
        return Finding("mouth", "good", "the mouth is closed; slightly open without teeth would be better still")
    if mouth == "slightly open":
        return Finding("mouth", "good", "the mouth is slightly open without teeth, which animates best")
    if mouth == "open":
        return Finding("mouth", "fair", "the mouth is wide open", flag)
    return Finding("mouth", "fair", "teeth show: they may tear if the mouth opens wide", flag)


def _teeth_share(image: np.ndarray, lips: np.ndarray) -> float:
    """Return the ratio of the opening between the lips (N, 2) that is bright and without colour."""
    from skimage.draw import polygon

    rows, columns = polygon(lips[:, 1], lips[:, 0], image.shape[:2])  # type: ignore[no-untyped-call]
    if len(rows) == 0:
        return 0.0
    inside = image[rows, columns].astype(float)
    brightest, dullest = inside.max(axis=1), inside.min(axis=1)
    return float(np.mean((brightest > 110) & (dullest > 0.6 * brightest)))


def _judge_sharpness(grey: np.ndarray) -> Finding:
    return _graded(
        "sharpness",
        laplacian(grey).var(),
        (_BLURRED, _SOFT),
        ("blurred", "a little soft", "sharp"),
        "use a sharper image",
    )


def laplacian(grey: np.ndarray) -> np.ndarray:
    """Return the Laplacian of grey images (..., H, W), without the pixels at their borders."""
    sides = grey[..., :-2, 1:-1] + grey[..., 2:, 1:-1] + grey[..., 1:-1, :-2] + grey[..., 1:-1, 2:]
    return np.asarray(sides - 4 * grey[..., 1:-1, 1:-1])


def judge_exposure(image: np.ndarray, face: Box) -> Finding:
    """Judge whether a face in an image, uint8 (H, W, 3), is neither too dark nor too bright."""
    return _exposure(_measured(image, face))


def _exposure(grey: np.ndarray) -> Finding:
    level = float(np.median(grey))
    if level < _DARK or level > _BRIGHT:
        text = f"the face is too {'dark' if level < _DARK else 'bright'}"
        return Finding("exposure", "poor" if level < _DARK / 2 else "fair", text, "brighten or darken the image first")
    return Finding("exposure", "good", "the face is exposed well")


def feature_contrast(image: np.ndarray, face: Box) -> float:
    """Measure how far eyes, brows and lips stand out from the skin, in grey levels; the image is uint8 (H, W, 3)."""
    return _contrast(_measured(image, face))


def eye_whites(image: np.ndarray, face: Face) -> float:
    """Measure the whites of the eyes in thousandths of the face, for a face with 478 landmarks."""
    from skimage.draw import polygon

    assert face.landmarks is not None  # noqa: S101 - the callers have looked
    white = 0
    for lids in EYELIDS:
        outline = face.landmarks[list(lids)]
        rows, columns = polygon(outline[:, 1], outline[:, 0], image.shape[:2])  # type: ignore[no-untyped-call]
        if len(rows):
            inside = image[rows, columns].astype(float)
            brightest, dullest = inside.max(axis=1), inside.min(axis=1)
            bright = brightest > np.median(brightest)  # the darker half is iris, lashes and shadow
            white += int(np.count_nonzero(bright & (dullest > _WHITE * brightest)))
    return 1000 * white / face.box.area


def _contrast(grey: np.ndarray) -> float:
    low, high = np.percentile(grey, (10, 75))
    return float(high - low) / 2


def _judge_contrast(grey: np.ndarray) -> Finding:
    words = ("hardly stand out from the skin", "stand out little", "stand out from the skin")
    return _graded(
        "contrast", _contrast(grey), (_FLAT, _PALE), words, "raise the contrast of the image", "the features "
    )


def _graded(
    topic: str,
    value: float,
    limits: tuple[float, float],
    words: tuple[str, str, str],
    flag: str,
    subject: str = "the face is ",
) -> Finding:
    """Build a finding: poor below the first limit, fair below the second."""
    if value >= limits[1]:
        return Finding(topic, "good", subject + words[2])
    return (
        Finding(topic, "poor", subject + words[0], flag)
        if value < limits[0]
        else Finding(topic, "fair", subject + words[1], flag)
    )


def _measured(image: np.ndarray, box: Box) -> np.ndarray:
    """Return the face in grey, float (H, 128); a small one is not sharpened and stays as blurred as it is."""
    area = (int(box.left), int(box.top), max(int(box.left) + 2, int(box.right)), max(int(box.top) + 2, int(box.bottom)))
    height = max(8, round(_MEASURED * (area[3] - area[1]) / (area[2] - area[0])))
    grey = Image.fromarray(image).convert("L").crop(area)
    return np.asarray(grey.resize((_MEASURED, height), Image.Resampling.BILINEAR), float)


def _eyes(face: Face) -> Box:
    if face.landmarks is not None:
        return Box.around(_of(face, LEFT_EYE + RIGHT_EYE, EYE_CORNERS_68))
    y = face.box.top + _EYES_AT * face.box.height
    return Box(face.box.left + 0.15 * face.box.width, y, face.box.right - 0.15 * face.box.width, y)


def _of(face: Face, mesh: tuple[int, ...], dots: tuple[int, ...]) -> np.ndarray:
    """Return some of the landmarks (N, 2), by their numbers among 478 or among 68."""
    assert face.landmarks is not None  # noqa: S101 - the callers have looked
    chosen: np.ndarray = face.landmarks[list(dots if len(face.landmarks) == 68 else mesh)]
    return chosen
