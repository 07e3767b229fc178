"""Find holes in the tests: change the source in one place at a time, and list the changes that no test notices.

    python tests/tools/mutate.py --count 5 --seed 1 src/fomm_cli/scoring/curves.py=tests/scoring/test_score.py ...

Each argument names a file and, after an equals sign, the tests that should notice (several with commas; default: the
test files of the same room). A mutant has one comparison, operator, constant or condition changed, in a copy of the
package. The tests run without workers and stop at the first failure. Prints a line for each mutant; survivors are
either equivalent to the source, loose constants, or holes.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SOURCE = REPOSITORY / "src"
_PATIENCE = 10  # times as long as the tests take without a mutant

_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"), ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"), ast.Pow: ("**", "*"),
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the bytes from `start` to `stop` of a file become `new`."""

    line: int
    start: int
    stop: int
    old: str
    new: str


def main() -> int:
    """Try mutants of each file; returns how many survived, at most 1."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="+", metavar="FILE[=TESTS]")
    parser.add_argument("--count", type=int, default=5, help="mutants of each file (default: 5)")
    parser.add_argument("--seed", default="1")
    options = parser.parse_args()
    survivors, tried = [], 0
    for file in options.files:
        name, _, tests = file.partition("=")
        path = (REPOSITORY / name).resolve()
        chosen = tests.split(",") if tests else _tests_of(path)
        dice = random.Random(f"{options.seed}:{name}")  # noqa: S311
        for mutant, survived in _tried(path, chosen, dice, options.count):
            tried += 1
            place = f"{name}:{mutant.line}: {mutant.old} -> {mutant.new}"
            _say(f"{'SURVIVED' if survived else 'killed  '} {place}")
            survivors += [place] * survived
    _say("\n".join(["", f"{len(survivors)} of {tried} survived", *survivors]))
    return int(bool(survivors))


def _tests_of(path: Path) -> list[str]:
    """Return the tests of the module, or else those of its room."""
    room = REPOSITORY / "tests" / path.relative_to(SOURCE / "fomm_cli").parent
    own = room / f"test_{path.stem}.py"
    return [str(own if own.exists() else room)]


def _tried(path: Path, tests: list[str], dice: random.Random, count: int) -> Iterator[tuple[Mutant, bool]]:
    """Yield each mutant, and whether the tests passed with it."""
    original = path.read_bytes()
    mutants = sorted(_mutants(original), key=lambda mutant: mutant.start)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder) / "src"
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(REPOSITORY / "config", Path(folder) / "config")  # which the source reads beside itself
        began = time.monotonic()
        if not _pass(tests, copy, None):
            sys.exit(f"{' '.join(tests)} fail without a mutant")
        limit = _PATIENCE * (time.monotonic() - began) + 30
        target = copy / path.relative_to(SOURCE)
        for mutant in dice.sample(mutants, min(count, len(mutants))):
            target.write_bytes(original[: mutant.start] + mutant.new.encode() + original[mutant.stop :])
            yield mutant, _pass(tests, copy, limit)


def _pass(tests: list[str], source: Path, limit: float | None) -> bool:
    """Return whether the tests pass with this copy of the package."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, env=environment, cwd=REPOSITORY, check=False, capture_output=True, timeout=limit, text=True
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _mutants(source: bytes) -> Iterator[Mutant]:
    """Yield all single changes of a file."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def begin(node: ast.expr) -> int:
        return starts[node.lineno - 1] + node.col_offset

    def end(node: ast.expr) -> int:
        return starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)

    def between(left: ast.expr, right: ast.expr, pair: tuple[str, str]) -> Iterator[Mutant]:
        at = source.find(pair[0].encode(), end(left), begin(right))
        if at >= 0:
            yield Mutant(left.lineno, at, at + len(pair[0]), *pair)

    def replaced(node: ast.expr, new: str) -> Mutant:
        old = source[begin(node) : end(node)].decode()
        return Mutant(node.lineno, begin(node), end(node), old, new.replace("{}", old))

    for node in _computing(ast.parse(source)):
        if isinstance(node, ast.Compare):
            lefts = (node.left, *node.comparators)
            for left, operator, right in zip(lefts, node.ops, node.comparators, strict=False):
                yield from between(left, right, _COMPARISONS[type(operator)])
        elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            yield from between(node.left, node.right, _OPERATORS[type(node.op)])
        elif isinstance(node, ast.BoolOp):
            pair = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            yield from between(node.values[0], node.values[1], pair)
        elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
            yield replaced(node.test, "(not ({}))")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield replaced(node.operand, "(-({}))")
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
            yield replaced(node, str(not node.value))
        elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            for change in ("({} + 1)", "({} * 2)" if node.value else "({} - 1)"):
                yield replaced(node, change)


def _computing(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that compute something: no annotations, no decorators, no texts with values in them."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                yield child
                yield from _computing(child)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
