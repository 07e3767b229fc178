"""Measure the tables of docs/performance.md on this machine and put them in.

    python docs/performance_table.py [options of fomm bench]

Takes a quarter of an hour on two cores; leave the machine alone meanwhile.
"""

from __future__ import annotations

import os
import platform
import re
import runpy
import subprocess
import sys
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

DOCS = Path(__file__).parent
PAGE = DOCS / "performance.md"
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def bench(*options: str) -> str:
    """Return the table of one run."""
    command = [sys.executable, "-m", "fomm_cli", "bench", *options, *sys.argv[1:]]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603 - our own


def machine() -> str:
    """Return the name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    model = re.search(r"model name\s*: (.*)", text)
    flags = [flag for flag in FLAGS if re.search(rf"\b{flag}\b", text)]
    return f"{model[1] if model else platform.processor()}, {os.cpu_count()} cores, {', '.join(flags)}"


def main() -> None:
    """Measure and replace."""
    with TemporaryDirectory() as folder:
        full = str(Path(folder) / "full.pth.tar")
        runpy.run_path(str(DOCS.parent / "tests" / "parity" / "make_full_checkpoint.py"))["main"](full)
        tables = {
            "Networks of the size of vox-256 with synthetic weights, 256x256": bench(
                "--checkpoint", full, "--config", "vox-256"
            ),
            "The small model in the package": bench(),
        }
    text = f"Measured on {date.today().isoformat()}: {machine()}.\n"
    text += "".join(f"\n{title}:\n\n{table}" for title, table in tables.items())
    page = PAGE.read_text(encoding="utf-8")
    start, end = "<!-- tables -->\n", "<!-- end of tables -->"
    before, rest = page.split(start)
    PAGE.write_text(f"{before}{start}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
