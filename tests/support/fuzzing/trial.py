"""Define a case of the fuzzer, and what the kinds of cases have in common."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

ANYTHING = "*"
"""As a result: new files of any name, after success only."""


@dataclass(frozen=True)
class Trial:
    """One run of the command line.

    Attributes:
        arguments: of the command; paths in them are relative to the folder of the case.
        what: what was done to the input, for people.
        results: files and folders that the run may make or replace, as names in the folder of the case; those without
            a question mark at the end have to be there and whole after success.
        may_change: inputs that the run may change as well, such as a journal.
        codes: exit codes that the contract allows.
        environment: variables to set.
    """

    arguments: list[str]
    what: str
    results: tuple[str, ...] = ()
    may_change: tuple[str, ...] = ()
    codes: frozenset[int] = frozenset({0, 1, 2})
    environment: dict[str, str] = field(default_factory=dict)


class Kind(Protocol):
    """A kind of input that is mutated."""

    name: str
    weight: int
    """How many of 1,000 cases are of this kind."""

    def prepare(self, originals: Path) -> list[Trial]:
        """Make the files to mutate in a folder of its own; returns sound runs, which have to succeed."""

    def trial(self, dice: random.Random, folder: Path) -> Trial:
        """Write mutated inputs into the folder of a case; returns the run."""
