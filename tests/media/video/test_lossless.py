"""Frames that are kept for a while come back exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fomm_cli.errors import FommError
from fomm_cli.media.video.lossless import read_lossless, write_lossless


@pytest.mark.parametrize("count", [1, 20])
@pytest.mark.parametrize("size", [(64, 64), (37, 91)])
def test_frames_come_back_bit_for_bit(count: int, size: tuple[int, int], tmp_path: Path) -> None:
    random = np.random.default_rng(count)
    frames = [random.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]
    assert write_lossless(tmp_path / "a.mkv", size, iter(frames)) == count
    again = list(read_lossless(tmp_path / "a.mkv"))
    assert len(again) == count
    assert all(np.array_equal(one, other) for one, other in zip(frames, again, strict=True))


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_bytes(b"no video")
    with pytest.raises(FommError, match=r"a\.mkv cannot be read again"):
        list(read_lossless(tmp_path / "a.mkv"))
    with pytest.raises(FommError, match="cannot be written"):
        write_lossless(tmp_path / "missing" / "a.mkv", (8, 8), [])
