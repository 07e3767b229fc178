"""Log a training: messages, rows of a CSV file, curves and images for TensorBoard."""

from __future__ import annotations

import csv
import logging
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from fomm_cli.files.atomic import replacing
from fomm_cli.files.tables import write_csv
from fomm_cli.media.image import write_image

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

logger = logging.getLogger(__name__)

_SILENCE = 10.0  # seconds after which progress is told between two lines of losses


class TrainingLog:
    """Average losses over steps and write them down."""

    def __init__(self, folder: Path, step: int, state: dict[str, Any] | None) -> None:
        """Start at a step.

        Args:
            folder: of the run; rows that an interrupted run wrote after this step are removed.
            step: steps done.
            state: what `state` returned at that step, None at the first.
        """
        self._csv = folder / "losses.csv"
        self._folder = folder / "images"
        self._folder.mkdir(exist_ok=True)
        self._sums: dict[str, Tensor] = (state or {}).get("sums", {})
        self._count: int = (state or {}).get("count", 0)
        self._names: dict[str, None] = dict.fromkeys(self._sums)  # in order, those of skipped steps too
        self._samples, self._since = 0, time.perf_counter()
        self._began, self._first, self._told = self._since, step, self._since
        self._board = _tensorboard(folder / "tensorboard", step)
        _forget_after(self._csv, step)

    def add(self, losses: dict[str, Tensor], samples: int, *, skipped: bool) -> None:
        """Count a step in."""
        self._samples += samples
        self._names |= dict.fromkeys(losses)
        if skipped:
            return
        self._count += 1
        for name, loss in losses.items():  # summed on the device: nobody has to wait for it
            self._sums[name] = self._sums[name].to(loss.device) + loss if name in self._sums else loss

    def write(self, step: int, epoch: int, learning_rate: float, skipped: int) -> dict[str, float]:
        """Write the averages since the last call, and start new ones; returns them."""
        now = time.perf_counter()
        speed = self._samples / (now - self._since)
        averages = {name: float(self._sums[name]) / self._count if self._count else math.nan for name in self._names}
        self._sums, self._count, self._samples, self._since = {}, 0, 0, now
        row = {"step": step, "epoch": epoch, **averages, "learning_rate": learning_rate,
               "samples_per_second": speed, "skipped": skipped}  # fmt: skip
        _append(self._csv, row)
        if self._board is not None:
            for name, value in row.items():
                self._board.add_scalar(name, value, step)
        text = ", ".join(f"{name} {value:.3f}" for name, value in averages.items())
        logger.info("step %d, epoch %d: %s; %.1f samples/s", step, epoch, text, speed)
        self._told = now
        return averages

    def tell(self, step: int, total: int) -> None:
        """Say how far the training is, if nothing was said for ten seconds; `total` steps are planned."""
        now = time.perf_counter()
        if now - self._told < _SILENCE:
            return
        self._told = now
        left = (total - step) * (now - self._began) / max(1, step - self._first)
        logger.info("step %d of %d, about %s left", step, total, _duration(left))

    def image(self, step: int, image: np.ndarray) -> None:
        """Keep an image, uint8 (H, W, 3)."""
        with replacing(self._folder / f"{step:08d}.png") as part:
            write_image(part, image, {"title": "Synthetic media: a training of fomm"})
        if self._board is not None:
            self._board.add_image("reconstructions", image, step, dataformats="HWC")

    def state(self) -> dict[str, Any]:
        """Return the averages so far, for a log that continues from here."""
        return {"sums": {name: value.cpu() for name, value in self._sums.items()}, "count": self._count}

    def close(self) -> None:
        """Finish the files."""
        if self._board is not None:
            self._board.close()


def _duration(seconds: float) -> str:
    """Return a time such as ``3 h 5 min`` or ``40 s``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _tensorboard(folder: Path, step: int) -> SummaryWriter | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.info("no curves for TensorBoard, which is not installed: pip install tensorboard")
        return None
    return SummaryWriter(str(folder), purge_step=step or None)


def _forget_after(path: Path, step: int) -> None:
    """Drop the rows of steps that will be done again."""
    if not path.exists():
        return
    with path.open(newline="") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    write_csv(path, header, [row for row in rows if row and int(row[0]) <= step])


def _append(path: Path, row: dict[str, float]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)
