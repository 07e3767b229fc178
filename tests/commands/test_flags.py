"""The flags of every command, against those of version 0.1.0: none may change its meaning."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fomm_cli.cli import build_parser, main

RECORDED = json.loads((Path(__file__).parent / "flags-0.1.0.json").read_text(encoding="utf-8"))
CHANGED_DEFAULTS: dict[tuple[str, str], object] = {
    ("animate", "engine"): "auto",
    ("batch", "engine"): "auto",
    ("study", "driving_video"): [],
}
"""Defaults that differ on purpose, by command and name of the value."""
RENAMED = {("study", "driving_video"): "driving_videos"}
"""Values whose flag may be repeated now, by command and name of the value."""


def commands(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every command and action with its parser."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner, child in action.choices.items():
                yield from commands(child, f"{name} {inner}".strip())


PARSERS = dict(commands(build_parser()))


def plain(value: object) -> object:
    """Return a value as the recording holds it."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


@pytest.mark.parametrize("command", RECORDED)
def test_no_flag_has_changed(command: str) -> None:
    actions = PARSERS[command]._actions
    for flags, was in RECORDED[command].items():
        action = next(each for each in actions if set(flags.split()) <= {*each.option_strings, each.dest})
        first = next(each for each in actions if each.dest == action.dest)  # shortcuts share the value of a flag
        assert action.dest == RENAMED.get((command, was["dest"]), was["dest"]), flags
        assert action.required == was["required"], flags
        if was["nargs"] != 0 or was["dest"] == "version":
            wanted = CHANGED_DEFAULTS.get((command, was["dest"]), was["default"])
            assert plain(first.default) == wanted, flags
            assert set(was["choices"] or ()) <= set(action.choices or ()), flags


@pytest.mark.parametrize("command", [name for name in PARSERS if name])
def test_every_flag_has_a_help_text(command: str) -> None:
    for action in PARSERS[command]._actions:
        assert action.help or isinstance(action, argparse._SubParsersAction), action.option_strings or action.dest


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["aninate"], "Did you mean animate?"),
        (["animate", "--source", "a.jpg"], "Did you mean --source_image?"),
        (["animate", "--driving", "a.mp4"], "Did you mean --driving_video?"),
        (["animate", "a.jpg", "b.mp4"], "Files need a flag, such as -s IMAGE"),
        (["animate", "--face_at", "3"], "'3' is not X,Y"),
        (["animate", "--start", "soon"], "'soon' is not a time such as 12.5 or 1:02:03"),
        (["animate", "--fps", "1e999999999"], "is not a frame rate"),
        (["animate", "--threads", "2147483648"], "invalid --threads 2147483648. Expected 1 to 1024"),
        (["animate", "--best_frame", "9" * 20], "invalid --best_frame"),
        (["batch", "--workers", "999999999"], "invalid --workers"),
        (["animate", "--sources", "a.jpg"], "See fomm animate --help"),
    ],
)
def test_wrong_use_is_told_in_one_line(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert told in captured.err


@pytest.mark.parametrize("arguments", [[], ["help"], ["motion"], ["help", "animate"]])
def test_help_where_no_work_is_named(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        assert main(arguments) == 0
    except SystemExit as finished:  # argparse's own --help
        assert finished.code == 0
    assert capsys.readouterr().out.startswith("usage: fomm")


def test_times_may_be_written_as_on_a_clock() -> None:
    parsed = build_parser().parse_args(["animate", "--start", "1:02:03.5", "--end", "2:00:00"])
    assert (parsed.start, parsed.end) == (3723.5, 7200)


def test_an_error_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["animate", "--json", "--crf", "99"]) == 2
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"error": captured.err.removeprefix("fomm: error: ").strip(), "exit_code": 2}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_commands_and_flags(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("animate", "driving_video", "onnxruntime"):
        assert word in script


def test_a_bundled_config_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "vox-256"]) == 0
    root = Path(__file__).parents[2]
    assert capsys.readouterr().out == (root / "config" / "vox-256.yaml").read_text(encoding="utf-8")
    assert main(["config", "vox-255"]) == 2
    assert "Did you mean vox-256?" in capsys.readouterr().err
