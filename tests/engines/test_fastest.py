"""The choice of `--engine auto`."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fomm_cli.cli import main
from fomm_cli.engines import fastest
from fomm_cli.engines.fastest import EXACT, Speed, Variant, choose_fastest
from fomm_cli.models.bundled import sample
from fomm_cli.models.loading import LoadedModel, load_model
from support.parity_data import PARITY

INT8, HALF = ("openvino", "int8"), ("torch", "bf16")
EVEN = Speed(load=0.1, fps=10.0, psnr=100.0)


@pytest.fixture
def model() -> LoadedModel:
    path = PARITY / "tiny_first_order.pth.tar"
    return load_model(path, path.with_name("tiny_first_order.yaml"), torch.device("cpu"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FOMM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[Variant]:
    """What was timed, on a processor where bf16 takes half the time."""
    done: list[Variant] = []

    def time_one(variant: Variant, _model: LoadedModel) -> tuple[tuple[float, float], list[torch.Tensor]]:
        done.append(variant)
        return (0.1, 20.0 if variant == HALF else 10.0), [torch.full((1, 3, 4, 4), 0.5)]

    monkeypatch.setattr(fastest, "_timed", time_one)
    monkeypatch.setattr(fastest, "has_bf16", lambda _device: True)
    monkeypatch.setattr(fastest, "has_int8", lambda: False)
    monkeypatch.setattr(fastest, "is_installed", lambda _extra: False)
    return done


@pytest.mark.parametrize(
    ("others", "frames", "expected"),
    [
        ({HALF: Speed(0.1, 20, 50)}, 300, HALF),
        ({HALF: Speed(0.1, 20, 39)}, 300, EXACT),  # it would be seen
        ({HALF: Speed(0.1, 10.5, 50)}, 300, EXACT),  # other numbers for nothing
        ({HALF: Speed(0.1, 20, 50), INT8: Speed(4, 40, 50)}, 50, HALF),  # 4 seconds to load cost more than they save
        ({HALF: Speed(0.1, 20, 50), INT8: Speed(4, 40, 50)}, 5000, INT8),
        ({HALF: Speed(0.1, 20, 50), INT8: Speed(4, 40, 50)}, None, INT8),
    ],
)
def test_the_fastest_that_looks_the_same(others: dict[Variant, Speed], frames: int | None, expected: Variant) -> None:
    assert fastest._fastest(others, EVEN, frames) == expected
    assert fastest._fastest(others, None, frames) == EXACT


def test_short_clips_are_exact_and_time_nothing(model: LoadedModel, timed: list[Variant], cache: Path) -> None:
    assert choose_fastest(model, 50) == EXACT
    assert choose_fastest(model, None) == EXACT
    assert timed == []
    assert not cache.exists()


def test_long_clips_time_once_and_all_profit(model: LoadedModel, timed: list[Variant]) -> None:
    assert choose_fastest(model, 500) == HALF
    assert timed == [EXACT, HALF]
    assert choose_fastest(model, 500) == HALF
    assert choose_fastest(model, 20) == HALF
    assert choose_fastest(model, None) == HALF
    assert len(timed) == 2


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"torch fp32": 3}', '{"torch": {}}', '{"a b": {"fps": 1}}'])
def test_a_broken_cache_heals(text: str, model: LoadedModel, timed: list[Variant], cache: Path) -> None:
    choose_fastest(model, 500)
    (kept,) = (cache / "engines").glob("speeds-*.json")
    kept.write_text(text)
    assert choose_fastest(model, 20) == EXACT
    assert choose_fastest(model, 500) == HALF
    assert len(timed) == 4
    assert set(json.loads(kept.read_text())) == {"torch fp32", "torch bf16"}


def test_a_cache_that_cannot_be_written_costs_time_only(model: LoadedModel, timed: list[Variant], cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    assert choose_fastest(model, 500) == choose_fastest(model, 500) == HALF
    assert len(timed) == 4


@pytest.mark.usefixtures("timed")
def test_int8_is_calibrated_for_clips_of_a_minute_only(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fastest, "has_int8", lambda: True)
    caplog.set_level(logging.INFO)
    assert choose_fastest(model, 5000) == HALF
    assert "pip install openvino nncf" in caplog.messages[-1]
    monkeypatch.setattr(fastest, "is_installed", lambda _extra: True)
    monkeypatch.setattr(fastest, "is_calibrated", lambda _model: False)
    assert choose_fastest(model, 500) == HALF
    assert "add --precision int8" in caplog.messages[-1]
    assert choose_fastest(model, 5000) == INT8


def test_engines_are_timed_on_copies(model: LoadedModel, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(fastest, "is_installed", lambda _extra: False)
    monkeypatch.setattr(fastest, "has_bf16", lambda _device: True)
    monkeypatch.setattr(fastest, "_SECONDS", 0.05)
    before = copy.deepcopy(model.networks.generator.state_dict())
    threads = torch.get_num_threads()
    assert choose_fastest(model, 500) in {EXACT, HALF}
    after = model.networks.generator.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert torch.get_num_threads() == threads
    (kept,) = (cache / "engines").glob("speeds-*.json")
    speeds = json.loads(kept.read_text())
    assert speeds["torch fp32"]["psnr"] == 100
    assert speeds["torch bf16"]["psnr"] >= 40
    assert all(speed["fps"] > 0 for speed in speeds.values())


def test_the_command_line_chooses_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, driving = sample()
    run: Callable[..., int] = lambda *more: main(  # noqa: E731
        ["animate", "-s", str(source), "-d", str(driving), "-o", str(tmp_path / "a.mp4"), "--cpu", "--crop=none",
         "--max_frames=2", *more]
    )  # fmt: skip
    assert run() == 0
    assert capsys.readouterr().out.rstrip().endswith("torch fp32")
    assert run("--precision=bf16", "-q") == 0
