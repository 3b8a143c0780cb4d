"""The verdicts of a run that need a look, the worst of each sort, in sentences with their replay lines."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from gradcheck.record.fields import as_text
from gradcheck.record.read import Record, Recorded
from gradcheck.record.run import Run
from gradcheck.report.overview import CLASSES, FAILING, class_of, figure
from gradcheck.verdict.sentence import replay_line, sentence

__all__ = ["MOST", "deviations"]

MOST = 60
"""Sorts of deviations of one operation that go into the page, the gravest; the page says how many there are."""

PLACE = ("dtype", "mode", "device", "layout", "setting", "output")


def deviations(record: Record, run: Run) -> dict[str, Any]:
    """``found``: of each sort (place, class, kind of worst element, ledger entry) the worst verdict and how many there
    are, by operation and the gravest first; ``entries``: the ledger entries that they name by number; ``left``: by
    operation how many sorts are not in the page."""
    worst: dict[tuple[Any, ...], Recorded] = {}
    counts: dict[tuple[Any, ...], int] = {}
    entries = _Numbers()
    for recorded in _bad(record, run):
        sort = _sort(recorded, entries)
        counts[sort] = counts.get(sort, 0) + 1
        held = worst.get(sort)
        if held is None or _severity(recorded) > _severity(held):
            worst[sort] = recorded
    by_operation: dict[str, list[tuple[Any, ...]]] = {}
    for sort in sorted(worst, key=lambda sort: (CLASSES.index(sort[1]), -_severity(worst[sort]))):
        by_operation.setdefault(sort[0], []).append(sort)
    found = [
        _row(worst[sort], sort, counts[sort]) for name in sorted(by_operation) for sort in by_operation[name][:MOST]
    ]
    left = {name: len(sorts) - MOST for name, sorts in sorted(by_operation.items()) if len(sorts) > MOST}
    return {"found": found, "left": left, "entries": [_entry(fields, run) for fields in entries.fields]}


class _Numbers:
    """Numbers of ledger entries, in the order they are met."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self.fields: list[dict[str, Any]] = []

    def of(self, fields: dict[str, Any] | None) -> int | None:
        if fields is None:
            return None
        text = as_text(fields)
        if text not in self._known:
            self._known[text] = len(self.fields)
            self.fields.append(fields)
        return self._known[text]


def _bad(record: Record, run: Run) -> Iterator[Recorded]:
    for status in (*FAILING, "coarse"):
        yield from record.verdicts(run, status=status)


def _sort(recorded: Recorded, entries: _Numbers) -> tuple[Any, ...]:
    """Operation, class, number of the ledger entry, status and kind of worst element, place."""
    verdict = recorded.verdict
    excess = verdict.witness.excess if verdict.witness else ()
    kind = max(excess, key=lambda pair: pair[1])[0] if excess else ""
    number = entries.of(recorded.entry)
    place = (getattr(verdict, axis) for axis in PLACE)
    return (verdict.operation, class_of(verdict.status, number is not None), number, verdict.status, kind, *place)


def _severity(recorded: Recorded) -> float:
    ratio = recorded.verdict.error_over_bound
    return math.inf if math.isnan(ratio) else ratio


def _row(recorded: Recorded, sort: tuple[Any, ...], count: int) -> dict[str, Any]:
    verdict = recorded.verdict
    text, _, _ = sentence(verdict).partition("\n  replay:")
    return {
        "operation": verdict.operation,
        **{axis: getattr(verdict, axis) for axis in PLACE},
        "class": sort[1],
        "entry": sort[2],
        "status": verdict.status,
        "ratio": figure(verdict.error_over_bound),
        "ulp": figure(verdict.ulp),
        "count": count,
        "text": text.replace("\n  note: ", " Note: "),
        "replay": replay_line(verdict),
    }


def _entry(fields: dict[str, Any], run: Run) -> dict[str, Any]:
    """Words of a ledger entry for the page."""
    size = float(fields.get("size", math.inf))
    return {
        "operation": fields.get("operation", ""),
        "outputs": _words(fields.get("outputs", "")),
        "dtypes": _words(fields.get("dtypes", "")),
        "element": _words(fields.get("element", "")),
        "mode": _words(fields.get("mode", "")),
        "device": fields.get("device", ""),
        "torch": str(fields.get("torch", "")),
        "size": f"{size:.3g} × the bound" if math.isfinite(size) else "any",
        "reason": fields.get("reason", ""),
        "source": fields.get("source", ""),
    }


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
