"""What several tests need."""

from __future__ import annotations

import logging
import os
import runpy
import shutil
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from support.parity_data import PARITY
from support.turns import turn

REPOSITORY = Path(__file__).parent.parent
SHARED = Path(os.environ.get("FOMM_SHARED", REPOSITORY.parent / "shared"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let tests marked `alone` run while no other worker of pytest-xdist runs a test."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    with turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads only slow tiny networks down, and on a busy machine they wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def own_messages() -> Iterator[None]:
    """A command run inside a test takes the package's messages to itself; the next test gets them back."""
    yield
    logger = logging.getLogger("fomm_cli")
    logger.handlers.clear()
    logger.propagate = True
    logger.setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The media beside the project; tests that need them are skipped where they are missing."""
    if not SHARED.is_dir():
        pytest.skip(f"no shared media at {SHARED}: set FOMM_SHARED")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of our own, which the user's does not change; MediaPipe's model is in it where that is at hand."""
    home = tmp_path_factory.mktemp("home")
    model = SHARED / "models" / "face_landmarker.task"
    if model.exists():
        shutil.copy(model, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOMM_HOME", str(home))
        yield


@pytest.fixture(scope="session")
def with_mediapipe() -> None:
    """For tests that need MediaPipe at work; they are skipped where it, or its model, is missing."""
    if find_spec("mediapipe") is None:
        pytest.skip("MediaPipe is not installed: pip install mediapipe")
    if not (SHARED / "models" / "face_landmarker.task").exists():
        pytest.skip(f"no MediaPipe model at {SHARED}: set FOMM_SHARED")


@pytest.fixture(scope="session")
def full_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the size and structure of the published vox-256, with synthetic weights."""
    path = tmp_path_factory.mktemp("full") / "vox-256-synthetic.pth.tar"
    runpy.run_path(str(PARITY / "make_full_checkpoint.py"))["main"](str(path))
    return path
