"""What cannot be read as a file is refused by name, and nothing waits for a pipe."""

from __future__ import annotations

import errno
import os
import socket
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest

from fomm_cli.cli import main
from fomm_cli.commands import config as config_command
from fomm_cli.commands.terminal import print_text
from fomm_cli.errors import FommError, InputError, OutOfMemoryError, foreign_errors, one_line
from fomm_cli.files.inputs import check_file, read_text


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        check_file(path, "image", 100)
    return str(caught.value)


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    check_file(tmp_path / "a", "image", 100)


def test_pipes_devices_and_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets have to be short
    os.mkfifo("f.png")
    assert "f.png is a named pipe" in refusal(Path("f.png"))
    Path("z.npz").symlink_to("/dev/zero")
    assert "z.npz is a device" in refusal(Path("z.npz"))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s.png")
        assert "s.png is a socket" in refusal(Path("s.png"))


def test_addresses_and_standard_input() -> None:
    said = refusal(Path("https://example.com/me.jpg"))
    assert said == "https://example.com/me.jpg is an address, and addresses are not read. Download it first."
    assert "the standard input (-) is not read" in refusal(Path("-"))


def test_what_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(101))
    assert "the limit for an image" in refusal(tmp_path / "a")


@pytest.mark.parametrize("name", ["n" * 300, "n/" * 2500, "nul\0"])
def test_names_that_no_file_has(name: str, tmp_path: Path) -> None:
    refusal(tmp_path / name)


def test_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("ä", encoding="utf-8-sig")
    assert read_text(tmp_path / "a", "table") == "ä"
    (tmp_path / "a").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        read_text(tmp_path / "a", "table")


@pytest.mark.parametrize("raised", [RuntimeError, RecursionError, UnicodeError, SystemError, KeyError, AssertionError])
def test_whatever_a_library_raises(raised: type[Exception]) -> None:
    with pytest.raises(InputError, match="x is damaged"), foreign_errors("x is damaged"):
        raise raised("inside")


def test_what_is_not_a_library_s_passes() -> None:
    with pytest.raises(KeyboardInterrupt), foreign_errors("x is damaged"):
        raise KeyboardInterrupt
    with pytest.raises(FommError, match="ours"), foreign_errors("x is damaged"):
        raise FommError("ours")


def test_what_is_near_a_missing_file_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "portrait.png").touch()
    assert refusal(tmp_path / "portrat.png").endswith(f"Did you mean {tmp_path / 'portrait.png'}?")
    assert refusal(tmp_path / "zzz").endswith("does not exist. Check the path.")
    assert refusal(tmp_path / "new" / "a.png").endswith(f"There is no folder {tmp_path / 'new'}: check the path.")


OUT_OF_MEMORY = [
    MemoryError(),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: 1 B"),
    RuntimeError("std::bad_alloc"),
    RuntimeError("can't start new thread"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),  # a thread that FFmpeg could not start
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=repr)
def test_memory_that_ran_out(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OutOfMemoryError, match="not enough memory: x is damaged"), foreign_errors("x is damaged"):
        raise error

    def wrapped(_options: object) -> None:
        raise InputError("x is damaged") from error

    for run in (_raising(error), wrapped):
        monkeypatch.setattr(config_command, "_run", run)
        assert main(["config", "vox-256"]) == 1
        assert capfd.readouterr().err.startswith("fomm: error: there is not enough memory. Close other programs")


def test_a_file_may_be_called_out_of_memory(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(config_command, "_run", _raising(InputError("out of memory.png does not exist")))
    assert main(["config", "vox-256"]) == 2
    assert capfd.readouterr().err == "fomm: error: out of memory.png does not exist\n"


def _raising(error: Exception) -> Callable[[object], None]:
    def run(_options: object) -> None:
        raise error

    return run


def test_escape_sequences_do_not_reach_the_terminal() -> None:
    assert str(FommError("HTTP 999 \x1b[31m\x07", "a\nb\x9b")) == "HTTP 999 [31m . a b"
    assert one_line("ok ü 漢 \u202egnp.exe") == "ok ü 漢 gnp.exe"


def test_a_long_message_keeps_its_beginning_and_what_to_do() -> None:
    told = str(FommError("n" * 5000 + " does not exist", "Check the path."))
    assert len(told) == 1000
    assert told.startswith("nnn")
    assert told.endswith(" does not exist. Check the path.")
    assert one_line("n" * 1000) == "n" * 1000


def test_results_on_stdout_hold_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_text(Namespace(quiet=False), "a\x1b[31m\n  b\x00c\u202e")
    assert capsys.readouterr().out == "a [31m\n  b c \n"
