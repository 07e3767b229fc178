"""Draw charts with Matplotlib, without a display."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fomm_cli.extras import require
from fomm_cli.files.atomic import replacing


@contextmanager
def figure_file(path: Path, rows: int, columns: int, size: tuple[float, float]) -> Iterator[np.ndarray]:
    """Yield axes (rows, columns) to draw on; the file is written whole or not at all, its format by the suffix.

    Args:
        path: ends in .png, .svg or .pdf.
        rows: of axes.
        columns: of axes.
        size: (width, height) of each, in inches.

    Raises:
        InputError: Matplotlib is not installed.
        FommError: the file cannot be written.
    """
    figure, axes = _figure(rows, columns, size)
    yield axes
    with replacing(path) as part:
        # without a date, and with text as text: equal figures are equal files, and words can be searched for
        no_date = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(part, dpi=110, metadata=no_date)


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, np.ndarray]:
    require("charts")
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "fomm"})
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)
