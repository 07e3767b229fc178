"""`fomm export`: write the networks as ONNX files."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import torch

from fomm_cli.engines.onnx_export import NETWORKS, export_onnx
from fomm_cli.engines.options import ExportJob
from fomm_cli.extras import require
from fomm_cli.files.atomic import make_folder, replacing
from fomm_cli.files.guard import protect_inputs
from fomm_cli.models.loading import load_model
from fomm_cli.progress import Progress, silent


@dataclass(frozen=True)
class ExportResult:
    """The result of `fomm export`.

    Attributes:
        paths: the file of each network.
        max_difference: between ONNX Runtime and PyTorch, in [0, 1] for images and [-1, 1] for keypoints.
    """

    paths: dict[str, str]
    max_difference: float


def export(job: ExportJob, progress: Progress = silent) -> ExportResult:
    """Write the networks of a checkpoint as ONNX files.

    Raises:
        InputError: the checkpoint, the folder or a package is missing.
        FommError: ONNX Runtime computes something else than PyTorch.
    """
    require("onnx")
    paths = {name: job.result_dir / f"{name}.onnx" for name in NETWORKS}
    protect_inputs((job.checkpoint, job.config), paths.values())
    device = torch.device("cpu")
    model = load_model(job.checkpoint, job.config, device, align_corners=job.align_corners, progress=progress)
    model.networks.prepare_inference(device)
    make_folder(job.result_dir)
    with ExitStack() as writing:
        parts = {name: writing.enter_context(replacing(path)) for name, path in paths.items()}
        difference = export_onnx(model, parts)
    return ExportResult({name: str(path) for name, path in paths.items()}, difference)
