"""What several tests need."""

from __future__ import annotations

import os
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from parity_data import PARITY

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads only slow tiny networks down, and on a busy machine they wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The media beside the project; tests that need them are skipped where they are missing."""
    folder = Path(os.environ.get("FOMM_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared media at {folder}: set FOMM_SHARED")
    return folder


@pytest.fixture(scope="session")
def full_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the size and structure of the published vox-256, with synthetic weights."""
    path = tmp_path_factory.mktemp("full") / "vox-256-synthetic.pth.tar"
    runpy.run_path(str(PARITY / "make_full_checkpoint.py"))["main"](str(path))
    return path
