"""A batch on a real Ray cluster of two nodes on this machine, one of which is lost in the middle."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fomm_cli.cli import main
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

pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills a node by what Linux knows of its processes")

SOURCES = 4


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ray_start(*arguments: object) -> subprocess.Popen[bytes]:
    """A node that lives as long as this process."""
    paths = [str(Path(__file__).parents[2] / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    quiet = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DISABLE_DOCKER_CPU_WARNING": "1",
        "PYTHONPATH": os.pathsep.join(paths),
    }
    program = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1"]
    small = ["--object-store-memory=100000000", "--disable-usage-stats"]
    return subprocess.Popen(
        [*program, *small, *map(str, arguments)],
        env={**os.environ, **quiet}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def kill_tree(root: int) -> None:
    """A process and all that descend from it, at once."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            parent = re.search(r"PPid:\s*(\d+)", status.read_text())
        except OSError:
            continue
        children.setdefault(int(parent[1]) if parent else 0, []).append(int(status.parent.name))
    doomed = [root]
    for process in doomed:
        doomed += children.get(process, [])
    for process in doomed:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue


def alive_nodes(address: str) -> int:
    code = f"import ray; ray.init({address!r}, log_to_driver=False, logging_level='ERROR'); print(len(ray.nodes()))"
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    except subprocess.SubprocessError:
        return 0
    return int(done.stdout)


@pytest.fixture
def cluster() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of a cluster of two nodes with a core each, and the process of the second."""
    address = f"127.0.0.1:{(port := free_port())}"
    folder = tempfile.mkdtemp(prefix="ray")  # the paths of its sockets have to be short
    nodes = [ray_start("--head", "--include-dashboard=false", f"--port={port}", f"--temp-dir={folder}")]
    try:
        wait_until(lambda: alive_nodes(address) == 1)
        nodes.append(ray_start(f"--address={address}"))
        wait_until(lambda: alive_nodes(address) == 2)
        yield address, nodes[1]
    finally:
        for node in nodes:
            kill_tree(node.pid)
            node.wait()
        shutil.rmtree(folder, ignore_errors=True)


RANGES = """
import sys
from pathlib import Path
from fomm_cli.animation.options import AnimateJob
from fomm_cli.batch.options import BatchJob
from fomm_cli.batch.run import run_batch
source, driving, out, address, checkpoint, config = sys.argv[1:]
job = AnimateJob(Path(source), Path(driving), Path("r.mp4"), Path(checkpoint), config)
result = run_batch(BatchJob((job,), Path(out), devices=("cpu",), cluster=address, range_frames=32))
print(result.done, result.frames, result.failed)
"""


def test_ranges_of_a_video_over_the_nodes_make_the_same_file(
    cluster: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    source, driving = make_sources(tmp_path / "faces", 1) / "p00.png", make_driving(tmp_path / "nod", 40)
    files = [str(path) for path in (source, driving, tmp_path / "out")]
    model = [str(CHECKPOINT), str(CONFIG)]
    done = subprocess.run(
        [sys.executable, "-c", RANGES, *files, cluster[0], *model], capture_output=True, text=True, check=False
    )
    assert done.stdout == "1 40 {}\n", done.stderr
    single = ["-s", str(source), "-d", str(driving), "-o", str(tmp_path / "one.mp4")]
    assert main(["animate", *single, "--quiet", *MODEL]) == 0
    assert (tmp_path / "out" / "r.mp4").read_bytes() == (tmp_path / "one.mp4").read_bytes()


def wait_until(condition: object) -> None:
    deadline = time.monotonic() + 90
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_results_are_complete_though_a_node_is_lost(
    cluster: tuple[str, subprocess.Popen[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, second = cluster
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    make_sources(tmp_path / "faces", SOURCES)
    drivings = [make_driving(tmp_path / "nod", 24), make_driving(tmp_path / "shake", 25)]
    folder = tmp_path / "out"
    files = ["-s", tmp_path / "faces", "-d", *drivings, "-o", folder]
    batch = start("batch", *files, "--engine_cluster", "ray", "--address", address, "--json", *MODEL)
    wait_until(lambda: len(list(folder.glob("*.mp4"))) >= 2 or batch.poll() is not None)
    kill_tree(second.pid)
    output, messages = batch.communicate()
    assert batch.returncode == 0, messages
    assert json.loads(output)["done"] == 2 * SOURCES
    assert_no_debris(folder)
    with closing(sqlite3.connect(folder / ".fomm" / "journal.sqlite")) as journal:
        rows = journal.execute("SELECT name, state, attempts FROM results").fetchall()
    assert sorted((name, state) for name, state, _ in rows) == sorted((name, "done") for name in results_in(folder))
    assert len(rows) == 2 * SOURCES
    assert max(attempts for *_, attempts in rows) == 2, "no unit was lost with the node"
    single = ["-s", str(tmp_path / "faces/p01.png"), "-d", str(drivings[0]), "-o", str(tmp_path / "one.mp4")]
    assert main(["animate", *single, "--quiet", *MODEL]) == 0
    assert results_in(folder)["p01--nod.mp4"] == (tmp_path / "one.mp4").read_bytes()
