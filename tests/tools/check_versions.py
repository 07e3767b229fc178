"""Run the test suite with the lowest and with the newest versions that `pyproject.toml` allows.

    python tests/tools/check_versions.py [lowest] [newest] [--python 3.10] [--folder FOLDER] [-- PYTEST_OPTIONS]

Makes a virtual environment for each (several GB: PyTorch comes as its default build), in a folder that is kept if it
is named and reused the next time. `lowest` takes every requirement of the project at its lower bound, on the oldest
Python that it claims; `newest` installs without constraints. Needs uv: pip install uv. Prints what was installed and
the result of each run; the exit code is 1 if one of them fails.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
UV = [sys.executable, "-m", "uv", "--quiet"]
SETS = ("lowest", "newest")


def main() -> int:
    """Run the suite in each environment that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"{' or '.join(SETS)} (default: both)")
    parser.add_argument("--python", help="version, or path of an interpreter (default: 3.10 for lowest, else this one)")
    parser.add_argument("--folder", type=Path, help="where the environments are kept (default: removed at the end)")
    split = [*sys.argv, "--"].index("--")
    options, passed = parser.parse_args(sys.argv[1:split]), sys.argv[split + 1 :]
    if unknown := set(options.sets) - set(SETS):
        parser.error(f"unknown set {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="fomm-versions-") as temporary:
        folder = options.folder or Path(temporary)
        results = {name: _check(name, folder / name, options.python, passed) for name in options.sets or SETS}
    for name, code in results.items():
        _say(f"{name}: {'passed' if code == 0 else 'FAILED'}")
    return int(any(results.values()))


def _check(name: str, folder: Path, python: str | None, passed: list[str]) -> int:
    """Make an environment and run pytest in it; returns pytest's exit code."""
    version = python or ("3.10" if name == "lowest" else sys.executable)
    subprocess.run([*UV, "venv", "--allow-existing", "--python", version, folder], check=True)
    interpreter, requirements = folder / "bin" / "python", folder / "requirements.txt"
    environment = {**os.environ, "VIRTUAL_ENV": str(folder), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    resolution = "lowest-direct" if name == "lowest" else "highest"
    compiled = ["pip", "compile", "--resolution", resolution, "--extra", "test", "--python", interpreter]
    subprocess.run([*UV, *compiled, "--output-file", requirements, REPOSITORY / "pyproject.toml"], check=True)
    install = [*UV, "pip", "install", "--python", interpreter]  # uv run by a Python would else install into that one
    subprocess.run([*install, "-r", requirements], check=True)
    subprocess.run([*install, "--no-deps", "--reinstall", REPOSITORY], check=True)
    _say(f"{name}, {interpreter}:\n{_direct(requirements)}")
    command = [interpreter, "-m", "pytest", *passed]
    return subprocess.run(command, env=environment, cwd=REPOSITORY, check=False).returncode


def _direct(requirements: Path) -> str:
    """Return the lines of a compiled list that the project itself asks for, each with the comments that say why."""
    blocks = re.split(r"\n(?=\w)", requirements.read_text(encoding="utf-8"))
    return "\n".join(block.partition("\n")[0] for block in blocks if "fomm (pyproject.toml)" in block)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
