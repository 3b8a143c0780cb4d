"""What changed between two runs: one word for every operation, dtype, mode, device and setting, with figures.

A pair is one output of one case, judged in both runs. What PyTorch said about it is *right* (agrees, coarse), *wrong*
(deviates, raises, crashed, timed out) or *nothing* (unsupported, absent). The word for a place is the first that holds:

* wrong: some pair was right, or nothing, and is wrong;
* vanished: some pair was right and is nothing: PyTorch has it no more, or no kernel for it;
* less accurate: the worst or the typical (median) error/bound grew by more than a factor;
* mended: some pair was wrong and is right, or PyTorch now says that it has no such kernel;
* more accurate: the worst or the typical error/bound shrank by more than a factor;
* appeared: some pair was nothing and is right;
* rounding: bits changed, accuracy did not;
* identical: all bits are the same.

All words that hold are kept. Swapping the runs swaps wrong and mended, vanished and appeared, less and more accurate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from gradcheck.record.pairs import Finding, Pair, axes_across, pairs
from gradcheck.record.read import PLACE, Record
from gradcheck.record.run import Run

__all__ = ["FACTOR", "REGRESSED", "WORDS", "Change", "Comparison", "Side", "changes_of", "compare"]

FACTOR = 2.0
"""Of accuracy lost or gained before it is said: one bit. The worst of a few dozen errors moves by less than that when
nothing but the order of additions changes; what moves more is looked at with its figures."""

WORDS = ("wrong", "vanished", "less accurate", "mended", "more accurate", "appeared", "rounding", "identical")

REGRESSED = ("wrong", "vanished", "less accurate")
"""Words that make ``gradcheck diff`` end with status 1."""

STEPS = {
    ("right", "wrong"): "wrong",
    ("nothing", "wrong"): "wrong",
    ("wrong", "right"): "mended",
    ("wrong", "nothing"): "mended",
    ("right", "nothing"): "vanished",
    ("nothing", "right"): "appeared",
}
"""What a pair says that went from one to the other."""

RIGHT = ("agrees", "coarse")
NOTHING = ("unsupported", "absent")


@dataclass
class Side:
    """Figures of one place in one run, over the pairs: statuses, worst and typical (median) error/bound (NaN: none)."""

    statuses: Counter[str] = field(default_factory=Counter)
    ratios: list[float] = field(default_factory=list)
    known: int = 0

    @property
    def worst(self) -> float:
        return max(self.ratios, default=math.nan)

    @property
    def typical(self) -> float:
        return median(self.ratios) if self.ratios else math.nan

    @property
    def wrong(self) -> int:
        return sum(count for status, count in self.statuses.items() if _kind(status) == "wrong")

    def as_json(self) -> dict[str, Any]:
        """Plain values by name."""
        numbers = {name: _plain(getattr(self, name)) for name in ("worst", "typical")}
        return {**numbers, "wrong": self.wrong, "known": self.known, "statuses": dict(self.statuses)}


@dataclass
class Change:
    """One place in both runs.

    place: words by axis; pairs: how many; changed: of how many the bits did; words: those
    of WORDS that hold, the first being the one that is said; reason: which figure moved, if it is one; shown: the pair
    that shows best what the word says.
    """

    place: dict[str, str]
    before: Side = field(default_factory=Side)
    after: Side = field(default_factory=Side)
    pairs: int = 0
    changed: int = 0
    words: tuple[str, ...] = ()
    reason: str = ""
    shown: Pair | None = None
    _kept: dict[str, tuple[float, Pair]] = field(default_factory=dict, repr=False)

    @property
    def word(self) -> str:
        """The one word for it."""
        return self.words[0]

    @property
    def said(self) -> str:
        """The words, but for those that go without saying: what is wrong is less accurate."""
        implied = {"less accurate": "wrong", "more accurate": "mended"}
        return ", ".join(word for word in self.words if implied.get(word) not in self.words)

    @property
    def regressed(self) -> bool:
        return self.word in REGRESSED

    @property
    def case(self) -> str:
        """The line of a case that shows the change."""
        return self.shown.after.case if self.shown else ""

    def add(self, pair: Pair) -> None:
        """Count one pair in."""
        self.pairs += 1
        for side, found in ((self.before, pair.before), (self.after, pair.after)):
            side.statuses[found.status] += 1
            side.known += found.known
        was, now = pair.before.ratio, pair.after.ratio
        if was is not None and now is not None:
            self.before.ratios.append(was)
            self.after.ratios.append(now)
        if not _same_bits(pair):
            self.changed += 1
            self._keep("rounding", 0.0, pair)
            self._keep("less accurate", now or 0.0, pair)
            self._keep("more accurate", was or 0.0, pair)
        word = STEPS.get((_kind(pair.before.status), _kind(pair.after.status)))
        if word:
            self._keep(word, (now if word == "wrong" else was) or 0.0, pair)

    def decide(self, factor: float) -> None:
        """Find the words, once all pairs are counted in."""
        moved = _moved(self.before, self.after, factor) if self.changed else {}
        found = {"rounding"} if self.changed else {"identical"}
        found |= moved.keys() | ({"wrong", "vanished", "mended", "appeared"} & self._kept.keys())
        if len(found) > 1:
            found -= {"rounding", "identical"}
        self.words = tuple(sorted(found, key=WORDS.index))
        self.reason = moved.get(self.word, "")
        self.shown = self._kept[self.word][1] if self.word in self._kept else None

    def as_json(self) -> dict[str, Any]:
        """Plain values by name."""
        return {
            **self.place, "word": self.word, "words": list(self.words), "reason": self.reason,
            "before": self.before.as_json(), "after": self.after.as_json(), "pairs": self.pairs,
            "changed": self.changed, "case": self.case, "output": self.shown.output if self.shown else "",
        }  # fmt: skip

    def _keep(self, word: str, size: float, pair: Pair) -> None:
        """Remember the pair with the largest size for each word, the first of equals."""
        if word not in self._kept or size > self._kept[word][0]:
            self._kept[word] = (size, pair)


@dataclass
class Comparison:
    """Two runs compared.

    differences: facts that differ, before and after; across: axes on which each run lies at one place, and not at the
    same; changes: in the order of the operations; alone: by side, how many cases of each operation only it has.
    """

    before: Run
    after: Run
    factor: float
    differences: dict[str, tuple[Any, Any]]
    across: dict[str, tuple[str, str]]
    changes: list[Change]
    alone: dict[str, Counter[str]]

    @property
    def regressed(self) -> list[Change]:
        return [change for change in self.changes if change.regressed]

    @property
    def counts(self) -> dict[str, int]:
        """How many places have each word, in the order of WORDS."""
        found = Counter(change.word for change in self.changes)
        return {word: found[word] for word in WORDS if found[word]}

    @property
    def warnings(self) -> list[str]:
        """Why the runs may differ for other reasons than PyTorch's version: to be said before anything else."""
        words = [
            f"{HARDWARE[name]} differs ({was} → {now}): bits and accuracy change with the kernels that it chooses"
            for name, (was, now) in self.differences.items()
            if name in HARDWARE
        ]
        if "gradcheck" in self.differences:
            words.append("gradcheck differs ({} → {}): references may".format(*self.differences["gradcheck"]))
        for side, run in (("first", self.before), ("second", self.after)):
            if run.finished is None:
                words.append(f"the {side} run is unfinished")
        if not self.changes:
            words.append("the runs have no case in common")
        return words

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {
            "before": vars(self.before),
            "after": vars(self.after),
            "factor": self.factor,
            "warnings": self.warnings,
            "differences": {name: list(both) for name, both in self.differences.items()},
            "across": {axis: list(both) for axis, both in self.across.items()},
            "counts": self.counts,
            "changes": [change.as_json() for change in self.changes],
            "only_before": dict(self.alone["before"]),
            "only_after": dict(self.alone["after"]),
        }


