"""Write the curves and scores of every frame as a table and as a chart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fomm_cli.files.tables import write_csv
from fomm_cli.scoring.curves import CHANNELS
from fomm_cli.scoring.figure import figure_file
from fomm_cli.scoring.scorer import Report


def write_curves(path: Path, report: Report) -> None:
    """Write a row for each frame: its time, the score of each part, and every curve of driving video and result.

    Raises:
        FommError: it cannot be written.
    """
    columns = {"time": report.times, **report.scores.per_frame}
    for name in report.driving:
        columns |= {f"driving_{name}": report.driving[name], f"result_{name}": report.result[name]}
    rows = zip(*columns.values(), strict=True)
    write_csv(path, list(columns), (["" if np.isnan(value) else f"{value:.5g}" for value in row] for row in rows))


def draw_curves(path: Path, report: Report) -> None:
    """Draw every curve of driving video and result over time; without a face, the score of each frame.

    Raises:
        InputError: Matplotlib is not installed.
        FommError: it cannot be written.
    """
    names = list(report.driving) or list(report.scores.per_frame)
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    with figure_file(path, rows, columns, (3.6, 2.2)) as axes:
        for axis, name in zip(axes.flat, names, strict=False):
            if name in CHANNELS:
                axis.plot(report.times, _since_first(report.driving[name]), color="0.35", label="driving video")
                axis.plot(report.times, _since_first(report.result[name]), color="tab:red", label="result")
                axis.set_title(f"{CHANNELS[name].part}: {name}", fontsize=9)
                axis.set_ylabel(CHANNELS[name].unit, fontsize=7)
            else:
                axis.plot(report.times, report.scores.per_frame[name], color="tab:red")
                axis.set_title(f"{name}: share of the score", fontsize=9)
            axis.tick_params(labelsize=7)
            axis.grid(alpha=0.3)
        for axis in axes[-1]:
            axis.set_xlabel("seconds", fontsize=8)
        axes.flat[0].legend(fontsize=7)
        axes.flat[0].figure.suptitle(summary(report), fontsize=10)


def summary(report: Report) -> str:
    """Return the scores in a line."""
    shown = [f"{name} {part.value:.1f}" for name, part in report.scores.parts.items() if part is not None]
    total = report.scores.total
    return ", ".join(shown) + ("" if total is None else f"; total {total.value:.1f} of 10")


def _since_first(curve: np.ndarray) -> np.ndarray:
    seen = np.isfinite(curve)
    return curve - curve[np.argmax(seen)] if seen.any() else curve
