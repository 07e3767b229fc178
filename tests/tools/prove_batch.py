"""Prove a batch at some length, by hand: kills, restarts, and what it gains over single runs.

PYTHONPATH=tests python tests/tools/prove_batch.py kills    40 pairs, four of them broken, killed at random
PYTHONPATH=tests python tests/tools/prove_batch.py speed    ten sources in one batch against ten single runs
"""

from __future__ import annotations

import csv
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from support.batch_helpers import MODEL, assert_no_debris, command, make_driving, make_sources, results_in, start

KILLS = 3


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def kills(folder: Path) -> None:
    """Check that 36 results and 4 reasons come out whatever happens on the way, and that nothing is made twice."""
    faces = make_sources(folder / "faces", 18)
    for name in ("broken0.png", "broken1.png"):  # with two driving videos: four broken pairs
        (faces / name).write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    drivings = [make_driving(folder / "nod", 12), make_driving(folder / "shake", 12)]
    batch = ["batch", "-s", faces, "-d", *drivings, "-o", folder / "out", *MODEL]
    made: dict[str, int] = {}
    for _ in range(KILLS):
        goal, process = len(made) + random.randint(2, 8), start(*batch)  # noqa: S311
        while len(times_of(folder / "out")) < goal and process.poll() is None:
            time.sleep(0.05)
        time.sleep(random.uniform(0, 1))  # noqa: S311
        process.kill()
        process.communicate()
        made = unchanged(made, times_of(folder / "out"))
        say(f"killed with {len(made)} results")
    last = start(*batch)
    _, messages = last.communicate()
    assert last.returncode == 1, messages
    assert len(unchanged(made, times_of(folder / "out"))) == len(results_in(folder / "out")) == 36
    with (folder / "out" / "report.csv").open(encoding="utf-8", newline="") as file:
        states = [row["state"] for row in csv.DictReader(file)]
    assert (states.count("done"), states.count("failed")) == (36, 4)
    assert_no_debris(folder / "out")
    say(f"36 results, 4 reasons, exit code 1, none written twice, no debris; last line: {messages.splitlines()[-1]}")


def times_of(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.mp4")}


def unchanged(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    assert {name: after[name] for name in before} == before, "a result was written twice"
    return after


def speed(folder: Path) -> None:
    """Compare a batch with single runs, with the model and the driving video of the package."""
    faces = make_sources(folder / "faces", 10)
    from fomm_cli.models.bundled import sample

    driving = sample()[1]
    began = time.perf_counter()
    for face in sorted(faces.iterdir()):
        one = command("animate", "-s", face, "-d", driving, "-o", folder / "one.mp4", "--quiet", "--cpu")
        subprocess.run(one, check=True)
    single = time.perf_counter() - began
    began = time.perf_counter()
    many = command("batch", "-s", faces, "-d", driving, "-o", folder / "out", "--quiet", "--cpu")
    subprocess.run(many, check=True)
    together = time.perf_counter() - began
    assert (folder / "out" / "p09--driving.mp4").read_bytes() == (folder / "one.mp4").read_bytes()
    say(f"ten single runs {single:.1f} s, one batch {together:.1f} s: {together / single:.2f}")
    assert together < 0.8 * single


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        {"kills": kills, "speed": speed}[sys.argv[1]](Path(place))
