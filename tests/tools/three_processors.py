"""Run the parity tests as three processors would compute them: this one, one with AVX2, and one with SSE4.1.

    python tests/tools/three_processors.py [--all] [native avx2 sse41] [-- PYTEST_OPTIONS]

oneDNN and PyTorch choose their kernels by what the processor can do; both can be held to less by a variable of the
environment, and then add in another order. `--all` runs the whole suite instead of the tests marked `parity`, which
takes minutes for each. The exit code is that of the first run that fails.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

PROCESSORS = {
    "native": {},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "sse41": {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
}


def main() -> int:
    """Run pytest once for each processor."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--all", action="store_true", help="the whole suite, not only the tests of parity")
    parser.add_argument("processors", nargs="*", help=f"some of {' '.join(PROCESSORS)} (default: all)")
    split = [*sys.argv, "--"].index("--")
    options, passed = parser.parse_args(sys.argv[1:split]), sys.argv[split + 1 :]
    names = options.processors or list(PROCESSORS)
    if unknown := set(names) - set(PROCESSORS):
        parser.error(f"unknown processor {', '.join(sorted(unknown))}")
    codes = [_run(name, [] if options.all else ["-m", "parity"], passed) for name in names]
    return next((code for code in codes if code), 0)


def _run(name: str, chosen: list[str], passed: list[str]) -> int:
    """Run pytest as a processor would; returns its exit code."""
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", *chosen, *passed]
    environment = {**os.environ, **PROCESSORS[name]}
    code = subprocess.run(command, env=environment, cwd=Path(__file__).parents[2], check=False).returncode
    sys.stdout.write(f"{name}: {'passed' if code == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s\n")
    sys.stdout.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
