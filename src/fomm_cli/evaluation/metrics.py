"""Measure how far a reconstruction is from the original frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from fomm_cli.animation.best_frame import PointDetector
from fomm_cli.media.difference import psnr

Distance = Callable[[np.ndarray, np.ndarray], float]
"""A function that returns the distance between two images, uint8 (H, W, 3)."""


@dataclass(frozen=True)
class Metrics:
    """Mean values over frames, or over videos.

    Attributes:
        l1: mean absolute difference of pixels in [0, 1]; lower is better.
        psnr: peak signal-to-noise ratio in dB, at most 100; higher is better.
        ssim: structural similarity, at most 1; higher is better.
        features: distance of a perceptual network's features; lower is better; None without a network.
        akd: average keypoint distance: between the face landmarks of both images, in pixels, where both have a
            face; lower is better; None without landmarks.
        mkr: missing keypoint rate: ratio of the faces that the reconstruction has lost, 0 to 1; None without
            landmarks.
    """

    l1: float
    psnr: float
    ssim: float
    features: float | None
    akd: float | None
    mkr: float | None


class MeanMetrics:
    """Average the metrics over the frames of a video."""

    def __init__(self, features: Distance | None = None, landmarks: PointDetector | None = None) -> None:
        self._features = features
        self._landmarks = landmarks
        self._rows: list[tuple[float, float, float, float]] = []
        self._distances: list[float | None] = []

    def add(self, wanted: np.ndarray, found: np.ndarray, points: np.ndarray | None = None) -> None:
        """Compare two images, uint8 (H, W, 3).

        Args:
            wanted: the true one.
            found: its reconstruction.
            points: landmarks (N, 2) of the true one, in pixels; None where it has none.
        """
        l1 = float(np.abs(wanted.astype(np.int16) - found).mean()) / 255
        squared_error = float(np.square((wanted.astype(np.float64) - found) / 255).mean())
        ssim = float(structural_similarity(wanted, found, channel_axis=2, data_range=255))  # type: ignore[no-untyped-call]
        self._rows.append(
            (l1, psnr(squared_error), ssim, math.nan if self._features is None else self._features(wanted, found))
        )
        if points is not None and self._landmarks is not None:
            there = self._landmarks(found)
            self._distances.append(None if there is None else float(np.linalg.norm(points - there, axis=1).mean()))

    def means(self) -> Metrics:
        """Return the averages so far."""
        l1, decibels, ssim, features = np.mean(self._rows, axis=0).tolist()
        return Metrics(
            l1, decibels, ssim, None if self._features is None else features,
            akd=_mean(self._distances), mkr=_mean([float(distance is None) for distance in self._distances]),
        )  # fmt: skip


def mean_metrics(scores: Sequence[Metrics]) -> Metrics:
    """Average several scores with equal weights; values that are None are left out."""
    l1, decibels, ssim = np.mean([(each.l1, each.psnr, each.ssim) for each in scores], axis=0).tolist()
    features, akd, mkr = (_mean([getattr(each, name) for each in scores]) for name in ("features", "akd", "mkr"))
    return Metrics(l1, decibels, ssim, features, akd, mkr)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def feature_distance(network: nn.Module, device: torch.device) -> Distance:
    """Return a distance like LPIPS without learned weights: squared differences of normalised features, summed."""
    network.to(device).eval()

    @torch.inference_mode()
    def distance(wanted: np.ndarray, found: np.ndarray) -> float:
        images = torch.from_numpy(np.stack((wanted, found))).to(device).permute(0, 3, 1, 2).float() / 255
        slices: list[Tensor] = [F.normalize(features, dim=1) for features in network(images)]
        return float(sum((one - other).square().sum(0).mean() for one, other in slices))

    return distance
