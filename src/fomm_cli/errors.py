"""What can go wrong, for people: the problem, the next step, the exit code."""

from __future__ import annotations


class FommError(Exception):
    """Something broke while working.

    Args:
        problem: what is wrong, naming the file, flag or key at fault.
        next_step: what the user can do about it, as a sentence or a command.
    """

    exit_code = 1

    def __init__(self, problem: str, next_step: str = "") -> None:
        super().__init__(problem, next_step)
        self.problem = problem
        self.next_step = next_step

    def __str__(self) -> str:
        """One line: ``problem. next step``."""
        text = f"{self.problem.rstrip('.')}. {self.next_step}" if self.next_step else self.problem
        return " ".join(text.split())


class InputError(FommError):
    """Wrong use, or a file or value that cannot be worked with."""

    exit_code = 2


class OutOfMemoryError(FommError):
    """The device was too full for the work; another time it may fit."""


class InterruptedByUserError(FommError):
    """Ctrl-C, with what was done until then and how to go on."""

    exit_code = 130
