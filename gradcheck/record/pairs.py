"""The same cases in two runs, output by output, read from their records side by side."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gradcheck.cases.case import AXES
from gradcheck.cases.line import line_on
from gradcheck.record.read import PLACE, Record
from gradcheck.record.run import Run

__all__ = ["MOVABLE", "Finding", "Pair", "axes_across", "pairs"]

MOVABLE = ("device", "setting")
"""Axes across which two runs are compared where each has one word on it, and not the same."""

NOTHING_TO_SEE = ("raises", "crashed", "timed out", "unsupported", "absent")
"""Statuses of a case of which no output was seen: its one verdict stands for all outputs."""


@dataclass(frozen=True)
class Finding:
    """What one run found about one output of a case. ratio: error/bound, None where nothing was compared."""

    case: str
    output: str
    status: str
    ratio: float | None
    digest: str
    known: bool


@dataclass(frozen=True)
class Pair:
    """One output of a case in both runs; place: words on the axes of PLACE, before and after if they differ."""

    place: tuple[str, ...]
    output: str
    before: Finding
    after: Finding


@dataclass
class _Case:
    """A case of one run: its key, place, and findings by output."""

    key: str
    place: tuple[str, ...]
    findings: dict[str, Finding]

    def finding(self, output: str) -> Finding | None:
        """That of an output, or the one that says why there is none."""
        there = self.findings.get(output)
        return there or next((found for found in self.findings.values() if found.status in NOTHING_TO_SEE), None)


def axes_across(before: Record, run: Run, after: Record, other: Run) -> dict[str, tuple[str, str]]:
    """The MOVABLE axes on which each run lies at one place, and the two differ; with both places."""
    across = {}
    for axis in MOVABLE:
        first, second = (_words(record, one, axis) for record, one in ((before, run), (after, other)))
        if len(first) == len(second) == 1 and first != second:
            across[axis] = (*first, *second)
    return across


def _words(record: Record, run: Run, axis: str) -> tuple[str, ...]:
    sql = f"SELECT DISTINCT {axis} FROM verdicts JOIN cases ON id = case_id WHERE run = ?"
    return tuple(word for (word,) in record.rows(sql, run.number))


def pairs(
    before: Record,
    run: Run,
    after: Record,
    other: Run,
    across: dict[str, tuple[str, str]],
    alone: Callable[[str, str], None],
) -> Iterator[Pair]:
    """Every output that both runs judged in the same case.

    alone: is told the side (``before`` or ``after``) and the operation of each case, or output, that only one run has.
    """
    moved = {axis: AXES[axis] for axis in across}

    def key(line: str) -> str:
        return line_on(line, **moved) if moved else line

    for record in {id(before): before, id(after): after}.values():
        record.define("recipe", key)
    for first, second in _side_by_side(_cases(before, run), _cases(after, other)):
        if first is None or second is None:
            lone = first or second
            assert lone is not None
            alone("before" if first else "after", lone.place[0])
            continue
        place = tuple(
            was if was == now else f"{was} → {now}" for was, now in zip(first.place, second.place, strict=True)
        )
        for output in _outputs(first, second):
            was, now = first.finding(output), second.finding(output)
            if was is None or now is None:
                alone("before" if was else "after", place[0])
            else:
                yield Pair(place, output, was, now)


def _outputs(*both: _Case) -> list[str]:
    """The outputs that one of them saw; where neither saw any, that of the one verdict that says so."""
    seen = {
        output: None for case in both for output, found in case.findings.items() if found.status not in NOTHING_TO_SEE
    }
    return list(seen or dict.fromkeys(list(both[0].findings)[:1]))


def _cases(record: Record, run: Run) -> Iterator[_Case]:
    sql = f"""SELECT recipe(line), line, {", ".join(PLACE)}, output, status, error_over_bound, digest, entry IS NOT NULL
        FROM verdicts JOIN cases ON id = case_id WHERE run = ? ORDER BY recipe(line), line"""
    width = len(PLACE) + 2
    for head, rows in itertools.groupby(record.rows(sql, run.number), lambda row: row[:width]):
        findings = {row[width]: _finding(head[1], *row[width:]) for row in rows}
        yield _Case(head[0], head[2:], findings)


def _finding(case: str, output: str, status: str, ratio: float | None, digest: str, known: int) -> Finding:
    return Finding(case, output, status, ratio, digest, bool(known))


def _side_by_side(before: Iterator[_Case], after: Iterator[_Case]) -> Iterator[tuple[_Case | None, _Case | None]]:
    """Both in the order of their keys, matched by key; None where one side has none."""
    first, second = next(before, None), next(after, None)
    while first is not None or second is not None:
        if second is None or (first is not None and first.key < second.key):
            yield first, None
            first = next(before, None)
        elif first is None or second.key < first.key:
            yield None, second
            second = next(after, None)
        else:
            yield first, second
            first, second = next(before, None), next(after, None)
