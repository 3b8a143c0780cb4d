"""What a run found, put together: one row per operation and dtype, and the verdicts that need a look."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from gradcheck.verdict.ledger import Entry, Ledger
from gradcheck.verdict.verdict import STATUSES, Verdict

__all__ = ["Row", "Summary", "worst_of_each"]

DERIVATIVES = ("grad[", "hvp[", "jacobian[", "tangent")
"""How the names of outputs begin that are derivatives."""


@dataclass
class Row:
    """Worst figures of one operation in one dtype, mode and setting.

    forward: of values and states; backward: of derivatives.
    """

    operation: str
    dtype: str
    mode: str = "backward"
    setting: str = "default"
    cases: set[str] = field(default_factory=set)
    forward: list[float] = field(default_factory=list)
    backward: list[float] = field(default_factory=list)
    ulp: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    known: int = 0

    def add(self, verdict: Verdict, known: bool) -> None:
        self.cases.add(verdict.case)
        self.statuses[verdict.status] += 1
        self.known += known
        if not math.isnan(verdict.error_over_bound):
            derivative = verdict.output.startswith(DERIVATIVES)
            (self.backward if derivative else self.forward).append(verdict.error_over_bound)
            self.ulp = max(self.ulp, verdict.ulp)

    @property
    def status(self) -> str:
        """The worst status met."""
        return max(self.statuses, key=STATUSES.index)

    @property
    def medians(self) -> tuple[float, float]:
        return (median(self.forward or [math.nan]), median(self.backward or [math.nan]))


class Summary:
    """Collects verdicts, asks the ledger about the bad ones, and says what the exit status is.

    left_out: cases that were not judged, since none of their arrays can have the layout that was asked for.
    used: entries that cover something; places: operation, dtype, device, mode and setting of all that was judged.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._counted: set[tuple[str, str]] = set()
        self.rows: dict[tuple[str, str, str, str], Row] = {}
        self.unknown: list[Verdict] = []
        self.coarse: list[Verdict] = []
        self.noted: list[Verdict] = []
        self.known: dict[Entry, list[Verdict]] = {}
        self.left_out = 0
        self.used: set[Entry] = set()
        self.places: set[tuple[str, str, str, str, str]] = set()

    def add(self, verdicts: Iterable[Verdict]) -> list[tuple[Verdict, Entry | None]]:
        """Take in verdicts; each comes back with the ledger entry that covers it, if any.

        A case may be drawn twice; what is known of it already counts once, here as in a record.
        """
        judged = []
        for verdict in verdicts:
            if (name := (verdict.case, verdict.output)) in self._counted:
                continue
            self._counted.add(name)
            covering = self.ledger.covering(verdict) if verdict.status in ("deviates", "raises") else ()
            entry = covering[0] if covering else None
            self.used.update(covering)
            place = (verdict.operation, verdict.dtype, verdict.mode, verdict.setting)
            row = self.rows.setdefault(place, Row(*place))
            row.add(verdict, known=entry is not None)
            judged.append((verdict, entry))
            if verdict.status not in ("unsupported", "absent"):
                self.places.add((verdict.operation, verdict.dtype, verdict.device, verdict.mode, verdict.setting))
            if entry is not None:
                self.known.setdefault(entry, []).append(verdict)
            elif verdict.status in ("deviates", "raises", "crashed", "timed out"):
                self.unknown.append(verdict)
            elif verdict.status == "coarse":
                self.coarse.append(verdict)
            if verdict.notes:
                self.noted.append(verdict)
        return judged

    @property
    def cases(self) -> int:
        return sum(len(row.cases) for row in self.rows.values())

    @property
    def verdicts(self) -> int:
        return sum(sum(row.statuses.values()) for row in self.rows.values())

    def exit_status(self, strict: bool = False) -> int:
        """0: nothing beyond the ledger; 1: something deviates (with ``strict``: or is coarse)."""
        return int(bool(self.unknown) or (strict and bool(self.coarse)))


def worst_of_each(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The worst verdict of each operation, dtype, place on the other axes, output, status and kind of worst element."""
    worst: dict[tuple[str, ...], Verdict] = {}
    for verdict in verdicts:
        axes = (verdict.device, verdict.layout, verdict.setting, verdict.mode)
        place = (verdict.operation, verdict.dtype, *axes, verdict.output)
        kind = (
            max(verdict.witness.excess, key=lambda pair: pair[1])[0]
            if verdict.witness and verdict.witness.excess
            else ""
        )
        key = (*place, verdict.status, kind)
        held = worst.get(key)
        if held is None or verdict.error_over_bound > held.error_over_bound:
            worst[key] = verdict
    return list(worst.values())
