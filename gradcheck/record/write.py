"""Writing a record: verdicts as they arrive, in transactions of about half a second."""

from __future__ import annotations

import datetime
import platform
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from gradcheck.errors import UsageError
from gradcheck.record.fields import CASE_COLUMNS, VERDICT_COLUMNS, as_text, case_row, listed_case, verdict_row
from gradcheck.record.files import open_to_write, said_plainly, transaction
from gradcheck.record.run import COLUMNS, FACTS, Run, read_run
from gradcheck.verdict.ledger import Entry
from gradcheck.verdict.verdict import Verdict

__all__ = ["Recorder"]

BATCH_SECONDS = 0.5
"""Verdicts of so long are written at once: what a kill can lose, and what makes the disk's time a small part."""

_ADD_CASE = f"INSERT OR IGNORE INTO cases ({', '.join(CASE_COLUMNS)}) VALUES ({', '.join('?' * len(CASE_COLUMNS))})"
_ADD_ENTRY = "INSERT OR IGNORE INTO entries (fields) VALUES (?)"
# A case that is judged again in the same run counts once.
_ADD_VERDICT = (
    f"INSERT OR REPLACE INTO verdicts (run, case_id, entry, {', '.join(VERDICT_COLUMNS)}) VALUES "
    f"(?, (SELECT id FROM cases WHERE line = ?), (SELECT id FROM entries WHERE fields = ?), "
    f"{', '.join('?' * len(VERDICT_COLUMNS))})"
)

Judged = tuple[Verdict, "Entry | None"]
"""A verdict, and the ledger entry that covers it."""


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


class Recorder:
    """A record, opened to be written (made if it is not there); a context manager that commits what is waiting.

    Raises UsageError, the file being intact, where it cannot be used or written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._connection = open_to_write(self.path)
        self._run: int | None = None
        self._waiting: list[tuple[str, Sequence[Judged]]] = []
        self._committed = time.monotonic()

    def __enter__(self) -> Recorder:  # noqa: PYI034 - typing.Self is not in Python 3.10
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.commit()
        finally:
            self._connection.close()

    def begin(
        self,
        facts: dict[str, Any],
        selection: dict[str, Any],
        *,
        lines: Sequence[str] = (),
        name: str | None = None,
        started: str | None = None,
        host: str | None = None,
    ) -> Run:
        """Begin a run. facts: by the names of FACTS; selection: plain values; lines: of the cases it is
        to judge, where these do not follow from the selection; name: its uuid (a new one by default).
        """
        texts = {"devices": as_text(facts["devices"]), "precision": as_text(facts["precision"])}
        values = {
            "uuid": name or str(uuid.uuid4()),
            "started": started or now(),
            "host": platform.node() if host is None else host,
            **{fact: facts[fact] for fact in FACTS},
            **texts,
            "selection": as_text(selection),
        }
        with said_plainly(self.path), transaction(self._connection):
            places = ", ".join("?" * len(values))
            sql = f"INSERT INTO runs ({', '.join(values)}) VALUES ({places})"
            self._run = self._connection.execute(sql, tuple(values.values())).lastrowid
            self._plan(lines)
        return self.current()

    def resume(self) -> Run:
        """Take up the last unfinished run. Raises UsageError where there is none."""
        with said_plainly(self.path):
            sql = "SELECT id FROM runs WHERE finished IS NULL ORDER BY started DESC, id DESC LIMIT 1"
            row = self._connection.execute(sql).fetchone()
        if row is None:
            raise UsageError(f"record {self.path} holds no unfinished run to resume.")
        self._run = row[0]
        return self.current()

    def current(self) -> Run:
        """The run that is being written."""
        with said_plainly(self.path):
            sql = f"SELECT {', '.join(COLUMNS)} FROM runs WHERE id = ?"
            return read_run(self._connection.execute(sql, (self._run,)).fetchone())

    def planned(self) -> list[str]:
        """The lines of the cases that the run is to judge, in order, where it was begun with such."""
        with said_plainly(self.path):
            sql = "SELECT line FROM planned JOIN cases ON id = case_id WHERE run = ? ORDER BY place"
            return [line for (line,) in self._connection.execute(sql, (self._run,))]

    def done(self) -> set[str]:
        """Names of the pieces of the run that are done."""
        with said_plainly(self.path):
            return {name for (name,) in self._connection.execute("SELECT piece FROM done WHERE run = ?", (self._run,))}

    def add(self, piece: str, judged: Sequence[Judged]) -> None:
        """The verdicts of a piece that is done; written with its name, at once or with the next ones."""
        self._waiting.append((piece, judged))
        if time.monotonic() - self._committed >= BATCH_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Write what is waiting, in one transaction."""
        batch, self._waiting = self._waiting, []  # given up where it cannot be written: the next would not be either
        if batch:
            with said_plainly(self.path), transaction(self._connection):
                self._write(batch)
        self._committed = time.monotonic()

    def finish(self, finished: str | None = None) -> None:
        """Write what is waiting, and that the run is complete."""
        self.commit()
        with said_plainly(self.path), transaction(self._connection):
            self._connection.execute("UPDATE runs SET finished = ? WHERE id = ?", (finished or now(), self._run))

    def _plan(self, lines: Sequence[str]) -> None:
        self._connection.executemany(_ADD_CASE, [listed_case(line) for line in lines])
        self._connection.executemany(
            "INSERT INTO planned (run, place, case_id) VALUES (?, ?, (SELECT id FROM cases WHERE line = ?))",
            [(self._run, place, line) for place, line in enumerate(lines)],
        )

    def _write(self, batch: list[tuple[str, Sequence[Judged]]]) -> None:
        judged = [pair for _, pairs in batch for pair in pairs]
        texts = {entry: as_text(entry.as_json()) for _, entry in judged if entry is not None}
        self._connection.executemany(_ADD_CASE, dict.fromkeys(case_row(verdict) for verdict, _ in judged))
        self._connection.executemany(_ADD_ENTRY, [(text,) for text in texts.values()])
        rows = [
            (self._run, verdict.case, texts[entry] if entry else None, *verdict_row(verdict))
            for verdict, entry in judged
        ]
        self._connection.executemany(_ADD_VERDICT, rows)
        names = [(self._run, name) for name, _ in batch]
        self._connection.executemany("INSERT OR IGNORE INTO done VALUES (?, ?)", names)
