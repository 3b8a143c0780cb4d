"""Cases of an entry as PyTorch ran them, once, to be judged by many wrong entries and many tampered observations."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from gradcheck.arithmetic import ball_precision, balls
from gradcheck.audit.entries.bench import Bench, Place, float64
from gradcheck.audit.equivalence import BITS, compare
from gradcheck.audit.findings import by_contract
from gradcheck.audit.trials import SMALL
from gradcheck.cases.case import Case
from gradcheck.cases.draw import elements
from gradcheck.run.plan import Piece, cases_of, corpus_size, modes_of
from gradcheck.verdict.ledger import Ledger, load_ledger
from gradcheck.verdict.verdict import STATUSES, Verdict

__all__ = ["EntryTrial", "EntryTrials", "distance"]

BAD = ("deviates", "raises")


LARGER = 4
"""So many times the cases are asked whether a fault that never struck would."""

FEW = 6
"""Places of a case that are tried first."""


def distance(own: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """How far two sets of float64 outputs are apart, relative to the larger: 0 where they are the same bits.

    NaN is NaN, and 0 is -0; inf where one side alone is finite, or has another shape or name.
    """
    if own.keys() != other.keys():
        return np.inf
    worst = 0.0
    for name, value in own.items():
        a, b = np.asarray(value, dtype=np.float64), np.asarray(other[name], dtype=np.float64)
        if a.shape != b.shape:
            return np.inf
        if not np.array_equal(a, b, equal_nan=True):
            with np.errstate(all="ignore"):
                apart = np.where(
                    (a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b) / np.maximum(abs(a), abs(b))
                )
            worst = max(worst, float(np.where(np.isnan(apart), np.inf, apart).max()))
    return worst


class EntryTrial:
    """One case, and what is known of it."""

    def __init__(self, bench: Bench, entry: Any, case: Case, ledger: Ledger) -> None:
        self.bench, self.entry, self.case, self._ledger = bench, entry, case, ledger
        self._exact: dict[tuple[Place, int], dict[str, np.ndarray]] = {}
        self._roundings: dict[Place, dict[str, np.ndarray]] = {}
        self._differing: tuple[Any, list[Place]] = (None, [])

    @cached_property
    def seen(self) -> Any:
        return self.bench.observe(self.entry, self.case)

    @property
    def small(self) -> bool:
        """Whether exact arithmetic can be afforded."""
        return elements(self.case) <= SMALL

    @property
    def ran(self) -> bool:
        return bool(self.seen.outcome == "ran")

    @cached_property
    def values(self) -> dict[Place, dict[str, Any]]:
        """The true entry's, in float64."""
        return self._values(self.entry)

    def _values(self, entry: Any, places: Collection[Place] | None = None) -> dict[Place, dict[str, Any]]:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return self.bench.values(entry, self.case, self.seen, float64, places)

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """Of the true entry, by output."""
        return {verdict.output: verdict for verdict in self.judged(self.entry)}

    def judged(self, entry: Any, places: Collection[Place] | None = None, seen: Any = None) -> list[Verdict]:
        """Verdicts on what PyTorch did (or what is ``seen`` in its place) by another entry."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return self.bench.judge(entry, self.case, self.seen if seen is None else seen, places)

    def is_bad(self, verdict: Verdict) -> bool:
        """Whether ``gradcheck verify`` would exit with status 1 because of it."""
        return verdict.status in BAD and self._ledger.match(verdict) is None

    def sound(self, output: str) -> bool:
        """Whether the true PyTorch is in order here; an output that it has not cannot be wrong."""
        return output not in self.verdicts or self.verdicts[output].status not in BAD

    def differing(self, wrong: Any, places: Collection[Place] | None = None) -> list[Place]:
        """Places at which a wrong entry has other values in float64, where they differ most first.

        Of all places, those of the last entry are kept: that it shows nothing, and that it is none, is asked in turn.
        """
        if places is None and self._differing[0] is wrong:
            return self._differing[1]
        other = self._values(wrong, places)
        found = {place: distance(self.values[place], values) for place, values in other.items()}
        differing = sorted((place for place in found if found[place]), key=lambda place: -found[place])
        if places is None:
            self._differing = wrong, differing
        return differing

    def shown(self, wrong: Any, *, thorough: bool) -> str:
        """How the case shows that an entry is wrong; empty where it does not.

        thorough: on every place; else on a few, which find most: a wrong formula is wrong at most steps.
        """
        try:
            places = self.differing(wrong, None if thorough else self._few)
            if not places:
                return ""
            verdicts = self.judged(wrong, places if thorough else places[:FEW])
        except Exception as error:  # a wrong formula may raise anything
            return by_contract(error)
        for verdict in verdicts:
            if self.is_bad(verdict) and self.sound(verdict.output):
                return f"{verdict.output} {verdict.status}"
        return self._agreeing_with_the_known(wrong) if thorough else ""

    def _agreeing_with_the_known(self, wrong: Any) -> str:
        """Where a wrong entry agrees with a deviation that the ledger knows: ``verify`` would call the ledger stale."""
        known = {name for name, verdict in self.verdicts.items() if verdict.status in BAD and not self.is_bad(verdict)}
        for verdict in self.judged(wrong) if known else ():
            if verdict.output in known and verdict.status == "agrees":
                return f"{verdict.output} agrees, where the ledger knows that PyTorch deviates"
        return ""

    @cached_property
    def _few(self) -> list[Place]:
        places = list(self.values)
        return places[: FEW // 2] + places[FEW // 2 :: max(1, len(places) // FEW)][:FEW]

    def sameness(self, wrong: Any) -> str:
        """``exact``: the same values to more than 100 digits, where float64 differs and at telling places.

        ``rounded``: the same in float64, and no farther apart than the formula's own rounding; empty: other values.
        """
        differing = self.differing(wrong)
        found = "exact"
        for place in dict.fromkeys([*differing, *self.bench.telling(self.case, self.seen)]):
            here = self._same_at(wrong, place, place in differing)
            if not here:
                return ""
            found = here if here == "rounded" else found
        return found

    def differs_elsewhere(self, wrong: Any) -> bool:
        """Whether a wrong entry has other values in implementations that do not run on this device."""
        for place, seen in self.bench.elsewhere(self.entry, self.case, self.seen):
            own, other = (self.bench.values(e, self.case, seen, balls, [place])[place] for e in (self.entry, wrong))
            if compare(own, other, None) is False and not self.bench.special_at(self.case, seen, place):
                return True
        return False

    def _same_at(self, wrong: Any, place: Place, differing: bool) -> str:
        kinds = None
        if self.bench.special_at(self.case, self.seen, place):
            kinds = _kinds(self.values[place]), _kinds(self._values(wrong, [place])[place])
        for bits in BITS:
            try:
                own = self._exactly(self.entry, place, bits)
            except Exception:  # what the true formula cannot do among balls is left to float64
                return "" if differing else "exact"
            try:
                other = self._exactly(wrong, place, bits)
                decided = compare(own, other, kinds)
            except Exception:  # a wrong formula may raise anything
                return ""
            if decided:
                return "exact"
            if decided is not None:
                return "" if differing or not _within_rounding(own, other, self._rounding(place)) else "rounded"
        return "exact"  # the balls overlap at the highest precision: a zero that only cancellation yields

    def _rounding(self, place: Place) -> dict[str, np.ndarray]:
        if place not in self._roundings:
            with np.errstate(all="ignore"):
                self._roundings[place] = dict(self.bench.rounding(self.entry, self.case, self.seen, place))
        return self._roundings[place]

    def _exactly(self, entry: Any, place: Place, bits: int) -> dict[str, np.ndarray]:
        key = (place, bits)
        if entry is self.entry and key in self._exact:
            return self._exact[key]
        with ball_precision(bits), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = self.bench.values(entry, self.case, self.seen, balls, [place])[place]
        if entry is self.entry:
            self._exact[key] = dict(found)
        return dict(found)

    def reported(self, seen: Any, places: Collection[Place] | None = None) -> str:
        """The worst status that another observation gets where it is worse than the true one's; empty where none is.

        ``known``: the ledger takes it for one of PyTorch's own deviations.
        """
        worst = ""
        for verdict in self.judged(self.entry, places, seen):
            before = self.verdicts[verdict.output].status if verdict.output in self.verdicts else "agrees"
            if STATUSES.index(verdict.status) <= STATUSES.index(before):
                continue
            if verdict.status in BAD and not self.is_bad(verdict):
                worst = worst or "known"
            else:
                return verdict.status
        return worst


def _within_rounding(
    own: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray], bounds: Mapping[str, np.ndarray]
) -> bool:
    """Whether the rounding of the true formula hides what lies between two sets of balls; outputs of the same shape.

    So it is where a quotient of whole numbers was rounded before it entered the arithmetic: in float64 it is the same
    number. An output without a bound has to be the same exactly.
    """
    for name, array in own.items():
        if array.shape != other[name].shape:
            return False
        bound = np.broadcast_to(bounds.get(name, np.float64(0.0)), array.shape)
        for index in np.ndindex(*array.shape):
            a, b = array[index], other[name][index]
            if (a.is_finite() or b.is_finite()) and not (a.overlaps(b) or abs(a - b) <= float(bound[index])):
                return False
    return True


def _kinds(outputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Of each element: NaN, ±inf or finite, as a number."""
    arrays = {name: np.asarray(output, dtype=np.float64) for name, output in outputs.items()}
    return {
        name: np.where(np.isnan(array), 2.0, np.where(np.isinf(array), np.sign(array), 0.0))
        for name, array in arrays.items()
    }


