"""Run cases in forked children, with limits, and judge what they did.

The parent imports what the commands need and computes nothing, so that it has one thread and a fork is safe and cheap.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import re
import resource
import signal
import stat
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from support.fuzzing.trial import ANYTHING, Trial

MEMORY = 1536 << 20  # bytes that a case may need beyond what the parent has
_ADDRESSES = 6 << 30  # bytes of address space beyond the parent's; only keeps the machine alive
_CPU_SECONDS = 25
_WALL_SECONDS = 600
_IDLE_SECONDS = 120  # without any computing: it waits for something; a busy machine gives it some in that time
_LONGEST_FILE = 1 << 30
_LONGEST_LINE = 2000  # characters of a message
_MESSAGES = "messages"  # the folder beside a case with what it said

_SURROUNDINGS = {
    "HF_ENDPOINT": "http://127.0.0.1:9",  # nothing is fetched
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MPLBACKEND": "agg",
}


@dataclass(frozen=True)
class Outcome:
    """What a run did."""

    code: int | None
    stdout: str
    stderr: str
    peak: int
    cpu: float
    stopped: str


@dataclass(frozen=True)
class Verdict:
    """What was wrong with a run, if anything."""

    broken: tuple[str, ...]
    outcome: Outcome


def set_up() -> None:
    """Prepare this process for forks: one thread for every library, and no accelerator."""
    os.environ.update(_SURROUNDINGS)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    for variable in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        os.environ.pop(variable, None)


def warm_up(trials: Iterable[tuple[Trial, Path]]) -> list[str]:
    """Import what the runs of these trials import, so that later forks have it; returns what failed in them.

    Only imports happen here: the runs themselves are in children, which leave no threads in this process.
    """
    failures = []
    for trial, folder in trials:
        outcome = run(trial, folder, report_modules=True)
        listed = folder / "tmp" / "modules"
        for name in listed.read_text(encoding="utf-8").split() if listed.exists() else []:
            if not name.startswith("_") and name not in sys.modules:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    try:
                        importlib.import_module(name)
                    except Exception:  # noqa: BLE001, S112 - some modules exist only by an alias
                        continue
        listed.unlink(missing_ok=True)
        if outcome.code not in (0, 3):  # fomm check may find a sound image poor
            failures.append(f"{' '.join(trial.arguments)}: {outcome.code} {outcome.stderr[-500:]}")
    import torch

    torch.set_num_threads(1)
    return failures


def try_out(trial: Trial, folder: Path) -> Verdict:
    """Run a case in its folder and judge it."""
    _make_rooms(folder)
    before = _state(folder)
    outcome = run(trial, folder)
    after = _state(folder)
    broken = [*_outcome_faults(trial, outcome), *_file_faults(trial, outcome, before, after, folder)]
    return Verdict(tuple(broken), outcome)


def run(trial: Trial, folder: Path, *, report_modules: bool = False) -> Outcome:
    """Run the command line in a forked child with limits."""
    messages = folder.parent / _MESSAGES
    messages.mkdir(exist_ok=True)
    _make_rooms(folder)
    addresses = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _be_the_child(trial, folder, messages, addresses + _ADDRESSES, report_modules=report_modules)
    code, usage, stopped = _wait_for(child, began)
    baseline = int((messages / "baseline").read_text(encoding="ascii") or 0)
    texts = [(messages / name).read_bytes()[:1_000_000].decode(errors="replace") for name in ("stdout", "stderr")]
    return Outcome(code, *texts, usage.ru_maxrss * 1024 - baseline, usage.ru_utime + usage.ru_stime, stopped)


def _make_rooms(folder: Path) -> None:
    for inside in ("tmp", "home"):
        (folder / inside).mkdir(exist_ok=True)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def _be_the_child(trial: Trial, folder: Path, messages: Path, addresses: int, *, report_modules: bool) -> NoReturn:
    code = 99
    try:
        os.setsid()
        (messages / "baseline").write_text(str(_resident()), encoding="ascii")
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(messages / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode, encoding="utf-8", errors="surrogateescape")
                                             for number, mode in ((0, "r"), (1, "w"), (2, "w")))  # fmt: skip
        sys.stderr.reconfigure(errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
        os.chdir(folder)
        os.environ.update(FOMM_HOME=str(folder / "home"), TMPDIR=str(folder / "tmp"), **trial.environment)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        resource.setrlimit(resource.RLIMIT_AS, (addresses, addresses))
        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS + 5))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_LONGEST_FILE, _LONGEST_FILE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        from fomm_cli.cli import main

        try:
            code = main(trial.arguments)
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
        if report_modules:
            (folder / "tmp" / "modules").write_text("\n".join(sys.modules), encoding="utf-8")
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - the child must not go on as the parent
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _wait_for(child: int, began: float) -> tuple[int | None, resource.struct_rusage, str]:
    """Exit code, None after a signal; what it used; and why it was stopped, "" if it ended by itself."""
    stopped, pause, cpu, busy = "", 0.005, 0.0, began
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            break
        before, cpu, now = cpu, _cpu_seconds(child), time.monotonic()
        busy = now if cpu > before else busy
        if now - busy > _IDLE_SECONDS or now - began > _WALL_SECONDS:
            stopped = f"no end after {now - began:.0f} s ({cpu:.0f} s of computing)"
            os.killpg(child, signal.SIGKILL)
            _, status, usage = os.wait4(child, 0)
            break
        time.sleep(pause)
        pause = min(0.05, 1.2 * pause)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # what the child has left behind
    if os.WIFEXITED(status):
        return os.WEXITSTATUS(status), usage, stopped
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU:
        stopped = f"no end after {_CPU_SECONDS} s of computing"
    return None, usage, stopped or f"ended by signal {signal.Signals(number).name}"


def _cpu_seconds(process: int) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _outcome_faults(trial: Trial, outcome: Outcome) -> list[str]:
    """Return what is wrong with exit code, messages, time and memory."""
    if outcome.stopped:
        return [f"stopped: {outcome.stopped}"]
    lines = [line for line in outcome.stderr.split("\n") if line]
    errors = [line for line in lines if line.startswith("fomm: error: ")]
    failed = outcome.code in (1, 2)
    faults = []
    if outcome.code not in trial.codes:
        faults.append(f"exit code {outcome.code}")
    planned = "--dry_run" in trial.arguments and outcome.code == 1 and "fail" in outcome.stdout  # says what would fail
    if len(errors) != int(failed and not planned):
        faults.append(f"{len(errors)} lines of error with exit code {outcome.code}")
    if unforeseen := re.search(r"error: (?:\S+: )?unexpected (\w+): .* Please report it", outcome.stderr):
        faults.append(f"unexpected {unforeseen[1]}")
    shows_all = "--debug" in trial.arguments
    if "Traceback" in outcome.stderr and not shows_all:
        faults.append("a traceback")
    if not shows_all and (foreign := [line for line in lines if not line.startswith("fomm: ")]):
        faults.append(f"a message of somebody else: {foreign[0][:80]!r}")
    if found := _CONTROL.search(outcome.stderr + outcome.stdout):
        faults.append(f"the control character {found[0]!r} in the messages")
    if any(len(line) > _LONGEST_LINE for line in lines):
        faults.append("a message of more than 2000 characters")
    if outcome.peak > MEMORY:
        faults.append(f"{outcome.peak >> 20} MB of memory")
    return faults


State = dict[str, tuple[str, int, str]]


def _state(folder: Path) -> State:
    """Return kind, size and hash of everything in a folder, by its name there."""
    found: State = {}
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(parent, name)  # noqa: PTH118 - names need not be UTF-8
            status = os.lstat(path)
            content = ""
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:  # noqa: PTH123
                    content = (
                        hashlib.file_digest(file, "blake2b").hexdigest()
                        if sys.version_info >= (3, 11)
                        else (hashlib.blake2b(file.read()).hexdigest())
                    )
            size = status.st_size if content else 0
            found[os.path.relpath(path, folder)] = (stat.filemode(status.st_mode)[0], size, content)
    return found


def _file_faults(trial: Trial, outcome: Outcome, before: State, after: State, folder: Path) -> list[str]:
    """Return what is wrong with the files: changed inputs, leftovers, results that are not whole."""
    allowed = (*trial.results, *trial.may_change, "home")
    anything = ANYTHING in trial.results and outcome.code in (0, 3)
    new = [name for name in after if name not in before]
    changed = [name for name, state in before.items() if after.get(name) != state and not _is_in(name, allowed)]
    faults = [f"{name} was changed" if name in after else f"{name} is gone" for name in changed]
    faults += [f"{name} was left behind" for name in new
               if not (anything or _is_in(name, allowed)) or _is_leftover(name)]  # fmt: skip
    faults += [f"../{path.name} was written outside" for path in folder.parent.iterdir()
               if path.name not in (folder.name, _MESSAGES)]  # fmt: skip
    if outcome.code == 0:
        made = [folder / name for name in trial.results if not name.endswith("?") and name != ANYTHING]
        faults += [f"{path.name}: {fault}" for path in made for fault in _result_faults(path)]
    return [fault[:200] for fault in faults[:5]]


def _is_in(name: str, places: Iterable[str]) -> bool:
    return any(name == place or name.startswith(f"{place}/") for place in (place.rstrip("?") for place in places))


def _is_leftover(name: str) -> bool:
    """Return whether a file is one that only a run in progress needs."""
    parts = name.split("/")
    hidden = any(part.startswith(".") and part not in (".fomm",) for part in parts)
    return hidden or parts[0] == "tmp" or "/.fomm/runs/" in f"/{name}" or name.endswith((".part", ".tmp"))


def _result_faults(path: Path) -> list[str]:
    """Return why a result is not whole."""
    if not path.exists():
        return ["missing after exit code 0"]
    readers: dict[str, Callable[[Path], object]] = {
        ".mp4": _read_video, ".png": _read_picture, ".npz": _read_arrays, ".safetensors": _read_tensors,
    }  # fmt: skip
    try:
        readers.get(path.suffix, lambda _: None)(path)
    except Exception as error:  # noqa: BLE001 - whatever it is, the result cannot be read
        return [f"cannot be read: {type(error).__name__}"]
    return []


def _read_video(path: Path) -> None:
    import av

    with av.open(str(path)) as video:
        if not sum(1 for _ in video.decode(video=0)):
            raise ValueError("no frames")


def _read_picture(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as picture:
        picture.load()


def _read_arrays(path: Path) -> None:
    import numpy as np

    with np.load(path, allow_pickle=False) as file:
        dict(file.items())


def _read_tensors(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        list(file.keys())
