import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from fomm_cli.errors import FommError, InputError
from fomm_cli.files.atomic import frame_path, is_frame_pattern, make_folder, replacing, replacing_frames


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_success_replaces(tmp_path: Path) -> None:
    target = tmp_path / "result.mp4"
    target.write_text("old")
    with replacing(target) as part:
        assert part.parent == tmp_path
        assert part.suffix == ".mp4"
        assert part.name.startswith(".result.")
        part.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert names(tmp_path) == ["result.mp4"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit, ValueError, OSError, MemoryError])
def test_failure_leaves_everything_as_it_was(tmp_path: Path, failure: type[BaseException]) -> None:
    target = tmp_path / "result.mp4"
    target.write_text("old")
    with pytest.raises(failure), replacing(target) as part:
        part.write_text("half")
        raise failure
    assert target.read_text() == "old"
    assert names(tmp_path) == ["result.mp4"]


def test_errors_name_the_file_people_asked_for(tmp_path: Path) -> None:
    target = tmp_path / "result.mp4"
    with pytest.raises(FommError) as caught, replacing(target) as part:
        raise FommError(f"{part} cannot be written: No space left on device", "Make room.")
    assert str(caught.value) == f"{target} cannot be written: No space left on device. Make room."


def test_nothing_written_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(FommError, match=r"Nothing was written to .*result.mp4"), replacing(tmp_path / "result.mp4"):
        pass
    assert names(tmp_path) == []


def test_two_at_once_do_not_meet(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.mp4") as first, replacing(tmp_path / "a.mp4") as second:
        assert first != second
        first.write_text("1")
        second.write_text("2")
    assert names(tmp_path) == ["a.mp4"]


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no folder .*missing to write a.mp4"):
        replacing(tmp_path / "missing" / "a.mp4").__enter__()
    assert names(tmp_path) == []


def test_target_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        replacing(tmp_path).__enter__()


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    yield folder
    folder.chmod(0o700)


def test_folder_without_permission(locked: Path) -> None:
    with pytest.raises(InputError, match="locked cannot be written to: Permission denied"):
        replacing(locked / "a.mp4").__enter__()
    with pytest.raises(InputError, match="locked cannot be written to: Permission denied"):
        replacing_frames(locked / "%d.png").__enter__()


def test_folder_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(InputError, match="cannot be written to: Permission denied"):
        replacing(tmp_path / "a.mp4").__enter__()


def test_a_result_that_cannot_be_moved_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "The file is open")

    with pytest.raises(FommError, match=r"a.mp4 cannot be replaced: The file is open") as caught:  # noqa: SIM117
        with replacing(tmp_path / "a.mp4") as part:
            part.write_text("precious")
            monkeypatch.setattr(Path, "replace", refuse)
    assert str(part) in str(caught.value)
    assert part.read_text() == "precious"


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "a.mp4") as part:
            part.write_text("x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.mp4").stat().st_mode) == 0o640


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_symbolic_links_stay(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "a.mp4").symlink_to(tmp_path / "elsewhere" / "real.mp4")
    with replacing(tmp_path / "a.mp4") as part:
        assert part.parent == tmp_path / "elsewhere"
        part.write_text("x")
    assert (tmp_path / "a.mp4").is_symlink()
    assert (tmp_path / "elsewhere" / "real.mp4").read_text() == "x"


def test_very_long_names(tmp_path: Path) -> None:
    target = tmp_path / ("ü" * 120 + ".mp4")
    with replacing(target) as part:
        part.write_text("x")
    assert target.read_text() == "x"


def put(pattern: Path, count: int, text: str) -> None:
    for index in range(count):
        frame_path(pattern, index).write_text(text)


def test_frames_go_to_a_new_folder(tmp_path: Path) -> None:
    with replacing_frames(tmp_path / "out" / "%05d.png") as part:
        put(part, 3, "new")
        assert not (tmp_path / "out").exists()
    assert names(tmp_path / "out") == ["00000.png", "00001.png", "00002.png"]
    assert names(tmp_path) == ["out"]


def test_frames_replace_those_of_a_longer_run(tmp_path: Path) -> None:
    pattern = tmp_path / "%05d.png"
    put(pattern, 8, "old")
    others = ["0001.png", "1.png", "a00001.png", "00001.jpg", "notes.txt"]
    for name in others:
        (tmp_path / name).write_text("mine")
    with replacing_frames(pattern) as part:
        put(part, 3, "new")
    assert names(tmp_path) == sorted(["00000.png", "00001.png", "00002.png", *others])
    assert (tmp_path / "00001.png").read_text() == "new"
    assert all((tmp_path / name).read_text() == "mine" for name in others)


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_frames_that_fail_leave_everything_as_it_was(
    tmp_path: Path, exists: bool, failure: type[BaseException]
) -> None:
    pattern = tmp_path / "out" / "%02d.png"
    if exists:
        pattern.parent.mkdir()
        put(pattern, 2, "old")
    with pytest.raises(failure), replacing_frames(pattern) as part:
        put(part, 4, "new")
        raise failure
    assert names(tmp_path) == (["out"] if exists else [])
    if exists:
        assert {path.name: path.read_text() for path in pattern.parent.iterdir()} == {"00.png": "old", "01.png": "old"}


