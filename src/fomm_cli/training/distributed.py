"""Join the processes of a training that torchrun started."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from fomm_cli.errors import InputError
from fomm_cli.runtime.device import choose_device


@dataclass(frozen=True)
class Processes:
    """This process among its peers.

    Attributes:
        rank: of this process; 0 alone writes files and messages.
        count: of all processes.
        device: of this one.
    """

    rank: int
    count: int
    device: torch.device

    def any(self, condition: bool) -> bool:
        """Return whether the condition holds in any process; all processes have to call it."""
        if self.count == 1:
            return condition
        flag = torch.tensor(float(condition), device=self.device)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag.item())


def _number(name: str, default: int | None = None) -> int:
    """Return a number that torchrun sets in the environment.

    Raises:
        InputError: it is missing, or something else.
    """
    text = os.environ.get(name, "" if default is None else str(default))
    if not text.isdecimal():
        raise InputError(
            f"the environment variable {name} is {text!r}", "Start the training with torchrun, or unset WORLD_SIZE"
        )
    return int(text)


@contextmanager
def joined_processes(device: str) -> Iterator[Processes]:
    """Join the other processes, if torchrun started any (it sets RANK, LOCAL_RANK and WORLD_SIZE).

    Raises:
        InputError: the device cannot be used.
    """
    count = _number("WORLD_SIZE", 1)
    if count == 1:
        yield Processes(0, 1, choose_device(device))
        return
    rank = _number("RANK")
    if rank:
        logging.getLogger("fomm_cli").setLevel(logging.ERROR)
    chosen = choose_device(device)
    if chosen.type == "cuda":
        chosen = choose_device(f"cuda:{_number('LOCAL_RANK')}")
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Processes(rank, count, chosen)
    finally:
        dist.destroy_process_group()
