"""The journal of a result folder: what runs may do beside and after one another."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from fomm_cli.animation.options import AnimateJob
from fomm_cli.batch.journal import Decision, Journal, Outcome, read_journal
from fomm_cli.batch.names import result_names
from fomm_cli.batch.plan import Pair
from fomm_cli.errors import FommError

PAIR = Pair("a--b.mp4", AnimateJob(Path("a.png"), Path("b.mp4")), key="k1")
OTHER_OPTIONS = Pair("a--b.mp4", AnimateJob(Path("a.png"), Path("b.mp4"), crf=3), key="k2")
OUTCOME = Outcome(50, 2.5, "cpu", "c0ffee", ("dark",), b"webm")

DIES = """
import os, sys
from pathlib import Path
from fomm_cli.animation.options import AnimateJob
from fomm_cli.batch.journal import Journal
from fomm_cli.batch.plan import Pair
folder = Path(sys.argv[1])
journal = Journal(folder, overwrite=sys.argv[2] == "overwriting")
print(journal.claim(Pair("a--b.mp4", AnimateJob(Path("a.png"), Path("b.mp4")), key="k1")).name)
(journal.folder / "1").mkdir()
(journal.folder / "1" / "half.mp4").write_text("half")
if sys.argv[2] == "moved":
    (folder / "a--b.mp4").write_text("whole")
