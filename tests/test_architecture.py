"""The drawing of the rooms in docs/architecture.md, against the imports of the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "fomm_cli"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
GROUND = "ground"


def rooms() -> dict[str, set[str]]:
    """Return the rooms that each room imports from, anywhere in its code; single modules below all rooms are one."""
    found: dict[str, set[str]] = {}
    names = {folder.name for folder in PACKAGE.iterdir() if any(folder.glob("*.py"))} | {"cli"}
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room not in names:
            continue
        modules = [
            node.module or "" for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
        ]
        others = {module.split(".")[1] for module in modules if module.startswith("fomm_cli.")}
        found.setdefault(room, set()).update(other if other in names else GROUND for other in others - {room})
    return found


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    """Return the rooms that a room imports, directly or by others."""
    direct = graph.get(start, set())
    return direct.union(*(reachable(graph, other) for other in direct))


def test_drawing_has_every_import_that_no_other_arrow_implies() -> None:
    graph = rooms()
    wanted = {
        (room, other)
        for room, others in graph.items()
        for other in others
        if not any(other in reachable(graph, between) for between in others - {other})
    }
    drawing = re.search(r"```mermaid\nflowchart TD\n(.*?)```", PAGE, re.DOTALL)
    assert drawing is not None
    drawn = {
        (room, re.sub(r"\[.*", "", other))
        for line in drawing[1].splitlines()
        for left, right in [line.strip().split(" --> ")]
        for room in left.split(" & ")
        for other in right.split(" & ")
    }
    assert drawn == wanted


def test_every_room_is_described() -> None:
    described = set(re.findall(r"`(\w+)/`", PAGE.partition("| room |")[2].partition("## ")[0]))
    assert described == set(rooms()) - {"cli"}