@pytest.mark.parametrize("moves", range(5))
def test_frames_that_cannot_all_be_moved_go_back(tmp_path: Path, moves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = tmp_path / "%d.png"
    put(pattern, 3, "old")
    replace, calls = Path.replace, []

    def stubborn(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) == moves + 1:
            raise OSError(5, "Input/output error")
        return replace(self, target)

    with pytest.raises(FommError, match="The frames cannot be moved"):  # noqa: SIM117
        with replacing_frames(pattern) as part:
            put(part, 2, "new")
            monkeypatch.setattr(Path, "replace", stubborn)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        ["0.png", "1.png", "2.png"], "old"
    )


def test_frames_need_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no folder"):
        replacing_frames(tmp_path / "missing" / "out" / "%d.png").__enter__()
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file, not a folder"):
        replacing_frames(tmp_path / "file" / "%d.png").__enter__()


def test_frame_names() -> None:
    assert frame_path(Path("50% off/%05d.png"), 7) == Path("50% off/00007.png")
    assert frame_path(Path("100%_%d.png"), 12) == Path("100%_12.png")
    assert frame_path(Path("%02d.png"), 123) == Path("123.png")
    assert is_frame_pattern(Path("a_%05d.png"))
    assert not is_frame_pattern(Path("%d/a.png"))
    assert not is_frame_pattern(Path("100%.png"))
    assert not is_frame_pattern(Path("%d_%d.png"))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the system, in order: ``sync NAME`` and ``rename NAME``."""
    recorded: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def recording_fsync(handle: int) -> None:
        recorded.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        fsync(handle)

    def recording_rename(origin: Path, place: Path) -> Path:
        recorded.append(f"rename {Path(place).name}")
        return rename(origin, place)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(Path, "replace", recording_rename)
    return recorded


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="tells names of open files by /proc")
def test_data_is_on_the_disk_before_the_name_and_the_name_before_what_relies_on_it(
    tmp_path: Path, calls: list[str]
) -> None:
    with replacing(tmp_path / "result.mp4") as part:
        part.write_text("new")
        temporary = part.name
    assert calls == [f"sync {temporary}", "rename result.mp4", f"sync {tmp_path.name}"]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="tells names of open files by /proc")
@pytest.mark.parametrize("there_before", [False, True])
def test_frames_are_on_the_disk_before_their_names(tmp_path: Path, calls: list[str], there_before: bool) -> None:
    folder = tmp_path / "frames"
    if there_before:
        folder.mkdir()
    with replacing_frames(folder / "%05d.png") as pattern:
        for index in range(2):
            frame_path(pattern, index).write_text("frame")
    renames = [index for index, call in enumerate(calls) if call.startswith("rename")]
    assert {"sync 00000.png", "sync 00001.png"} <= set(calls[: renames[0]])
    assert calls[-1] == f"sync {folder.name if there_before else tmp_path.name}"
    assert calls.index(calls[-1]) > renames[-1]


def test_a_system_that_cannot_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_handle: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    with replacing(tmp_path / "result.mp4") as part:
        part.write_text("new")
    assert (tmp_path / "result.mp4").read_text() == "new"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("unexpected pos 64")])
def test_a_full_disk_is_called_so_whatever_the_library_says(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(error, RuntimeError):
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 100, 0))  # type: ignore[attr-defined]
    with pytest.raises(FommError, match=r"result.mp4 cannot be written: the disk is full"):  # noqa: SIM117
        with replacing(tmp_path / "result.mp4") as part:
            part.write_text("half")
            raise error
    assert names(tmp_path) == []


def test_a_disk_that_is_full_only_when_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "result.mp4").write_text("old")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(FommError, match="the disk is full"), replacing(tmp_path / "result.mp4") as part:
        part.write_text("new")
    assert (tmp_path / "result.mp4").read_text() == "old"


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "result.mp4")
    with pytest.raises(InputError, match="is a pipe or a device"):
        replacing(tmp_path / "result.mp4").__enter__()
    assert (tmp_path / "result.mp4").is_fifo()


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written: File name too long"):
        replacing(tmp_path / ("n" * 300)).__enter__()


def test_a_number_of_more_digits_than_names_have_is_no_pattern() -> None:
    assert is_frame_pattern(Path("%05d.png"))
    assert not is_frame_pattern(Path("%0999999999d.png"))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"the folder .*sub cannot be created"):
        make_folder(tmp_path / "file" / "sub")
    make_folder(tmp_path / "new" / "sub")
    make_folder(tmp_path / "new" / "sub")
    assert (tmp_path / "new" / "sub").is_dir()
