"""Keep a journal of a result folder in SQLite: which results are done, and which run works on which pair.

A run is alive as long as it holds the lock on its own lock file, which the system releases however the run ends. Its
unfinished work is in its own folder, which the next run removes once the lock is free.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path

from filelock import FileLock, Timeout

from fomm_cli.batch.names import text_of
from fomm_cli.batch.plan import Pair
from fomm_cli.errors import FommError, InputError

FOLDER = ".fomm"
_PATIENCE = 60  # seconds to wait while another run writes

_TABLE = """
CREATE TABLE IF NOT EXISTS results (
    name TEXT PRIMARY KEY, key TEXT NOT NULL, source TEXT NOT NULL, driving TEXT NOT NULL,
    state TEXT NOT NULL, run TEXT NOT NULL, changed REAL NOT NULL, in_the_way TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '', size INTEGER,
    frames INTEGER, seconds REAL, device TEXT, checkpoint TEXT, warnings TEXT NOT NULL DEFAULT '[]', thumbnail BLOB
)"""
_INSERT = """
INSERT OR REPLACE INTO results (name, key, source, driving, state, run, changed, in_the_way, error, attempts)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_DONE = """
UPDATE results SET state = 'done', changed = ?, size = ?, frames = ?, seconds = ?, device = ?, checkpoint = ?,
warnings = ?, thumbnail = ?, attempts = ? WHERE name = ? AND run = ?"""


class Decision(Enum):
    """The decision about a pair: whether this run is to make it."""

    OURS = "to do"
    DONE = "done"
    FAILED = "failed"
    ELSEWHERE = "another run works on it"
    IN_THE_WAY = "in the way"


@dataclass(frozen=True)
class Outcome:
    """The facts about a finished result.

    Attributes:
        frames: number of frames.
        seconds: duration of the work, without loading the model.
        device: the device that it was made on.
        checkpoint: SHA-256 of the weights.
        warnings: one line each.
        thumbnail: a small WebM; empty if there is none.
    """

    frames: int
    seconds: float
    device: str
    checkpoint: str
    warnings: tuple[str, ...] = ()
    thumbnail: bytes = b""


@dataclass(frozen=True)
class Record:
    """A row of the journal; unknown values are None."""

    name: str
    source: str
    driving: str
    state: str
    attempts: int
    error: str  # with the state done: why it cannot be made again
    frames: int | None
    seconds: float | None
    device: str | None
    checkpoint: str | None
    warnings: tuple[str, ...]
    thumbnail: bytes | None