class EntryTrials:
    """The corpus of an entry in one dtype: the cases that ``verify`` runs, mode by mode in turn."""

    def __init__(self, bench: Bench, entry: Any, dtype: str, cases: int, seed: int) -> None:
        ledger = load_ledger()
        self.bench, self.dtype = bench, dtype
        self._entry, self._cases, self._seed = entry, cases, seed
        self._further: list[EntryTrial] | None = None
        by_mode = [list(_cases(entry, dtype, mode, cases, seed)) for mode in modes_of(entry, ())]
        longest = max(map(len, by_mode), default=0)
        turns = [made[index] for index in range(longest) for made in by_mode if index < len(made)]
        turns.sort(key=lambda case: elements(case) > SMALL)
        self._trials = [EntryTrial(bench, entry, case, ledger) for case in turns]

    def __len__(self) -> int:
        return len(self._trials)

    def __iter__(self) -> Iterator[EntryTrial]:
        return iter(self._trials)

    def further(self) -> Iterator[EntryTrial]:
        """Trials of a larger corpus that are not among these, and that ran."""
        if self._further is None:
            known = {trial.case for trial in self}
            larger = EntryTrials(self.bench, self._entry, self.dtype, LARGER * self._cases, self._seed)
            self._further = [trial for trial in larger if trial.case not in known]
        return (trial for trial in self._further if trial.ran)

    def first(self, number: int) -> list[EntryTrial]:
        """So many of the trials that ran, small ones."""
        return list(islice((trial for trial in self if trial.small and trial.ran), number))

    def distinct(self, number: int) -> list[tuple[int, EntryTrial]]:
        """The same, each with other arguments or another seed: in another implementation one tells little more; and
        which trial each is, from 1 on."""
        known: dict[object, tuple[int, EntryTrial]] = {}
        for place, trial in enumerate(self, start=1):
            if len(known) < number and trial.small and trial.ran:
                known.setdefault((trial.case.arguments, trial.case.seed), (place, trial))
        return list(known.values())


def _cases(entry: Any, dtype: str, mode: str, cases: int, seed: int) -> Iterator[Case]:
    total = corpus_size(entry, dtype, mode, cases, seed)
    return cases_of(Piece(entry.name, dtype, "cpu", "contiguous", (mode,), cases, seed, 0, total))
