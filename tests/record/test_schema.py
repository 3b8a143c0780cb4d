"""A file of every earlier version is read and goes on being written; what is no record is refused and left alone."""

import sqlite3
from contextlib import closing

import pytest

from gradcheck.errors import UsageError
from gradcheck.record.files import open_to_read, open_to_write
from gradcheck.record.read import Record
from gradcheck.record.schema import APPLICATION, MIGRATIONS, SCHEMA, migrate
from gradcheck.record.write import Recorder
from tests.record.synthetic import record, verdict

OLD = """
CREATE TABLE runs (id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, started TEXT NOT NULL, finished TEXT,
    host TEXT NOT NULL, gradcheck TEXT NOT NULL, torch TEXT NOT NULL, numpy TEXT NOT NULL, python TEXT NOT NULL,
    platform TEXT NOT NULL, cpu_capability TEXT NOT NULL, blas TEXT NOT NULL, threads INTEGER NOT NULL,
    devices TEXT NOT NULL, precision TEXT NOT NULL, selection TEXT NOT NULL);
CREATE TABLE cases (id INTEGER PRIMARY KEY, line TEXT NOT NULL UNIQUE, operation TEXT NOT NULL, mode TEXT NOT NULL,
    dtype TEXT NOT NULL, device TEXT NOT NULL, layout TEXT NOT NULL);
CREATE INDEX cases_of_operation ON cases (operation);
CREATE TABLE verdicts (run INTEGER NOT NULL REFERENCES runs, case_id INTEGER NOT NULL REFERENCES cases,
    output TEXT NOT NULL, status TEXT NOT NULL, error_over_bound REAL, error_over_storage_bound REAL, ulp REAL,
    digest TEXT NOT NULL, words TEXT NOT NULL, witness TEXT, notes TEXT, PRIMARY KEY (run, case_id, output))
    WITHOUT ROWID;
CREATE TABLE done (run INTEGER NOT NULL REFERENCES runs, piece TEXT NOT NULL, PRIMARY KEY (run, piece)) WITHOUT ROWID;
INSERT INTO runs VALUES (1, 'b1', '2026-01-01T00:00:00+00:00', NULL, 'h', '0.0.1', '2.9.0', '2.1.0', '3.11.0', 'Linux',
    'AVX2', 'mkl', 1, '{"cpu":{}}', '{}', '{}');
INSERT INTO cases VALUES (1, 'softmax(x=ordinary(3)) seed=0 dtype=float32', 'softmax', 'backward', 'float32', 'cpu',
    'contiguous');
INSERT INTO verdicts VALUES (1, 1, 'value', 'agrees', 0.25, 0.25, 0.5, 'aa', '', NULL, NULL);
INSERT INTO done VALUES (1, 'first piece');
PRAGMA user_version = 1;
"""
"""A record as version 1 wrote it. It is history: never to be changed."""


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLD + f"PRAGMA application_id = {APPLICATION};")
    return path


def columns(connection):
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {table: {row[1] for row in connection.execute(f"PRAGMA table_info({table})")} for table in tables}


def test_an_old_file_is_read_and_not_changed(old):
    before = old.read_bytes()
    with Record(old) as found:
        (run,) = found.runs()
        (recorded,) = found.verdicts(run)
    assert recorded.verdict.setting == "default"
    assert recorded.verdict.error_over_bound == 0.25
    assert recorded.entry is None
    assert old.read_bytes() == before


def test_an_old_file_goes_on_being_written(old):
    with Recorder(old) as recorder:
        assert recorder.resume().uuid == "b1"
        assert recorder.done() == {"first piece"}
        recorder.add("second piece", [(verdict(setting="tf32"), None)])
        recorder.finish()
    with Record(old) as found:
        assert [r.verdict.setting for r in found.verdicts(found.run())] == ["default", "tf32"]


def test_a_migrated_file_has_the_columns_of_a_new_one(old, tmp_path):
    with closing(open_to_write(old)) as migrated, closing(open_to_write(tmp_path / "new.db")) as new:
        assert columns(migrated) == columns(new)
        assert migrated.execute("PRAGMA user_version").fetchone() == (SCHEMA,)


def test_a_migration_that_fails_leaves_the_old_file(old, monkeypatch):
    before = old.read_bytes()
    monkeypatch.setattr("gradcheck.record.schema.MIGRATIONS", (MIGRATIONS[0], (*MIGRATIONS[1], "CREATE nonsense")))
    with pytest.raises(UsageError, match=r"record .*old\.db: near"):
        open_to_write(old)
    assert old.read_bytes() == before


def test_a_file_that_two_processes_make_at_once_is_made_once(tmp_path):
    path = tmp_path / "f.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as late:
        record(path)
        migrate(late)
    with Record(path) as found:
        assert len(found.runs()) == 1


def damaged(path):
    record(path, cases=200)
    content = bytearray(path.read_bytes())
    content[4096 : len(content) // 2] = bytes(len(content) // 2 - 4096)
    path.write_bytes(bytes(content))


def foreign(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE cookies (id)")


def newer(path):
    record(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")


def text(path):
    path.write_text("no database, but long enough to be looked at\n" * 100, encoding="utf-8")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (damaged, "the file is damaged"),
        (foreign, "is an SQLite file of another program"),
        (newer, f"has schema {SCHEMA + 1} and was written by a newer gradcheck; this one knows up to {SCHEMA}"),
        (text, "it is no SQLite file, or a damaged one"),
    ],
)
def test_what_is_no_usable_record_is_refused_and_left_alone(tmp_path, make, words):
    path = tmp_path / "f.db"
    make(path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=words):
        open_to_write(path)
    with pytest.raises(UsageError, match=words), Record(path) as found:
        list(found.verdicts(found.run()))
    assert path.read_bytes() == before


def test_a_file_that_is_not_there_or_empty(tmp_path):
    with pytest.raises(UsageError, match="there is no such file"):
        open_to_read(tmp_path / "none.db")
    (tmp_path / "empty.db").touch()
    with pytest.raises(UsageError, match="is empty"):
        open_to_read(tmp_path / "empty.db")
    with pytest.raises(UsageError, match="expected a file in an existing folder"):
        open_to_write(tmp_path / "no folder" / "f.db")


def test_a_read_only_file_is_refused_for_writing_only(tmp_path):
    path = tmp_path / "f.db"
    record(path)
    path.chmod(0o444)
    with pytest.raises(UsageError, match="it cannot be written"):
        open_to_write(path)
    with Record(path) as found:
        assert list(found.verdicts(found.run()))
