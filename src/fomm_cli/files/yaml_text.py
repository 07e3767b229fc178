"""Parse untrusted YAML: safe types only, no duplicate keys, and a limit on values after alias expansion."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from fomm_cli.errors import InputError
from fomm_cli.files.limits import YAML_NODES


def parse_yaml(content: bytes | str, path: Path) -> object:
    """Return the plain values of a YAML document that was read from `path`.

    Raises:
        InputError: it is not valid, gives a key twice, or its aliases expand to more than YAML_NODES values.
    """
    try:
        return _Loader(content).get_single_data()
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{path}{line} is not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not a plain text file in UTF-8", "Give a .yaml file") from error
    except RecursionError as error:
        raise InputError(f"{path} is not valid YAML: it is nested too deeply") from error
    except Exception as error:
        # PyYAML lets anything through from values such as the date 2024-13-01
        raise InputError(f"{path} is not valid YAML: {error}") from error


class _Loader(yaml.SafeLoader):
    """Load safe YAML; refuse a key given twice, of which PyYAML silently keeps the last."""

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            _count(node, {})
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is given twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _count(node: yaml.Node, counted: dict[int, int]) -> int:
    """Return the number of values that a node stands for; an alias counts as all that it repeats."""
    if id(node) not in counted:
        counted[id(node)] = YAML_NODES  # until it is known: a node inside itself has no end
        children = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        inside = 0 if isinstance(node, yaml.ScalarNode) else sum(_count(child, counted) for child in children)
        counted[id(node)] = 1 + inside
        if counted[id(node)] > YAML_NODES:
            raise yaml.MarkedYAMLError(
                problem=f"its aliases stand for more than {YAML_NODES:,} values", problem_mark=node.start_mark
            )
    return counted[id(node)]
