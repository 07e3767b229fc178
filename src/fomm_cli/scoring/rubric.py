"""Score eyes, mouth and outline from 0 to 10 as the study does, their total, and identity and quality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from fomm_cli.scoring.appearance import identity, sharpness, steadiness
from fomm_cli.scoring.concordance import FLOOR, agreement, movement
from fomm_cli.scoring.curves import CHANNELS, MOUTH_MOTION, curves, ovals
from fomm_cli.scoring.measurements import FaceTrack

PARTS = ("eyes", "mouth", "outline", "identity", "quality")
STUDY_PARTS = ("eyes", "mouth", "outline")

_INSIDE_COUNTS = 0.25  # weight in the score of the mouth, where the driving mouth opens
_OVERLAP_COUNTS = 0.25  # weight in the score of the outline
_GRID = 48  # pixels of a face's size, to measure overlaps with
_BLOCK = 10  # frames that resampling keeps together, since neighbours are alike
_RESAMPLED = 400
_WORST = 0.1  # ratio of the frames whose mean makes half of identity and quality
_BY_WORST = ("identity", "quality")


@dataclass(frozen=True)
class Score:
    """One part of a score.

    Attributes:
        value: 0 to 10.
        low: lower end of its 95 % interval over the frames.
        high: upper end of that interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Scores:
    """The scores of a result.

    Attributes:
        basis: landmarks, or keypoints where no face was found.
        parts: by the names in `PARTS`; None for what could not be seen.
        total: mean of eyes, mouth and outline, as far as they could be seen: the study's points.
        seen: ratio of the driving frames in which the result's face was found.
        notes: what could not be seen or judged, a sentence each.
        per_frame: of each part and of the total, 0 to 10, (N,) each. The mean is the score, so single frames of what
            follows badly may lie below 0; of identity and quality, half of the score is the mean of the worst tenth
            of the frames, since one melted face spoils a video.
    """

    basis: str
    parts: dict[str, Score | None]
    total: Score | None
    seen: float
    notes: tuple[str, ...]
    per_frame: dict[str, np.ndarray]


