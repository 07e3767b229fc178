"""200 mutated files and hostile values of a fixed seed; `tests/tools/fuzz.py` runs more of them by hand."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

CASES = {
    "images": 32,
    "videos": 36,
    "templates,configs": 32,
    "checkpoints": 32,
    "manifests,journals,studies": 40,
    "trainings,caches": 16,
    "options": 22,
}
NEEDED = {"studies": ("matplotlib",), "caches": ("onnx", "onnxruntime", "onnxscript")}


@pytest.mark.skipif(sys.platform != "linux", reason="the fuzzer needs fork and /proc, as Linux has them")
@pytest.mark.parametrize("kinds", CASES)
def test_nothing_breaks_the_contract(kinds: str) -> None:
    able = [kind for kind in kinds.split(",") if all(map(find_spec, NEEDED.get(kind, ())))]
    tool = Path(__file__).parent / "tools" / "fuzz.py"
    command = [sys.executable, tool, "--seed", "1", "--cases", str(CASES[kinds]), "--kind", ",".join(able)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
