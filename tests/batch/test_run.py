"""`fomm batch` from command line to files: the same results as `fomm animate`, whatever goes wrong on the way."""

from __future__ import annotations

import csv
import hashlib
import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fomm_cli.animation.options import AnimateJob
from fomm_cli.batch import run as run_module
from fomm_cli.batch.options import BatchJob
from fomm_cli.batch.pool import Event, Failed, Unit
from fomm_cli.batch.run import run_batch
from fomm_cli.batch.worker import PairWorker, answer
from fomm_cli.cli import main
from fomm_cli.marks.verify import verify
from fomm_cli.models.bundled import sample
from support.batch_helpers import (
    CHECKPOINT,
    CONFIG,
    MODEL,
    assert_no_debris,
    make_driving,
    make_sources,
    results_in,
    start,
)

on_posix = pytest.mark.skipif(os.name != "posix", reason="signals that end a process exist on POSIX only")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """`--threads 1` holds for the process, which here is everybody's."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six sources, one of them broken, and two driving videos."""
    folder = tmp_path_factory.mktemp("media")
    make_sources(folder / "faces", 5)
    (folder / "faces" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n, or so it says")
    make_driving(folder / "nod")
    make_driving(folder / "shake", 5)
    return folder


@pytest.fixture(scope="module")
def finished(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a batch over all of it, and what a table adds: an option, a driving picture, keypoints to see."""
    folder = tmp_path_factory.mktemp("finished") / "out"
    table = media / "more.csv"
    table.write_text(
        "source,driving,best_frame,visualize,result\n"
        "faces/p00.png,shake,2,,second.mp4\n"
        "faces/p00.png,faces/p01.png,,,\n"
        "faces/p00.png,nod,,yes,seen.mov\n"
    )
    patterns = ["-s", f"{media}/faces/*.png", "-d", str(media / "nod")]
    assert main(["batch", *patterns, "--pairs", str(table), "-o", str(folder), "--quiet", *MODEL]) == 1
    return folder


def animated(source: Path, driving: Path, folder: Path, *options: str) -> bytes:
    """What `fomm animate` makes of them."""
    files = ["-s", str(source), "-d", str(driving), "-o", str(folder / "single.mp4")]
    assert main(["animate", *files, "--quiet", *MODEL, *options]) == 0
    return (folder / "single.mp4").read_bytes()


def test_results_are_those_of_single_runs(media: Path, finished: Path, tmp_path: Path) -> None:
    results = results_in(finished)
    assert set(results) == {
        *(f"p0{index}--nod.mp4" for index in range(5)),
        *("second.mp4", "p00--p01.png", "seen.mov", "seen_visualization.mov"),
    }
    assert results["p03--nod.mp4"] == animated(media / "faces/p03.png", media / "nod", tmp_path)
    assert results["second.mp4"] == animated(media / "faces/p00.png", media / "shake", tmp_path, "--best_frame", "2")
    assert_no_debris(finished)


def test_every_result_carries_the_marks_of_its_pair(tmp_path: Path) -> None:
    source, driving = sample()
    table = tmp_path / "pairs.csv"
    table.write_text(f"source,driving,mark,result\n{source},{driving},,all.mp4\n{source},{driving},metadata,less.mp4\n")
    options = ["--max_frames", "2", "--crop", "none", "--device", "cpu", "--quiet"]
    assert main(["batch", "--pairs", str(table), "-o", str(tmp_path / "out"), *options]) == 0
    found = {name: verify(tmp_path / "out" / name) for name in ("all.mp4", "less.mp4")}
    assert found["all.mp4"].metadata == found["less.mp4"].metadata is not None
    assert found["all.mp4"].invisible is not None
    assert found["less.mp4"].invisible is None


def test_table_reports_every_pair(finished: Path) -> None:
    with (finished / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["result"]: row for row in csv.DictReader(file)}
    assert len(rows) == 9
    assert rows["second.mp4"]["frames"] == "5"
    assert float(rows["second.mp4"]["seconds"]) > 0
    assert {row["checkpoint_sha256"] for row in rows.values() if row["state"] == "done"} == {
        hashlib.sha256(CHECKPOINT.read_bytes()).hexdigest()
    }
    broken = rows["broken--nod.mp4"]
    assert (broken["state"], broken["frames"]) == ("failed", "")
    assert "broken.png is damaged" in broken["error"]


def test_driving_key_points_are_found_once_for_all_sources(finished: Path) -> None:
    assert len(list((finished / ".fomm" / "motion").glob("*.npz"))) == 3


def test_started_again_it_does_only_what_is_missing(
    media: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (finished / "p01--nod.mp4").unlink()
    times = {path.name: path.stat().st_mtime_ns for path in finished.glob("*.mp4")}
    patterns = ["-s", f"{media}/faces/*.png", "-d", str(media / "nod"), "-o", str(finished)]
    assert main(["batch", *patterns, "--dry_run", "--json", *MODEL]) == 0
    plan = {pair["name"]: pair["action"] for pair in json.loads(capsys.readouterr().out)["pairs"]}
    assert {name for name, action in plan.items() if action == "do"} == {"p01--nod.mp4", "broken--nod.mp4"}
    assert main(["batch", *patterns, "--json", *MODEL]) == 1
    output = capsys.readouterr()
    summary = json.loads(output.out)
    assert (summary["done"], summary["skipped"], list(summary["failed"])) == (1, 4, ["broken--nod.mp4"])
    assert "1 of 6 results are missing" in output.err.splitlines()[-1]
    assert {name: (finished / name).stat().st_mtime_ns for name in times} == times
    assert (finished / "p01--nod.mp4").exists()


def test_nothing_is_overwritten_unasked(media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p00--nod.mp4").write_text("mine")
    files = ["-s", str(media / "faces/p00.png"), "-d", str(media / "nod"), "-o", str(tmp_path)]
    assert main(["batch", *files, "--quiet", *MODEL]) == 1
    assert (tmp_path / "p00--nod.mp4").read_text() == "mine"
    assert "--overwrite" in (tmp_path / "report.csv").read_text()
    assert main(["batch", *files, "--dry_run", "--overwrite", *MODEL]) == 0
    assert capsys.readouterr().out.startswith("do: ")
    assert (tmp_path / "p00--nod.mp4").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is nothing to animate"),
        (["-s", "a.png"], "--driving_video is missing"),
        (["-s", "no*.png", "-d", "d.mp4"], "no file matches the pattern no*.png"),
        (["-s", "a.png", "-d", "d.mp4"], "none of the 1 pair(s) can be done: d.mp4 does not exist"),
        (["-s", "a.png", "-d", "d.mp4", "--workers", "0"], "invalid --workers 0"),
        (["-s", "a.png", "-d", "d.mp4", "--workers", "2", "--devices", "cpu"], "exclude each other"),
        (["--pairs", "none.csv"], "none.csv does not exist"),
    ],
)
def test_wrong_use_ends_with_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["batch", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_does_not_exist_is_wrong_use(
    media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["-s", str(media / "faces/p00.png"), "-d", str(media / "nod"), "-o", str(tmp_path)]
    assert main(["batch", *files, "--devices", "cuda:99", "--quiet"]) == 2
    assert "--device cuda:99" in capsys.readouterr().err
    assert_no_debris(tmp_path)


def pairs_of(media: Path, **options: object) -> tuple[AnimateJob, ...]:
    model = {"checkpoint": CHECKPOINT, "config": str(CONFIG), "device": "cpu"}
    return tuple(
        AnimateJob(media / "faces" / f"p{index:02}.png", media / "nod", **model, **options)  # type: ignore[arg-type]
        for index in range(5)
    )


@on_posix
def test_a_worker_that_is_killed_costs_one_attempt(media: Path, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill_one(_stage: str, _done: int, _total: int | None) -> None:
        if not killed:
            killed.append(multiprocessing.active_children()[0].pid or 0)
            os.kill(killed[0], signal.SIGKILL)

    result = run_batch(BatchJob(pairs_of(media)[:2], tmp_path, devices=("cpu",), threads=1), kill_one)
    assert (result.done, result.failed) == (2, {})
    with closing(sqlite3.connect(tmp_path / ".fomm" / "journal.sqlite")) as journal:
        attempts = [count for (count,) in journal.execute("SELECT attempts FROM results")]
    assert sorted(attempts) == [1, 2]


@pytest.fixture(scope="module")
def long_job(media: Path) -> AnimateJob:
    """A job that is cut into ranges of 32 frames."""
    source, driving = media / "faces/p00.png", make_driving(media / "long", 34)
    return AnimateJob(source, driving, Path("frames"), CHECKPOINT, str(CONFIG), best_frame=30, precision="fp32")


@pytest.fixture(scope="module")
def long_frames(media: Path, long_job: AnimateJob) -> dict[str, bytes]:
    """What `fomm animate` makes of it."""
    files = ["-s", str(long_job.source_image), "-d", str(long_job.driving_video), "-o", str(media / "single")]
    assert main(["animate", *files, "--best_frame", "30", "--quiet", *MODEL]) == 0
    frames = results_in(media / "single")
    assert len(frames) == 34
    return frames


def test_ranges_of_frames_over_two_workers_are_the_frames_of_one(
    long_job: AnimateJob, long_frames: dict[str, bytes], tmp_path: Path
) -> None:
    seen: list[tuple[int, int | None]] = []
    batch = BatchJob((long_job,), tmp_path, devices=("cpu", "cpu"), threads=2, range_frames=32)
    result = run_batch(batch, lambda _stage, done, total: seen.append((done, total)))
    assert (result.done, result.frames, result.failed) == (1, 34, {})
    assert results_in(tmp_path / "frames") == long_frames
    assert seen[-1] == (34, 34)
    assert not (tmp_path / ".fomm" / "parts").exists()


def test_ranges_beyond_the_end_of_a_video_do_no_harm(
    long_job: AnimateJob, long_frames: dict[str, bytes], tmp_path: Path
) -> None:
    """Its header may promise too much."""
    worker = PairWorker("cpu", 1, tmp_path)
    unit = Unit(0, "frames", "key", "driving", long_job)
    parts = []
    for begin, end in [(0, 32), (32, 64), (64, None)]:
        parts.append(tmp_path / str(begin))
        parts[-1].mkdir()
        worker.run(replace(unit, task="range", start=begin, stop=end), parts[-1], lambda _frames: None)
    outcome = worker.run(replace(unit, task="join", parts=tuple(parts)), tmp_path, lambda _frames: None)
    assert outcome.frames == 34
    assert results_in(tmp_path / "frames") == long_frames


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def arguments_for(media: Path, folder: Path) -> list[object]:
    return ["batch", "-s", f"{media}/faces/p0[0-2].png", "-d", media / "nod", media / "shake", "-o", folder, *MODEL]


@on_posix
def test_killed_and_started_again_it_makes_each_result_once(media: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    process = start(*arguments_for(media, folder))
    wait_until(lambda: len(list(folder.glob("*.mp4"))) >= 1, process)
    process.kill()
    process.communicate()
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.mp4")}
    assert 1 <= len(before) < 6
    two = [start(*arguments_for(media, folder), "--json") for _ in range(2)]  # and they share what is left
    summaries = [json.loads(process.communicate()[0]) for process in two]
    assert [process.returncode for process in two] == [0, 0]
    assert sum(summary["done"] for summary in summaries) == 6 - len(before)
    assert {summary["done"] + summary["skipped"] for summary in summaries} == {6}
    assert len(results_in(folder)) == 6
    assert {name: (folder / name).stat().st_mtime_ns for name in before} == before
    assert_no_debris(folder)


@on_posix
def test_ctrl_c_cleans_up_and_says_how_to_go_on(media: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    process = start(*arguments_for(media, folder))
    wait_until(lambda: len(list(folder.glob("*.mp4"))) >= 1, process)
    os.killpg(process.pid, signal.SIGINT)  # to all of them, as a terminal does
    _, messages = process.communicate()
    assert process.returncode == 130
    assert messages.splitlines()[-1].endswith("of 6 results are done. The same command continues from there")
    assert "Traceback" not in messages
    assert_no_debris(folder)
    with closing(sqlite3.connect(folder / ".fomm" / "journal.sqlite")) as journal:
        states = journal.execute("SELECT name, state FROM results").fetchall()
    assert {name for name, state in states} == set(results_in(folder))
    assert {state for name, state in states} == {"done"}


class InProcess:
    """A pool of one worker in this process, which may do something else before a unit."""

    slots = 1

    def __init__(self, motion: Path, before: Callable[[int], Event | None]) -> None:
        self._worker = PairWorker("cpu", 1, motion)
        self._before = before
        self.attempts = 0

    def start(self, unit: Unit, folder: Path) -> None:
        self._unit, self._folder = unit, folder

    def events(self, timeout: float) -> list[Event]:  # noqa: ARG002
        self.attempts += 1
        instead = self._before(self._unit.number)
        return [instead or answer(self._worker, self._unit, self._folder, lambda _frames: None)]

    def close(self) -> None:
        pass


def test_memory_that_runs_out_is_tried_again(media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is reported twice; the third attempt is a real one."""

    def fail_twice(number: int) -> Event | None:
        return Failed(number, "out of memory", may_pass=True) if pool.attempts < 3 else None

    pool = InProcess(tmp_path, fail_twice)
    monkeypatch.setattr(run_module, "_pool", lambda *_: pool)
    result = run_batch(BatchJob(pairs_of(media)[:1], tmp_path / "out"))
    assert (result.done, pool.attempts) == (1, 3)


@on_posix
def test_a_link_made_during_the_batch_does_not_lead_outside(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    pool = InProcess(tmp_path, lambda _number: (out / "sub").symlink_to(outside))
    monkeypatch.setattr(run_module, "_pool", lambda *_: pool)
    pair = replace(pairs_of(media)[0], result_video=Path("sub/a.mp4"))
    result = run_batch(BatchJob((pair,), out))
    assert "leads outside the result folder" in result.failed["sub/a.mp4"]
    assert list(outside.iterdir()) == []


def test_parallel_single_runs_are_safe(media: Path, tmp_path: Path) -> None:
    """As under `xargs -P`: quiet, with one whole result, though all write the same file."""
    one = ["animate", "-s", media / "faces/p00.png", "-d", media / "nod", "-o", tmp_path / "r.mp4", "--quiet", *MODEL]
    processes = [start(*one) for _ in range(2)]
    outputs = [process.communicate() for process in processes]
    assert outputs == [("", "")] * 2
    assert [process.returncode for process in processes] == [0, 0]
    assert (tmp_path / "r.mp4").read_bytes() == animated(media / "faces/p00.png", media / "nod", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"r.mp4", "single.mp4"}


def test_threads_limits_what_torch_uses(media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["-s", str(media / "faces/p00.png"), "-d", str(media / "nod"), "-o", str(tmp_path / "r.mp4")]
    assert main(["animate", *files, "--json", *MODEL]) == 0
    assert json.loads(capsys.readouterr().out)["device"] == "CPU, 1 threads"
    assert main(["animate", *files, "--threads", "0"]) == 2
    assert "invalid --threads 0" in capsys.readouterr().err


def test_dry_run_of_a_single_pair_writes_nothing(
    media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["-s", str(media / "faces/p00.png"), "-d", str(media / "shake"), "-o", str(tmp_path / "r.mp4")]
    assert main(["animate", *files, "--dry_run", *MODEL]) == 0
    assert capsys.readouterr().out.endswith(f"-> {tmp_path / 'r.mp4'}, 5 frames\n")
    assert list(tmp_path.iterdir()) == []
