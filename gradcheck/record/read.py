"""Reading a record: its runs, their verdicts, and worst and median figures worked out by SQLite."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from gradcheck.errors import UsageError, choices
from gradcheck.record.fields import CASE_COLUMNS, VERDICT_COLUMNS, read_verdict
from gradcheck.record.files import open_to_read, said_plainly
from gradcheck.record.run import COLUMNS, Run, read_run
from gradcheck.verdict.verdict import Verdict

__all__ = ["PLACE", "Figures", "Known", "Record", "Recorded", "file_and_run"]

PLACE = ("operation", "dtype", "mode", "device", "setting")
"""Axes by which figures are put together."""

SHORTEST_UUID = 4
"""Characters that name a run by its uuid; a shorter word is a number, there or not."""

_WHERE_FROM = "FROM verdicts v JOIN cases c ON c.id = v.case_id WHERE v.run = ?"
_COMPARED = f"{_WHERE_FROM} AND v.error_over_bound IS NOT NULL"


@dataclass(frozen=True)
class Recorded:
    """A verdict as it was recorded, and the ledger entry (its fields by name) that covered it then, if any."""

    verdict: Verdict
    entry: dict[str, Any] | None


@dataclass(frozen=True)
class Figures:
    """What was found at one place: names by axis, counts, and worst and median error/bound (NaN: nothing compared).

    statuses: how many verdicts by status; known: how many a ledger entry covers; seconds: of all its verdicts.
    """

    place: dict[str, str]
    verdicts: int
    cases: int
    known: int
    statuses: dict[str, int]
    worst: float
    median: float
    worst_storage: float
    worst_ulp: float
    seconds: float


@dataclass(frozen=True)
class Known:
    """A ledger entry (fields by name) that covered verdicts of a run, and how many."""

    fields: dict[str, Any]
    verdicts: int


class Record:
    """A record, opened to be read; a context manager. Raises UsageError for a file that is no usable record."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._connection = open_to_read(self.path)

    def __enter__(self) -> Record:  # noqa: PYI034 - typing.Self is not in Python 3.10
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def runs(self) -> list[Run]:
        """All runs, the oldest first."""
        return [read_run(row) for row in self.rows(f"SELECT {', '.join(COLUMNS)} FROM runs ORDER BY started, id")]

    def counts(self) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
        """By number of a run: its cases, its verdicts, those that are wrong, and those of them in the ledger."""
        wrong = "v.status IN ('deviates', 'raises', 'crashed', 'timed out')"
        sql = f"""SELECT run, count(DISTINCT case_id), count(*), total({wrong}), count(entry) FROM verdicts v
            GROUP BY run"""
        for run, cases, verdicts, bad, known in self.rows(sql):
            yield run, (cases, verdicts, int(bad), known)

    def run(self, word: str = "last") -> Run:
        """The run of a number, of the first characters of a uuid, or the ``last`` one. Raises UsageError."""
        runs = self.runs()
        if not runs:
            raise UsageError(f"record {self.path} holds no run.")
        if word == "last":
            return runs[-1]
        found = [run for run in runs if str(run.number) == word]
        if len(word) >= SHORTEST_UUID:
            found = found or [run for run in runs if run.uuid.startswith(word)]
        if len(found) != 1:
            fault = "is not known" if not found else "stands for several"
            uuid = f"the first characters of a uuid (at least {SHORTEST_UUID})"
            expected = choices([*(run.number for run in runs[-10:]), uuid, "last"])
            raise UsageError(f"record {self.path}: run {word!r} {fault}; expected {expected}.")
        return found[0]

    def verdicts(self, run: Run, **places: str) -> Iterator[Recorded]:
        """Verdicts of a run by case, then output; ``operation=…``, ``dtype=…`` and so on restrict them."""
        columns = ", ".join([f"c.{name}" for name in CASE_COLUMNS] + [f"v.{name}" for name in VERDICT_COLUMNS])
        restriction = "".join(f" AND {self._axis(name)} = ?" for name in places)
        sql = f"""SELECT e.fields, {columns} FROM verdicts v JOIN cases c ON c.id = v.case_id
            LEFT JOIN entries e ON e.id = v.entry WHERE v.run = ?{restriction} ORDER BY v.case_id, v.output"""
        for entry, *row in self.rows(sql, run.number, *places.values()):
            case, verdict = tuple(row[: len(CASE_COLUMNS)]), tuple(row[len(CASE_COLUMNS) :])
            yield Recorded(read_verdict(case, verdict), json.loads(entry) if entry else None)

    def figures(self, run: Run, by: tuple[str, ...] = PLACE) -> list[Figures]:
        """Worst and median of each place, in the order of their first cases; ``by``: columns of a case, ``output``."""
        axes = ", ".join(self._axis(name) for name in by)
        sums = f"""SELECT {axes}, count(*), count(DISTINCT v.case_id), count(v.entry), max(v.error_over_bound),
            max(v.error_over_storage_bound), max(v.ulp), total(v.seconds) {_WHERE_FROM}
            GROUP BY {axes} ORDER BY min(v.case_id), {axes}"""
        width = len(by)
        counts: dict[tuple[str, ...], dict[str, int]] = {}
        for *place, status, count in self.rows(
            f"SELECT {axes}, v.status, count(*) {_WHERE_FROM} GROUP BY {axes}, v.status", run.number
        ):
            counts.setdefault(tuple(place), {})[status] = count
        medians = {tuple(row[:width]): row[width] for row in self.rows(_medians(axes), run.number)}
        found = []
        for row in self.rows(sums, run.number):
            at = tuple(row[:width])
            verdicts, cases, known, worst, storage, ulp, seconds = row[width:]
            worst, middle, storage, ulp = (
                math.nan if number is None else number for number in (worst, medians.get(at), storage, ulp)
            )
            names = dict(zip(by, at, strict=True))
            found.append(Figures(names, verdicts, cases, known, counts[at], worst, middle, storage, ulp, seconds))
        return found

    def entries(self, run: Run, **places: str) -> list[Known]:
        """The ledger entries that covered verdicts of a run, the most used first."""
        restriction = "".join(f" AND {self._axis(name)} = ?" for name in places)
        sql = f"""SELECT e.fields, count(*) FROM verdicts v JOIN cases c ON c.id = v.case_id
            JOIN entries e ON e.id = v.entry WHERE v.run = ?{restriction} GROUP BY e.id ORDER BY count(*) DESC, e.id"""
        return [Known(json.loads(fields), count) for fields, count in self.rows(sql, run.number, *places.values())]

    def cases(self, run: Run) -> list[str]:
        """The lines of the cases that a run judged, or was to judge, in order."""
        sql = """SELECT line FROM cases WHERE id IN (SELECT case_id FROM verdicts WHERE run = ?1
            UNION SELECT case_id FROM planned WHERE run = ?1) ORDER BY id"""
        return [line for (line,) in self.rows(sql, run.number)]

    def rows(self, sql: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Rows of a query of one's own."""
        with said_plainly(self.path), closing(self._connection.execute(sql, values)) as cursor:
            yield from cursor

    def define(self, name: str, function: Callable[[str], str]) -> None:
        """Let queries of one's own call a function of one text."""
        self._connection.create_function(name, 1, function, deterministic=True)

    def _axis(self, name: str) -> str:
        if name not in (*CASE_COLUMNS, "output", "status"):
            raise UsageError(f"axis {name!r} is not known; expected {choices([*CASE_COLUMNS, 'output', 'status'])}.")
        return name


def _medians(axes: str) -> str:
    """The mean of the one or two middle ratios of each place."""
    return f"""WITH ranked AS (SELECT {axes}, v.error_over_bound AS ratio,
            row_number() OVER (PARTITION BY {axes} ORDER BY v.error_over_bound) AS place,
            count(*) OVER (PARTITION BY {axes}) AS total {_COMPARED})
        SELECT {axes}, avg(ratio) FROM ranked WHERE place IN ((total + 1) / 2, (total + 2) / 2) GROUP BY {axes}"""


def file_and_run(word: str) -> tuple[Path, str]:
    """``FILE`` or ``FILE:RUN`` taken apart; without RUN it is the last one. A file of the whole name wins."""
    file, colon, run = word.rpartition(":")
    if not colon or Path(word).exists() or not file or not run:
        return Path(word), "last"
    return Path(file), run