os._exit(9)
"""


@contextmanager
def opened(folder: Path, *, overwrite: bool = False) -> Iterator[Journal]:
    journal = Journal(folder, overwrite=overwrite)
    try:
        yield journal
    finally:
        journal.close()


def make(folder: Path, pair: Pair = PAIR) -> None:
    """A run that makes the result."""
    with opened(folder) as journal:
        assert journal.claim(pair) is Decision.OURS
        (folder / pair.name).write_text("whole")
        journal.finish(pair, OUTCOME, 1)


def test_what_is_done_is_done_for_later_runs(tmp_path: Path) -> None:
    make(tmp_path)
    with opened(tmp_path) as journal:
        assert journal.claim(PAIR) is Decision.DONE
        (record,) = journal.records()
    assert (record.state, record.frames, record.seconds, record.device) == ("done", 50, 2.5, "cpu")
    assert (record.checkpoint, record.warnings, record.thumbnail, record.attempts) == ("c0ffee", ("dark",), b"webm", 1)


def test_a_result_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / PAIR.name).unlink()
    make(tmp_path)


def test_other_options_and_foreign_files_are_in_the_way_unless_overwritten(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "c--d.mp4").write_text("somebody's")
    foreign = Pair("c--d.mp4", PAIR.job, key="k3")
    with opened(tmp_path) as journal:
        assert journal.claim(OTHER_OPTIONS) is Decision.IN_THE_WAY
        assert journal.claim(foreign) is Decision.IN_THE_WAY
    with opened(tmp_path, overwrite=True) as journal:
        assert journal.claim(PAIR) is Decision.DONE
        assert journal.claim(OTHER_OPTIONS) is Decision.OURS
        assert journal.claim(foreign) is Decision.OURS


def test_a_result_that_somebody_changed_is_not_taken_for_ours(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / PAIR.name).write_text("edited since")
    with opened(tmp_path) as journal:
        assert journal.claim(PAIR) is Decision.IN_THE_WAY


def test_two_runs_share_the_work(tmp_path: Path) -> None:
    with opened(tmp_path) as first:
        assert first.claim(PAIR) is Decision.OURS
        with opened(tmp_path) as second:
            assert second.claim(PAIR) is Decision.ELSEWHERE
            assert first.folder.is_dir()
            first.fail(PAIR, "too dark", 1)
            assert second.claim(PAIR) is Decision.FAILED
            assert second.error_of(PAIR) == "too dark"
    with opened(tmp_path) as later:
        assert later.claim(PAIR) is Decision.OURS


def test_a_run_that_ends_gives_back_what_it_has_not_finished(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    first.claim(PAIR)
    with opened(tmp_path) as second:
        assert second.claim(PAIR) is Decision.ELSEWHERE
        first.close()
        assert second.claim(PAIR) is Decision.OURS


def die(folder: Path, how: str) -> None:
    done = subprocess.run([sys.executable, "-c", DIES, str(folder), how], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (9, "OURS"), done.stderr


def test_a_run_that_was_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    die(tmp_path, "half")
    with opened(tmp_path) as journal:
        assert list(journal.folder.parent.iterdir()) == [journal.folder]
        assert journal.claim(PAIR) is Decision.OURS


def test_a_result_moved_into_place_just_before_the_kill_counts(tmp_path: Path) -> None:
    die(tmp_path, "moved")
    with opened(tmp_path) as journal:
        assert journal.claim(PAIR) is Decision.DONE
        assert [record.state for record in journal.records()] == ["done"]


def test_a_file_that_was_there_before_a_kill_does_not_count(tmp_path: Path) -> None:
    (tmp_path / PAIR.name).write_text("somebody's")
    die(tmp_path, "overwriting")
    with opened(tmp_path, overwrite=True) as journal:
        assert journal.claim(PAIR) is Decision.OURS


def test_an_old_result_stays_known_when_it_cannot_be_made_anew(tmp_path: Path) -> None:
    make(tmp_path)
    with opened(tmp_path) as journal:
        journal.fail(OTHER_OPTIONS, "in the way", 0)
        (record,) = journal.records()
        assert (record.state, record.error, record.frames) == ("done", "in the way", 50)
        assert journal.claim(PAIR) is Decision.DONE
        assert journal.records()[0].error == ""


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE results SET warnings = 'x'",
        "UPDATE results SET frames = 'many'",
        "UPDATE results SET thumbnail = 'x', attempts = 'often'",
        "UPDATE results SET error = x'ff'",
        "ALTER TABLE results DROP COLUMN device",
    ],
)
def test_a_damaged_journal_is_named(damage: str, tmp_path: Path) -> None:
    make(tmp_path)
    with closing(sqlite3.connect(tmp_path / ".fomm" / "journal.sqlite")) as database:
        database.execute(damage)
        database.commit()
    with opened(tmp_path) as journal, pytest.raises(FommError, match=r"journal\.sqlite is damaged"):
        journal.records()


def test_a_journal_that_is_no_database_is_named(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / ".fomm" / "journal.sqlite").write_bytes(b"SQLite format 3\x00" + bytes(range(256)) * 40)
    with pytest.raises(FommError, match="delete it, and give --overwrite"):
        Journal(tmp_path)
    with pytest.raises(FommError, match=r"journal\.sqlite is damaged"):
        read_journal(tmp_path)


def test_names_that_are_not_utf8_are_noted(tmp_path: Path) -> None:
    job = AnimateJob(Path(os.fsdecode(b"s\xff.png")), Path("b.mp4"))
    with opened(tmp_path) as journal:
        journal.fail(Pair(*result_names([job], [".mp4"]), job, key="k"), "no face", 1)
        (record,) = journal.records()
    assert record.source == r"s\xff.png"
    record.name.encode()


VERSION_0_1_0 = """
CREATE TABLE results (
    name TEXT PRIMARY KEY, key TEXT NOT NULL, source TEXT NOT NULL, driving TEXT NOT NULL,
    state TEXT NOT NULL, run TEXT NOT NULL, changed REAL NOT NULL, in_the_way TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '', size INTEGER,
    frames INTEGER, seconds REAL, device TEXT, checkpoint TEXT, warnings TEXT NOT NULL DEFAULT '[]', thumbnail BLOB
);
INSERT INTO results VALUES ('a--b.mp4', 'k1', 'a.png', 'b.mp4', 'done', '0f', 1.5, '', 1, '', 5, 50, 2.5, 'cpu',
    'c0ffee', '["dark"]', x'7765626d');
INSERT INTO results VALUES ('c--b.mp4', 'k2', 'c.png', 'b.mp4', 'failed', '0f', 1.5, '', 3, 'no face', NULL, NULL,
    NULL, NULL, NULL, '[]', NULL);
"""


def test_journal_of_version_0_1_0_is_read_and_continued(tmp_path: Path) -> None:
    (tmp_path / ".fomm").mkdir()
    with closing(sqlite3.connect(tmp_path / ".fomm" / "journal.sqlite")) as database:
        database.executescript(VERSION_0_1_0)
    (tmp_path / PAIR.name).write_text("whole")
    with opened(tmp_path) as journal:
        done, failed = journal.records()
        assert (done.name, done.frames, done.warnings, done.thumbnail) == (PAIR.name, 50, ("dark",), b"webm")
        assert (failed.state, failed.error, failed.frames) == ("failed", "no face", None)
        assert journal.claim(PAIR) is Decision.DONE
        assert journal.claim(OTHER_OPTIONS) is Decision.IN_THE_WAY
        assert journal.claim(Pair("c--b.mp4", PAIR.job, key="k2")) is Decision.OURS
