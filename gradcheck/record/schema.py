"""The tables of a record, and how a file written by an earlier gradcheck becomes one of today.

A new file is made by the same steps that an old one goes through, so the two cannot differ.
"""

from __future__ import annotations

import sqlite3

__all__ = ["APPLICATION", "MIGRATIONS", "SCHEMA", "migrate"]

APPLICATION = 0x67726463
"""``PRAGMA application_id``: "grdc", what tells a record from any other SQLite file."""

_FIRST = (
    # A run: what could matter to its verdicts. devices and precision are JSON objects, selection what was asked for.
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, started TEXT NOT NULL, finished TEXT, host TEXT NOT NULL,
        gradcheck TEXT NOT NULL, torch TEXT NOT NULL, numpy TEXT NOT NULL, python TEXT NOT NULL,
        platform TEXT NOT NULL, cpu_capability TEXT NOT NULL, blas TEXT NOT NULL, threads INTEGER NOT NULL,
        devices TEXT NOT NULL, precision TEXT NOT NULL, selection TEXT NOT NULL)""",
    # A case: its line, and the places on the axes that the line names.
    """CREATE TABLE cases (
        id INTEGER PRIMARY KEY, line TEXT NOT NULL UNIQUE, operation TEXT NOT NULL, mode TEXT NOT NULL,
        dtype TEXT NOT NULL, device TEXT NOT NULL, layout TEXT NOT NULL)""",
    "CREATE INDEX cases_of_operation ON cases (operation)",
    # A verdict. NULL ratios: nothing could be compared. witness and notes are JSON.
    """CREATE TABLE verdicts (
        run INTEGER NOT NULL REFERENCES runs, case_id INTEGER NOT NULL REFERENCES cases, output TEXT NOT NULL,
        status TEXT NOT NULL, error_over_bound REAL, error_over_storage_bound REAL, ulp REAL, digest TEXT NOT NULL,
        words TEXT NOT NULL, witness TEXT, notes TEXT, PRIMARY KEY (run, case_id, output)) WITHOUT ROWID""",
    # The pieces of work that are done, by name: what a run that goes on leaves out.
    """CREATE TABLE done (
        run INTEGER NOT NULL REFERENCES runs, piece TEXT NOT NULL, PRIMARY KEY (run, piece)) WITHOUT ROWID""",
)

_SECOND = (
    "ALTER TABLE cases ADD COLUMN setting TEXT NOT NULL DEFAULT 'default'",
    # A ledger entry as JSON, as it was when it covered a verdict.
    "CREATE TABLE entries (id INTEGER PRIMARY KEY, fields TEXT NOT NULL UNIQUE)",
    "ALTER TABLE verdicts ADD COLUMN seconds REAL",
    "ALTER TABLE verdicts ADD COLUMN entry INTEGER REFERENCES entries",
    # The cases of a run that was made from the cases of another, in order.
    """CREATE TABLE planned (
        run INTEGER NOT NULL REFERENCES runs, place INTEGER NOT NULL, case_id INTEGER NOT NULL REFERENCES cases,
        PRIMARY KEY (run, place)) WITHOUT ROWID""",
)

MIGRATIONS = (_FIRST, _SECOND)
"""Statements that lead from each version to the next; an empty file has version 0.

1: runs, cases, verdicts. 2: precision settings, the time a verdict took, ledger entries, runs of listed cases.
"""

SCHEMA = len(MIGRATIONS)
"""``PRAGMA user_version`` of the files that this gradcheck writes."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file of an earlier version (0: empty) to SCHEMA, in one transaction: all of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Asked here, since another process may have made or migrated the file meanwhile.
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
