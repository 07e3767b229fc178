"""The curves and scores of every frame, as a table and as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fomm_cli.files.tables import write_csv
from fomm_cli.scoring.curves import CHANNELS
from fomm_cli.scoring.figure import figure_file
from fomm_cli.scoring.scorer import Scored


def write_curves(path: Path, scored: Scored) -> None:
    """A row a frame: its time, each part's share of the score, and every curve of driving video and result.

    Raises:
        FommError: it cannot be written.
    """
    columns = {"time": scored.times, **scored.scores.per_frame}
    for name in scored.driving:
        columns |= {f"driving_{name}": scored.driving[name], f"result_{name}": scored.result[name]}
    rows = zip(*columns.values(), strict=True)
    write_csv(path, list(columns), (["" if np.isnan(value) else f"{value:.5g}" for value in row] for row in rows))


def draw_curves(path: Path, scored: Scored) -> None:
    """Every curve of driving video and result over time; without a face, the score of each frame.

    Raises:
        InputError: Matplotlib is not installed.
        FommError: it cannot be written.
    """
    names = list(scored.driving) or list(scored.scores.per_frame)
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    with figure_file(path, rows, columns, (3.6, 2.2)) as axes:
        for axis, name in zip(axes.flat, names, strict=False):
            if name in CHANNELS:
                axis.plot(scored.times, _since_first(scored.driving[name]), color="0.35", label="driving video")
                axis.plot(scored.times, _since_first(scored.result[name]), color="tab:red", label="result")
                axis.set_title(f"{CHANNELS[name].part}: {name}", fontsize=9)
                axis.set_ylabel(CHANNELS[name].unit, fontsize=7)
            else:
                axis.plot(scored.times, scored.scores.per_frame[name], color="tab:red")
                axis.set_title(f"{name}: share of the score", fontsize=9)
            axis.tick_params(labelsize=7)
            axis.grid(alpha=0.3)
        for axis in axes[-1]:
            axis.set_xlabel("seconds", fontsize=8)
        axes.flat[0].legend(fontsize=7)
        axes.flat[0].figure.suptitle(summary(scored), fontsize=10)


def summary(scored: Scored) -> str:
    """The scores in a line."""
    shown = [f"{name} {part.value:.1f}" for name, part in scored.scores.parts.items() if part is not None]
    total = scored.scores.total
    return ", ".join(shown) + ("" if total is None else f"; total {total.value:.1f} of 10")


def _since_first(curve: np.ndarray) -> np.ndarray:
    seen = np.isfinite(curve)
    return curve - curve[np.argmax(seen)] if seen.any() else curve
