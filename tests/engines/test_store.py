"""What is kept in the cache folder is made once, and again where it is damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fomm_cli.engines.store import is_whole, make_once

CONTENT = {"model.xml": b"<net/>", "model.bin": bytes(range(256))}


def fill(folder: Path) -> None:
    for name, data in CONTENT.items():
        (folder / name).write_bytes(data)


def nothing(folder: Path) -> None:
    raise AssertionError(f"{folder} was made again")


def flip(folder: Path) -> None:
    (folder / "model.bin").write_bytes(bytes([1, *range(1, 256)]))


def empty(folder: Path) -> None:
    (folder / "model.xml").write_bytes(b"")


def remove(folder: Path) -> None:
    (folder / "model.bin").unlink()


def replace_by_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"x")


def replace_by_a_link(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    flip(folder.with_name("elsewhere"))
    folder.symlink_to("elsewhere")


def forget_the_sums(folder: Path) -> None:
    """Leave a folder as version 0.1.0 made it."""
    (folder / "sums.json").unlink()


def damage_the_sums(folder: Path) -> None:
    (folder / "sums.json").write_bytes(b"\xff[")


def test_a_whole_folder_is_kept(tmp_path: Path) -> None:
    make_once(tmp_path / "cache" / "kept", fill)
    make_once(tmp_path / "cache" / "kept", nothing)
    assert is_whole(tmp_path / "cache" / "kept")


@pytest.mark.parametrize(
    "damage",
    [flip, empty, remove, replace_by_a_file, replace_by_a_link, forget_the_sums, damage_the_sums],
    ids=lambda damage: damage.__name__,
)
def test_a_damaged_folder_is_made_again(damage: Callable[[Path], None], tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    make_once(folder, fill)
    damage(folder)
    assert not is_whole(folder)
    make_once(folder, fill)
    assert {name: (folder / name).read_bytes() for name in CONTENT} == CONTENT
    make_once(folder, nothing)
    assert not list(tmp_path.glob(".part-*"))
