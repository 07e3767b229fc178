"""Show source, driving video and result side by side, as a small video and on a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fomm_cli.files.atomic import make_folder, replacing
from fomm_cli.media.drawing import side_by_side
from fomm_cli.media.resize import fit_frame
from fomm_cli.media.video.reader import Clip, open_clip
from fomm_cli.media.video.writer import open_writer
from fomm_cli.study.rows import Row

SIDE = 192
"""Side of each of the three images in pixels."""

_CRF = 27
_SHOWN = 5  # frames of each result on a contact sheet
_MARGIN = 150  # pixels for the labels
_LINE = 24  # pixels for the headings


def write_view(target: Path, source: np.ndarray, driving: Clip, result: Clip) -> None:
    """Write source, driving video and result side by side as one video, so that they stay in step.

    Args:
        target: to write, MP4.
        source: uint8 (H, W, 3).
        driving: as long as the result or longer.
        result: the result, with the frames of the driving video.
    """
    still = fit_frame(source, (SIDE, SIDE), "stretch")
    make_folder(target.parent)
    with (
        replacing(target) as part,
        open_writer(part, (SIDE, 3 * SIDE), driving.info.rate, {}, _CRF) as writer,
    ):
        for frame, animated in zip(driving.frames(), result.frames(), strict=False):
            moving = [fit_frame(each.image, (SIDE, SIDE), "stretch") for each in (frame, animated)]
            writer.write(side_by_side([still, *moving], border=False), frame.time, frame.duration)


def write_sheet(target: Path, title: str, rows: Sequence[Row], folder: Path) -> None:
    """Write an image with some frames of each result of a group below those of the driving video.

    Args:
        target: to write, PNG.
        title: of the sheet.
        rows: whose views lie in `folder`.
        folder: of the study.
    """
    strips = [(row, _strip(folder / row.view)) for row in rows]
    height, width = (len(rows) + 1) * SIDE + 2 * _LINE, _MARGIN + (_SHOWN + 1) * SIDE
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    draw.text((6, 4), title, "black", font)
    draw.text((_MARGIN + 4, 4 + _LINE), "source", "black", font)
    draw.text((6, 2 * _LINE + SIDE / 2 - 8), "driving video", "black", font)
    for column, (driving, _) in enumerate(strips[0][1][1]):
        sheet.paste(Image.fromarray(driving), (_MARGIN + (column + 1) * SIDE, 2 * _LINE))
    for line, (row, (source, frames)) in enumerate(strips, start=1):
        top = 2 * _LINE + line * SIDE
        total = row.value("total")
        words = [row.label, row.portrait, "" if total is None else f"total {total:.1f}"]
        for number, text in enumerate(words):
            draw.text((6, top + SIDE / 2 - 30 + 20 * number), text[:20], "black", font)
        sheet.paste(Image.fromarray(source), (_MARGIN, top))
        for column, (_, result) in enumerate(frames):
            sheet.paste(Image.fromarray(result), (_MARGIN + (column + 1) * SIDE, top))
    make_folder(target.parent)
    with replacing(target) as part:
        sheet.save(part)


def without_driving(sheet: np.ndarray) -> np.ndarray:
    """Remove the line of the driving video from a contact sheet, uint8 (H, W, 3)."""
    return np.concatenate((sheet[: 2 * _LINE], sheet[2 * _LINE + SIDE :]))


def _strip(view: Path) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Read the source and some pairs of driving frame and result, evenly spaced in time."""
    images = [frame.image for frame in open_clip(view).frames()]
    chosen = [images[index] for index in np.linspace(0, len(images) - 1, _SHOWN).round().astype(int)]
    pairs = [(image[:, SIDE : 2 * SIDE], image[:, 2 * SIDE :]) for image in chosen]
    return images[0][:, :SIDE], pairs
