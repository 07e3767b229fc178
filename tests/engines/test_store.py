"""What is kept in the cache folder is made once, and again where it is damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fomm_cli.engines.store import is_whole, make_once, read_kept
from fomm_cli.errors import FommError

CONTENT = {"model.xml": b"<net/>", "model.bin": bytes(range(256))}


def fill(folder: Path) -> None:
    for name, data in CONTENT.items():
        (folder / name).write_bytes(data)


def content(folder: Path) -> dict[str, bytes]:
    """Read the folder as an engine does, which cannot open every file."""
    found = {name: (folder / name).read_bytes() for name in CONTENT}
    if found != CONTENT:
        raise RuntimeError("basic_filebuf::xsgetn error reading the file")
    return found


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


def write_half(folder: Path) -> None:
    """Fill a folder as a library does that does not notice a full disk."""
    fill(folder)
    (folder / "model.bin").write_bytes(b"half")


def test_a_whole_folder_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "kept"
    assert read_kept(folder, content) is None
    assert make_once(folder, fill, content) == CONTENT
    assert make_once(folder, nothing, content) == CONTENT
    assert read_kept(folder, content) == CONTENT


def test_what_was_kept_but_cannot_be_opened_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    with pytest.raises(FommError, match="kept cannot be read, though it has just been made"):
        make_once(folder, write_half, content)
    assert is_whole(folder)  # the sums are those of the half file
    assert read_kept(folder, content) is None
    assert make_once(folder, fill, content) == CONTENT


def test_memory_that_runs_out_is_not_taken_for_damage(tmp_path: Path) -> None:
    def run_out(_folder: Path) -> None:
        raise MemoryError

    make_once(tmp_path / "kept", fill, content)
    with pytest.raises(MemoryError):
        read_kept(tmp_path / "kept", run_out)


def test_a_full_disk_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> None:
        (folder / "model.bin").write_bytes(b"half")
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 100, 0))  # type: ignore[attr-defined]
        raise RuntimeError("basic_ios::clear: iostream error")  # as OpenVINO says it

    with pytest.raises(FommError, match="kept cannot be written: the disk is full"):
        make_once(tmp_path / "kept", fail, content)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.lock"]


@pytest.mark.parametrize(
    "damage",
    [flip, empty, remove, replace_by_a_file, replace_by_a_link, forget_the_sums, damage_the_sums],
    ids=lambda damage: damage.__name__,
)
def test_a_damaged_folder_is_made_again(damage: Callable[[Path], None], tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    make_once(folder, fill, content)
    damage(folder)
    assert not is_whole(folder)
    assert make_once(folder, fill, content) == CONTENT
    make_once(folder, nothing, content)
    assert not list(tmp_path.glob(".part-*"))
