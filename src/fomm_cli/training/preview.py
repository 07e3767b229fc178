"""Draw previews of what a model under training can do."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fomm_cli.config.schema import Config
from fomm_cli.media.drawing import draw_keypoints, side_by_side
from fomm_cli.training.step import Trainer


def training_grid(trainer: Trainer, pairs: np.ndarray, config: Config) -> np.ndarray:
    """Draw a row for each pair: source and driving frame with keypoints, warped source, reconstruction, occlusion map.

    Args:
        trainer: the training.
        pairs: uint8 (N, 2, H, W, 3).
        config: for the look of it.

    Returns:
        uint8 (N H, 4 W or 5 W, 3).
    """
    params = config.visualizer_params
    source, driving = (
        torch.from_numpy(pairs[:, index]).to(trainer.device).permute(0, 3, 1, 2).float() / 255 for index in range(2)
    )
    result, warped, occlusion = trainer.reconstruct(source, driving)
    columns = [
        _with_points(pairs[:, 0], result.kp_source.value, params.kp_size),
        _with_points(pairs[:, 1], result.kp_driving.value, params.kp_size),
        _images(warped),
        _images(result.prediction),
    ]
    if occlusion is not None:
        size = list(source.shape[2:])
        columns.append(_images(torch.nn.functional.interpolate(occlusion, size).expand(-1, 3, -1, -1)))
    return np.concatenate([side_by_side(list(row), border=params.draw_border) for row in zip(*columns, strict=True)])


def _with_points(images: np.ndarray, points: Tensor, radius: int) -> list[np.ndarray]:
    placed = points.cpu().numpy()
    return [draw_keypoints(image, own, radius) for image, own in zip(images, placed, strict=True)]


def _images(batch: Tensor) -> list[np.ndarray]:
    """Convert (B, 3, H, W) in [0, 1] to B images."""
    return list((batch.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