class Journal:
    """The journal of a result folder, opened by one run."""

    def __init__(self, results: Path, *, overwrite: bool = False) -> None:
        """Open the journal, and remove what dead runs have left.

        Raises:
            InputError: the folder cannot be created or written to.
        """
        self._results = results
        self._overwrite = overwrite
        self._began = time.time()
        self.run = secrets.token_hex(8)
        folder = results / FOLDER
        self.folder = folder / "runs" / self.run
        self.motion_folder = folder / "motion"
        self.parts_folder = folder / "parts"
        try:
            for needed in (folder / "runs", self.motion_folder, self.parts_folder):
                needed.mkdir(parents=True, exist_ok=True)
            self._path = folder / "journal.sqlite"
            self._database = _connect(self._path)
            self._starting = FileLock(folder / "lock")
            with self._starting:  # another run would take one without a lock for dead
                self._remove_stale_runs()
                self.folder.mkdir()
                self._lock = FileLock(self.folder / "lock")
                self._lock.acquire()
        except OSError as error:
            raise InputError(f"{results} cannot be written to: {error.strerror}", "Choose another folder") from error

    def close(self, *, all_done: bool = False) -> None:
        """Release claimed pairs and remove unfinished work; with `all_done` also the parts for a restart."""
        try:
            with self._changing() as database:
                database.execute("DELETE FROM results WHERE run = ? AND state = 'running'", (self.run,))
        finally:
            self._database.close()
            with self._starting:
                self._lock.release()
                shutil.rmtree(self.folder, ignore_errors=True)
                if all_done and not any(self.folder.parent.iterdir()):
                    shutil.rmtree(self.parts_folder, ignore_errors=True)

    def _remove_stale_runs(self) -> None:
        for folder in (self._results / FOLDER / "runs").iterdir():
            if not _is_locked(folder / "lock"):
                shutil.rmtree(folder, ignore_errors=True)

    def _is_alive(self, run: str) -> bool:
        if run == self.run:
            return True
        with self._starting:
            folder = self.folder.parent / run
            return folder.is_dir() and _is_locked(folder / "lock")

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Make one change, whole or not at all, while no other run makes one."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.rollback()
                raise
            self._database.commit()
        except sqlite3.Error as error:
            raise _unusable(self._path, error) from error

    def claim(self, pair: Pair) -> Decision:
        """Claim a pair, unless it is done, another run works on it, or a foreign file is in its place."""
        with self._changing() as database:
            decision = self._judge(pair)
            if decision is Decision.OURS:
                self._insert(database, pair, "running")
            elif decision is Decision.DONE:  # perhaps moved into place just before a crash, and not noted yet
                size = _size(self._results / pair.name)
                stale = "(state != 'done' OR error != '')"
                change = f"UPDATE results SET state = 'done', error = '', size = ? WHERE name = ? AND {stale}"  # noqa: S608
                database.execute(change, (size, pair.name))
            return decision

    def _judge(self, pair: Pair) -> Decision:
        now = self._signature(pair.name)
        query = "SELECT key, state, run, changed, in_the_way, size FROM results WHERE name = ?"
        row = self._database.execute(query, (pair.name,)).fetchone()
        if row is not None:
            key, state, run, changed, in_the_way, size = row
            if state == "running" and self._is_alive(run):
                return Decision.ELSEWHERE
            if key == pair.key:
                moved = state == "running" and now not in ("", in_the_way)
                if moved or (state == "done" and now and _size(self._results / pair.name) == size):
                    return Decision.DONE
                if state == "failed" and changed >= self._began:
                    return Decision.FAILED
        return Decision.IN_THE_WAY if now and not self._overwrite else Decision.OURS

    def _insert(self, database: sqlite3.Connection, pair: Pair, state: str, error: str = "", attempts: int = 0) -> None:
        places = (pair.name, pair.key, text_of(pair.job.source_image), text_of(pair.job.driving_video))
        now = self._signature(pair.name)
        database.execute(_INSERT, (*places, state, self.run, time.time(), now, error, attempts))

    def finish(self, pair: Pair, outcome: Outcome, attempts: int) -> None:
        """Note that the result is in its place."""
        size = _size(self._results / pair.name)
        with self._changing() as database:
            known = (outcome.frames, outcome.seconds, outcome.device, outcome.checkpoint)
            extras = (json.dumps(outcome.warnings), outcome.thumbnail, attempts)
            database.execute(_DONE, (time.time(), size, *known, *extras, pair.name, self.run))

    def fail(self, pair: Pair, error: str, attempts: int) -> None:
        """Note why there is no result; the result of an earlier run stays done, with the error beside it."""
        with self._changing() as database:
            beside = "UPDATE results SET error = ? WHERE name = ? AND state = 'done'"
            if not database.execute(beside, (error, pair.name)).rowcount:
                self._insert(database, pair, "failed", error, attempts)

    def error_of(self, pair: Pair) -> str:
        """Return why another run could not make the result."""
        with _reading(self._path):
            row = self._database.execute("SELECT error FROM results WHERE name = ?", (pair.name,)).fetchone()
        return str(row[0]) if row else ""

    def records(self) -> list[Record]:
        """Return all results of the folder that are done or failed, by name."""
        from pydantic import TypeAdapter

        names = [field.name for field in fields(Record)]
        query = f"SELECT {', '.join(names)} FROM results WHERE state != 'running' ORDER BY name"  # noqa: S608
        record = TypeAdapter(Record)
        with _reading(self._path):
            found = [dict(zip(names, row, strict=True)) for row in self._database.execute(query)]
            return [record.validate_python({**values, "warnings": json.loads(values["warnings"])}) for values in found]

    def _signature(self, name: str) -> str:
        """Return a text that changes with the file; "" where there is none."""
        try:
            found = (self._results / name).stat()
        except OSError:
            return ""
        return f"{found.st_mtime_ns}:{found.st_size}:{found.st_ino}"


def _is_locked(path: Path) -> bool:
    """Return whether a process holds a lock; the folder must exist, since the file would be created."""
    try:
        with FileLock(path).acquire(timeout=0):
            return False
    except Timeout:
        return True


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise FommError, with the path of the journal, where something in it cannot be read or has a wrong type."""
    try:
        yield
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise _unusable(path, error) from error


def _connect(path: Path) -> sqlite3.Connection:
    with _reading(path):
        database = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        try:
            database.execute(_TABLE)
        except sqlite3.Error:
            database.close()
            raise
    return database


def _unusable(path: Path, error: Exception) -> FommError:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, sqlite3.OperationalError) and ("full" in text or "disk I/O" in text):
        return FommError(
            f"the journal {path} cannot be written: {text}", "Free disk space; the same command then continues"
        )
    return FommError(
        f"the journal {path} is damaged or of another version: {text}",
        "Choose another --result_dir; or delete it, and give --overwrite to make the results again",
    )


def _size(path: Path) -> int:
    """Return the bytes of a file, or of the files in a folder."""
    return sum(child.stat().st_size for child in path.iterdir()) if path.is_dir() else path.stat().st_size


def read_journal(results: Path) -> dict[str, tuple[str, str]]:
    """Return state and key of each result by name, without starting a run; empty without a journal."""
    path = results / FOLDER / "journal.sqlite"
    if not path.exists():
        return {}
    with _reading(path), closing(sqlite3.connect(path, timeout=_PATIENCE)) as database:
        return {name: (state, key) for name, state, key in database.execute("SELECT name, state, key FROM results")}