HARDWARE = {"devices": "the device", "cpu_capability": "the CPU capability"}


def compare(before: Record, run: Run, after: Record, other: Run, factor: float = FACTOR) -> Comparison:
    """Compare the cases that two runs (of the same record, or of two) have in common.

    factor: by how much the worst or typical error/bound has to move to be called less or more accurate (> 1).
    """
    alone: dict[str, Counter[str]] = {"before": Counter(), "after": Counter()}
    across = axes_across(before, run, after, other)
    found = pairs(before, run, after, other, across, lambda side, operation: alone[side].update([operation]))
    changes = changes_of(found, factor)
    first, second = _facts(run), _facts(other)
    differences = {name: (first[name], second[name]) for name in first if first[name] != second[name]}
    return Comparison(run, other, factor, differences, across, changes, alone)


def changes_of(found: Iterable[Pair], factor: float = FACTOR) -> list[Change]:
    """Pairs put together by place, each with its words, in the order in which the places come."""
    changes: dict[tuple[str, ...], Change] = {}
    for pair in found:
        if pair.place not in changes:
            changes[pair.place] = Change(dict(zip(PLACE, pair.place, strict=True)))
        changes[pair.place].add(pair)
    for change in changes.values():
        change.decide(factor)
    return list(changes.values())


def _facts(run: Run) -> dict[str, Any]:
    """The facts in words, fit to be compared."""
    precision = ", ".join(f"{name} {value}" for name, value in run.precision.items())
    return run.facts | {"devices": run.device, "precision": precision}


def _same_bits(pair: Pair) -> bool:
    """Whether the bits are the same; where there are none (a fact, an exception), whether the verdict is."""

    def seen(found: Finding) -> tuple[Any, ...]:
        return (found.digest,) if found.digest else (found.status, found.ratio)

    return seen(pair.before) == seen(pair.after)


def _kind(status: str) -> str:
    return "right" if status in RIGHT else "nothing" if status in NOTHING else "wrong"


def _moved(before: Side, after: Side, factor: float) -> dict[str, str]:
    """The words for which a figure moved by more than the factor, with which one did."""
    found: dict[str, list[str]] = {}
    for name in ("worst", "typical"):
        was, now = getattr(before, name), getattr(after, name)
        if now > factor * was:
            found.setdefault("less accurate", []).append(name)
        elif was > factor * now:
            found.setdefault("more accurate", []).append(name)
    return {word: " and ".join(names) for word, names in found.items()}


def _plain(number: float) -> float | str | None:
    return None if math.isnan(number) else number if math.isfinite(number) else str(number)
