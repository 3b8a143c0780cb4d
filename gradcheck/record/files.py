"""Opening a record, and what SQLite's errors mean to a user.

A record is one file with a rollback journal: it can be copied, mailed and merged as it is, and what was committed
survives a kill. (A write-ahead log would keep the newest verdicts in a second file.)
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from gradcheck.errors import UsageError
from gradcheck.record.schema import APPLICATION, SCHEMA, migrate

__all__ = ["address_of", "current_file", "open_to_read", "open_to_write", "said_plainly", "transaction"]

BUSY_SECONDS = 30.0
"""How long to wait for another process that writes into the same file."""

MEANINGS = (
    ("disk is full", "there is no room left on the disk; what was recorded before is intact"),
    ("readonly", "it cannot be written"),
    ("unable to open", "it cannot be opened"),
    ("locked", f"another process has been writing to it for more than {BUSY_SECONDS:.0f} s"),
    ("not a database", "it is no SQLite file, or a damaged one"),
    ("malformed", "the file is damaged"),
    ("disk i/o", "the disk reports an error; what was recorded before is intact"),
    ("no such table", "it lacks a table of a record: the file is damaged"),
    ("no such column", "it lacks a column of a record: the file is damaged"),
)
"""Words in SQLite's messages, and what to say. (Error codes reach Python from 3.11 on only.)"""


@contextmanager
def said_plainly(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a UsageError that names the file and says what is wrong with it."""
    try:
        yield
    except sqlite3.Error as error:
        words = str(error)
        meaning = next((said for known, said in MEANINGS if known in words.lower()), words)
        raise UsageError(f"record {path}: {meaning}.") from error


def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that cannot change the file. A file of an earlier version is migrated in memory.

    Raises UsageError for a file that is not there, damaged, foreign or of a newer gradcheck.
    """
    if not path.is_file():
        raise UsageError(f"record {path}: there is no such file.")
    with said_plainly(path):
        try:
            connection = _connect(path, "ro")
            version = _version(connection, path)
        except sqlite3.OperationalError:
            # A killed writer may have left a journal, which a reader may not roll back; a writer does on opening.
            if not path.with_name(path.name + "-journal").exists():
                raise
            with _closing(_connect(path, "rw")) as recovering:
                _version(recovering, path)
            connection = _connect(path, "ro")
            version = _version(connection, path)
        if not version:
            raise UsageError(f"record {path} is empty.")
        if version == SCHEMA:
            return connection
        copy = sqlite3.connect(":memory:", isolation_level=None)
        with _closing(connection):
            connection.backup(copy)
        migrate(copy)
        return copy


def open_to_write(path: Path) -> sqlite3.Connection:
    """A connection to a record that is made, or migrated, if need be.

    Raises UsageError where that cannot be done, the file being left as it was.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"record {path}: expected a file in an existing folder.")
    # SQLite opens what it may not write for reading, and root may write everything: ask the file itself.
    if path.exists() and (not os.access(path, os.W_OK) or not path.stat().st_mode & 0o222):
        raise UsageError(f"record {path}: it cannot be written.")
    with said_plainly(path):
        connection = _connect(path, "rwc")
        try:
            version = _version(connection, path)
            if version and (flaw := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise UsageError(f"record {path}: the file is damaged ({' '.join(flaw.split())}).")
            if version < SCHEMA:
                migrate(connection)
        except BaseException:
            connection.close()
            raise
        # What is committed survives a power cut; some builds of SQLite ask for less.
        connection.execute("PRAGMA synchronous = FULL")
        return connection


@contextmanager
def current_file(path: Path) -> Iterator[Path]:
    """A file of today's schema that can be attached: the file itself, or for an earlier version a migrated copy."""
    with _closing(open_to_read(path)) as connection:
        if connection.execute("PRAGMA database_list").fetchone()[2]:
            yield path
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "migrated.db"
            with _closing(_connect(copy, "rwc")) as target:
                connection.backup(target)
            yield copy


def address_of(path: Path, how: str) -> str:
    """The address of a file for SQLite; how: ``ro``, ``rw`` or ``rwc`` (made if it is not there)."""
    return f"file:{quote(str(path.absolute()))}?mode={how}"


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing; waits for other writers at its beginning."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself rolls back where the disk is full
            connection.execute("ROLLBACK")
        raise


def _connect(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(address_of(path, how), uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """The schema of a record; 0 for a file with nothing in it. Raises UsageError for a foreign or newer file."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not tables and not application:
        return 0
    if application != APPLICATION:
        raise UsageError(f"record {path} is an SQLite file of another program; expected one that gradcheck wrote.")
    if version > SCHEMA:
        raise UsageError(
            f"record {path} has schema {version} and was written by a newer gradcheck; this one knows up to {SCHEMA}."
        )
    return int(version)


@contextmanager
def _closing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    finally:
        connection.close()