def matched(driving: np.ndarray, result: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Match driving frames to the frames of the result that are nearest in time.

    Args:
        driving: times in seconds, (N,).
        result: times in seconds, (M,).

    Returns:
        Indices of driving frames (L,) and of result frames (L,); what lies beyond the result's end is left out.
    """
    after = np.clip(np.searchsorted(result, driving), 1, max(1, len(result) - 1))
    before = after - 1
    after = np.minimum(after, len(result) - 1)
    nearest = np.where(driving - result[before] <= result[after] - driving, before, after)
    step = float(np.median(np.diff(result))) if len(result) > 1 else np.inf
    kept = np.flatnonzero(driving <= result[-1] + step)
    return kept, nearest[kept]


def score_faces(driving: FaceTrack, result: FaceTrack, source: FaceTrack) -> Scores:
    """Score a result in whose source, and in whose driving video, a face was found.

    Args:
        driving: the driving face.
        result: the result's face at the same times; see `matched`.
        source: the source's face, one frame.
    """
    shown = driving.seen
    driving, result = driving[shown], result[shown]
    seen = result.seen
    x, y = curves(driving), curves(result)
    notes = list(_seen_notes(seen))
    raw = {
        "eyes": _agreement("eyes", x, y, seen, notes),
        "mouth": _mouth(x, y, seen, notes),
        "outline": _outline(x, y, ovals(driving), ovals(result) if seen.any() else None, seen, notes),
    }
    if seen.any():
        raw |= _appearance(driving, result, source, seen)
    return scores_of(raw, "landmarks", float(seen.mean()), notes)


def scores_of(raw: dict[str, np.ndarray], basis: str, seen: float, notes: list[str]) -> Scores:
    """Compute scores from the value of each part in each frame, at most 1.

    Args:
        raw: by part, (N,) each; parts that are missing could not be seen.
        basis: landmarks or keypoints.
        seen: ratio of the frames with a face.
        notes: sentences about what could not be seen or judged.
    """
    frames = {name: 10 * values for name, values in raw.items()}
    studied = [frames[name] for name in STUDY_PARTS if name in frames]
    if studied:
        frames["total"] = np.asarray(np.mean(studied, axis=0))
    parts = {name: _score([frames[name]], worst=name in _BY_WORST) if name in frames else None for name in PARTS}
    return Scores(basis, parts, _score(studied) if studied else None, seen, tuple(notes), frames)


def _score(frames: list[np.ndarray], *, worst: bool = False) -> Score:
    """Return the mean of parts (N,) each, none below 0, with its interval by resampling blocks of frames.

    With `worst`, half of it is the mean of the worst tenth of the frames.
    """
    table = np.stack(frames)
    generator = np.random.default_rng(0)  # the same interval every time
    count = table.shape[1]
    blocks = -(-count // _BLOCK)
    starts = generator.integers(0, max(1, count - _BLOCK + 1), (_RESAMPLED, blocks))
    chosen = np.minimum(starts[..., None] + np.arange(min(_BLOCK, count)), count - 1).reshape(_RESAMPLED, -1)
    average = _mean_and_worst if worst else _mean
    means = np.clip(average(table[:, chosen]), 0, 10).mean(axis=0)
    low, high = np.percentile(means, (2.5, 97.5))
    value = float(np.clip(average(table), 0, 10).mean())
    return Score(value, min(value, float(low)), max(value, float(high)))


def _mean(values: np.ndarray) -> np.ndarray:
    return np.asarray(values.mean(axis=-1))


def _mean_and_worst(values: np.ndarray) -> np.ndarray:
    """Return the middle between the mean and the mean of the worst tenth, over the last axis."""
    count = max(1, round(_WORST * values.shape[-1]))
    worst = np.sort(values, axis=-1)[..., :count].mean(axis=-1)
    return np.asarray((values.mean(axis=-1) + worst) / 2)


def _seen_notes(seen: np.ndarray) -> list[str]:
    if not seen.any():
        return ["no face is found in the result: eyes, mouth and outline count as not drawn"]
    if not seen.all():
        return [f"the face is found in {seen.mean():.0%} of the frames; the others count as 0"]
    return []


def _stacked(names: list[str], table: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack([table[name] for name in names])


def _agreement(
    what: str, x: dict[str, np.ndarray], y: dict[str, np.ndarray], seen: np.ndarray, notes: list[str],
    names: tuple[str, ...] = (),
) -> np.ndarray:  # fmt: skip
    """Measure the agreement of the channels of a part, or of those that are named."""
    chosen = list(names) or [name for name, channel in CHANNELS.items() if channel.part == what]
    scales = np.array([CHANNELS[name].scale for name in chosen])
    if movement(_stacked(chosen, x), scales, np.ones(len(seen), bool)) < FLOOR / 2:
        notes.append(f"the driving video hardly moves its {what}: the score says how still the result is, too")
    return agreement(_stacked(chosen, x), _stacked(chosen, y), scales, seen)


def _mouth(x: dict[str, np.ndarray], y: dict[str, np.ndarray], seen: np.ndarray, notes: list[str]) -> np.ndarray:
    motion = _agreement("mouth", x, y, seen, notes, MOUTH_MOTION)
    scales = np.array([CHANNELS["inside"].scale])
    if movement(x["inside"][None], scales, np.ones(len(seen), bool)) < FLOOR:
        notes.append("the driving mouth does not open wide enough to tell whether its inside is drawn")
        return motion
    inside = agreement(x["inside"][None], y["inside"][None], scales, seen)
    return (1 - _INSIDE_COUNTS) * motion + _INSIDE_COUNTS * inside


def _outline(
    x: dict[str, np.ndarray], y: dict[str, np.ndarray], driving: np.ndarray, result: np.ndarray | None,
    seen: np.ndarray, notes: list[str],
) -> np.ndarray:  # fmt: skip
    motion = _agreement("outline", x, y, seen, notes)
    if result is None:
        return motion
    followed = np.zeros(len(seen))
    followed[seen] = _overlap_gain(driving[seen], result[seen])
    return (1 - _OVERLAP_COUNTS) * motion + _OVERLAP_COUNTS * followed


def _overlap_gain(driving: np.ndarray, result: np.ndarray) -> np.ndarray:
    """Measure how much better the faces overlap with where they should be than a still face does, (N,), mean at most 1.

    Where an outline should be: at the result's first one, moved as the driving one has moved since its first frame.

    Args:
        driving: outlines (N, 36, 2), in sizes of the first face.
        result: outlines of the result in the same form.
    """
    wanted = result[0] + driving - driving[0]
    masks = _masks(np.stack((wanted, result)))
    still = np.broadcast_to(masks[1, :1], masks[1].shape)
    missing, missing_still = 1 - _iou(masks[0], masks[1]), 1 - _iou(masks[0], still)
    least = 0.02  # what the trembling of landmarks costs
    return np.asarray(1 - missing / max(float(missing_still.mean()), least))


def _masks(outlines: np.ndarray) -> np.ndarray:
    """Draw polygons (..., K, 2) as masks on one common grid."""
    corner, far = outlines.min(axis=(0, 1, 2)), outlines.max(axis=(0, 1, 2))
    width, height = np.minimum(np.ceil((far - corner) * _GRID).astype(int) + 1, 16 * _GRID)
    places = (outlines - corner) * _GRID
    flat = places.reshape(-1, *places.shape[-2:])
    masks = np.stack([filled_polygon(corners, (int(width), int(height))) for corners in flat])
    return masks.reshape(*outlines.shape[:2], height, width)


def filled_polygon(corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Draw a polygon (K, 2), x before y, as a boolean mask (height, width) for a size of width and height."""
    mask = Image.new("1", size)
    ImageDraw.Draw(mask).polygon([(x, y) for x, y in corners.tolist()], fill=1)
    return np.asarray(mask)


def _iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    shared = np.count_nonzero(one & other, axis=(1, 2))
    return np.asarray(shared / np.maximum(1, np.count_nonzero(one | other, axis=(1, 2))))


def _appearance(driving: FaceTrack, result: FaceTrack, source: FaceTrack, seen: np.ndarray) -> dict[str, np.ndarray]:
    """Measure identity and quality of the frames that show a face; the others get the mean."""
    driving, result = driving[seen], result[seen]
    kept = identity(driving, result, source)
    quality = (sharpness(driving, result, source) + steadiness(driving, result)) / 2
    return {"identity": _filled(kept, seen), "quality": _filled(quality, seen)}


def _filled(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    filled = np.full(len(seen), values.mean())
    filled[seen] = values
    return filled
