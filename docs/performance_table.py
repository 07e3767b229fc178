"""Measure the tables of docs/performance.md on this machine and put them in.

    python docs/performance_table.py [--only vox-256|small] [options of fomm bench]

Takes a quarter of an hour on two cores, with `--only` about half of it; the other table then stays as it is. Leave the
machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

DOCS = Path(__file__).parent
PAGE = DOCS / "performance.md"
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def bench(*options: str) -> str:
    """The table of one run."""
    command = [sys.executable, "-m", "fomm_cli", "bench", *options]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603 - our own


def bench_vox(options: Sequence[str]) -> str:
    """The table of networks of the size of vox-256."""
    with TemporaryDirectory() as folder:
        full = str(Path(folder) / "full.pth.tar")
        runpy.run_path(str(DOCS.parent / "tests" / "parity" / "make_full_checkpoint.py"))["main"](full)
        return bench("--checkpoint", full, "--config", "vox-256", *options)


def bench_small(options: Sequence[str]) -> str:
    """The table of the small model."""
    return bench(*options)


TABLES: dict[str, tuple[str, Callable[[Sequence[str]], str]]] = {
    "vox-256": ("Networks of the size of vox-256 with synthetic weights, 256x256", bench_vox),
    "small": ("The small model in the package", bench_small),
}


def machine() -> str:
    """The processor in words."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    model = re.search(r"model name\s*: (.*)", text)
    flags = [flag for flag in FLAGS if re.search(rf"\b{flag}\b", text)]
    return f"{model[1] if model else platform.processor()}, {os.cpu_count()} cores, {', '.join(flags)}"


def main() -> None:
    """Measure and replace."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=TABLES)
    asked, options = parser.parse_known_args()
    page = PAGE.read_text(encoding="utf-8")
    for name, (title, measure) in TABLES.items():
        if asked.only in (None, name):
            how = f"Measured on {date.today().isoformat()}: {machine()}; `{' '.join(['fomm bench', *options])}`."
            page = replaced(page, name, f"{title}. {how}\n\n{measure(options)}")
    PAGE.write_text(page, encoding="utf-8")


def replaced(page: str, name: str, text: str) -> str:
    """Put a text between the marks of a table."""
    before, rest = page.split(f"<!-- table of {name} -->\n")
    return f"{before}<!-- table of {name} -->\n\n{text}\n{rest[rest.index('<!-- end of table -->') :]}"


if __name__ == "__main__":
    main()
