"""Ctrl-C ends the process that decides, and none of its children with a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.interrupts import heed_interrupts

# A parent that starts a child and waits for it; the child sleeps as if it imported PyTorch.
PARENT = """
import multiprocessing, time
from fomm_cli.runtime.signals import spared_ctrl_c

def child(connection):
    connection.send("here")
    time.sleep(1.5)

if __name__ == "__main__":
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=child, args=(theirs,))
    with spared_ctrl_c():
        process.start()
    try:
        print(ours.recv(), flush=True)
        time.sleep(20)
    except KeyboardInterrupt:
        process.join()
        print("interrupted, and the child ended with", process.exitcode, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_child_outlives_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts(),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    os.killpg(process.pid, signal.SIGINT)  # to both, as a terminal does
    out, err = process.communicate(timeout=30)
    assert (out, err) == ("interrupted, and the child ended with 0\n", "")
