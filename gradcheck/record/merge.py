"""Several records put together into one: those of several processes, of several machines."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from gradcheck.record.files import (
    address_of,
    current_file,
    open_to_read,
    open_to_write,
    said_plainly,
    transaction,
)

__all__ = ["Merged", "merge"]

# A run is known by its uuid everywhere. One that both files hold is taken once; of an unfinished one that went on
# elsewhere, what is missing is added. What is there already stays.
_STEPS = (
    """INSERT INTO main.runs ({runs}) SELECT {runs} FROM {other}.runs WHERE uuid NOT IN (SELECT uuid FROM main.runs)
        ORDER BY id""",
    """UPDATE main.runs SET finished = (SELECT finished FROM {other}.runs o WHERE o.uuid = main.runs.uuid)
        WHERE finished IS NULL AND uuid IN (SELECT uuid FROM {other}.runs)""",
    "INSERT OR IGNORE INTO main.cases ({cases}) SELECT {cases} FROM {other}.cases ORDER BY id",
    "INSERT OR IGNORE INTO main.entries (fields) SELECT fields FROM {other}.entries ORDER BY id",
    """INSERT OR IGNORE INTO main.verdicts (run, case_id, entry, {verdicts})
        SELECT r.id, c.id, e.id, {verdicts} FROM {other}.verdicts v
        JOIN {other}.runs ro ON ro.id = v.run JOIN main.runs r ON r.uuid = ro.uuid
        JOIN {other}.cases co ON co.id = v.case_id JOIN main.cases c ON c.line = co.line
        LEFT JOIN {other}.entries eo ON eo.id = v.entry LEFT JOIN main.entries e ON e.fields = eo.fields""",
    """INSERT OR IGNORE INTO main.planned (run, place, case_id) SELECT r.id, p.place, c.id FROM {other}.planned p
        JOIN {other}.runs ro ON ro.id = p.run JOIN main.runs r ON r.uuid = ro.uuid
        JOIN {other}.cases co ON co.id = p.case_id JOIN main.cases c ON c.line = co.line""",
    """INSERT OR IGNORE INTO main.done (run, piece) SELECT r.id, d.piece FROM {other}.done d
        JOIN {other}.runs ro ON ro.id = d.run JOIN main.runs r ON r.uuid = ro.uuid""",
)

AT_ONCE = 9
"""SQLite attaches ten files at most, unless it is built to attach more."""

_KEYS = {"runs": {"id"}, "cases": {"id"}, "verdicts": {"run", "case_id", "entry"}}


@dataclass(frozen=True)
class Merged:
    """What a merge did: how many runs and verdicts the result holds, and how many of them are new in it."""

    runs: int
    verdicts: int
    new_runs: int
    new_verdicts: int


def merge(sources: Sequence[str | Path], target: str | Path) -> Merged:
    """Add the runs of the sources to the target, which is made if it is not there; merging again adds nothing.

    One transaction (of at most AT_ONCE sources): raises UsageError for a source or target that is no usable record,
    and for a full disk, and the target is then as it was.
    """
    target = Path(target)
    for source in sources:
        open_to_read(Path(source)).close()
    is_new = not target.exists()
    others = [source for source in map(Path, sources) if is_new or not source.samefile(target)]
    with ExitStack() as stack:
        try:
            files = [stack.enter_context(current_file(source)) for source in others]
            connection = stack.enter_context(closing(open_to_write(target)))
            with said_plainly(target):
                before = _counts(connection)
                for start in range(0, len(files), AT_ONCE):
                    _add(connection, files[start : start + AT_ONCE])
                after = _counts(connection)
        except BaseException:
            stack.close()
            if is_new:
                target.unlink(missing_ok=True)
            raise
    return Merged(*after, after[0] - before[0], after[1] - before[1])


def _add(connection: sqlite3.Connection, files: Sequence[Path]) -> None:
    names = {table: _columns(connection, table) for table in _KEYS}
    for place, file in enumerate(files):
        connection.execute(f"ATTACH ? AS other{place}", (address_of(file, "ro"),))
    with transaction(connection):
        for place in range(len(files)):
            for step in _STEPS:
                connection.execute(step.format(**names, other=f"other{place}"))
    for place in range(len(files)):
        connection.execute(f"DETACH other{place}")


def _columns(connection: sqlite3.Connection, table: str) -> str:
    rows = connection.execute(f"PRAGMA main.table_info({table})")
    return ", ".join(row[1] for row in rows if row[1] not in _KEYS[table])


def _counts(connection: sqlite3.Connection) -> tuple[int, int]:
    runs, verdicts = (
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("runs", "verdicts")
    )
    return runs, verdicts
