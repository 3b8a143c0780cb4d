"""What PyTorch really did on the cases of ``gradcheck verify``: observed once, then judged by many wrong references.

A trial is a case with PyTorch's outputs, the true reference's bounds and the verdicts; each part is made when it is
first asked for, and kept.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from gradcheck.arithmetic.running import lift
from gradcheck.audit.lengths import lengths
from gradcheck.audit.limits import TooLongError, patience, time_limit
from gradcheck.audit.reached import Lines, traced
from gradcheck.audit.recalled import same_bits
from gradcheck.audit.recollection import Recollection
from gradcheck.cases.case import Case
from gradcheck.cases.corpus import corpus
from gradcheck.cases.draw import elements
from gradcheck.cases.inputs import arguments_of, cotangent_of, cotangents_of
from gradcheck.cases.layouts import CONTIGUOUS, SHARING
from gradcheck.recent import Recent
from gradcheck.reference.evaluate import bounded_lifts, float64_outputs, gradient_name
from gradcheck.reference.registry import Reference
from gradcheck.subject.run import Observed, run_case
from gradcheck.verdict.judge import Bounds, bounds_of, judge_against
from gradcheck.verdict.ledger import Ledger, load_ledger
from gradcheck.verdict.models import grades_of, is_small, model_of
from gradcheck.verdict.oracles import oracle_outputs
from gradcheck.verdict.verdict import STATUSES, Verdict

__all__ = ["SMALL", "Judge", "Trial", "Trials"]

Judge = Callable[[Reference, Case, dict[str, Any], Observed, Bounds], list[Verdict]]
"""What is audited: ``judge_against``, or a blind one that a test puts in its place."""

BAD = ("deviates", "raises")
ROOM = 1 << 29
"""Bytes for what is recalled of the true formula in one dtype."""

SMALL = 4096
"""Elements above which a case is tried after the others: they find most, and cost less."""


class Trial:
    """One case, and what is known of it.

    room: bytes for what is recalled of the true formula (see ``recalled``); sharp: whether the bounds of the first
    grade are all that is asked for where PyTorch is within them: what is reported is the same, if not under which word.
    """

    def __init__(
        self,
        reference: Reference,
        case: Case,
        judge: Judge,
        ledger: Ledger,
        room: list[int] | None = None,
        sharp: bool = False,
    ) -> None:
        self.reference = reference
        self.case = case
        self._judge = judge
        self._ledger = ledger
        self._room = [0] if room is None else room
        self._sharp = sharp
        self._lines: Lines = set()
        self._traces = False

    @cached_property
    def arguments(self) -> dict[str, Any]:
        return arguments_of(self.case)

    @cached_property
    def observed(self) -> Observed:
        return run_case(self.reference, self.case, self.arguments)

    @property
    def known_to_raise(self) -> bool:
        """Whether PyTorch raises where it should not, and the ledger has it."""
        return any(verdict.status == "raises" and not self.is_bad(verdict) for verdict in self.verdicts.values())

    @property
    def known(self) -> dict[str, Any]:
        """The arguments, and in place of those that PyTorch draws itself what it drew: what references are told."""
        return self.arguments | self.observed.drawn

    @property
    def ran(self) -> bool:
        return self.observed.outcome == "ran"

    @cached_property
    def before(self) -> Observed:
        """What a call of the same shape with other numbers gave: stale results come from there."""
        case = self.case.on(seed=self.case.seed + 1)
        return run_case(self.reference, case, arguments_of(case))

    @property
    def bounds(self) -> Bounds:
        return self._timed_bounds[0]

    @cached_property
    def _timed_bounds(self) -> tuple[Bounds, float]:
        """The true bounds, and the processor time that they took."""
        own = replace(self.reference)  # one that nobody has evaluated here yet: all its lines are run
        start = time.process_time()
        with traced(self._lines) if self._traces else nullcontext():
            bounds = self._bounds_asked_for(own)
        return bounds, time.process_time() - start

    def _bounds_asked_for(self, reference: Reference) -> Bounds:
        """All of them, or those of the first grade where they are enough."""
        grades = grades_of(self.case)
        if not (self._sharp and self.ran and len(grades) > 1):
            return bounds_of(reference, self.case, self.arguments, self.observed)
        bounds: Bounds = {}
        for grade in grades:
            model = model_of(self.case, grade, is_small(self.case))
            bounds[grade] = oracle_outputs(reference, self.case, self.known, self.observed, model)
            # Of a deviation that the ledger may know, what is coarse is reported, and what deviates is not.
            if all(v.status == "agrees" and not self._ledger.concerns(v) for v in self.judged_with(bounds)):
                break
        return bounds

    @property
    def lines(self) -> Lines:
        """The lines of the reference's formulas that this case runs; none where PyTorch did not run.

        Bounds have their price: in other dtypes than float64, which are tried last, it is asked without them.
        """
        if self.case.dtype == "float64" or self.case.mode != "backward":
            if not self._traces:  # at half the speed: only what is asked for its lines
                self._traces = True
                vars(self).pop("_timed_bounds", None)
            return self._lines if self.bounds else set()
        if self.ran and not self._lines:
            with traced(self._lines), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                float64_outputs(replace(self.reference), self.known, cotangents_of(self.case))
        return self._lines

    @cached_property
    def _lengths(self) -> dict[str, int]:
        """Those of the same case in float64, but where they may hang on what PyTorch drew."""
        if self.reference.drawn:
            return lengths(self.reference, self.known, cotangents_of(self.case))
        case = self.case.on(dtype="float64", layout=CONTIGUOUS)
        return _known_lengths.get((self.reference.function, case), lambda: _lengths_in(self.reference, case))

    def length_of(self, output: str) -> int:
        """The length of the reduction whose result the output is (see ``lengths``); 1 where nothing is added up.

        Outputs of other modes than backward count by the longest of all that backward has.
        """
        if not self.ran or self.reference.elementwise:
            return 1
        return self._lengths[output] if output in self._lengths else max(self._lengths.values(), default=1)

    def prepare(self) -> None:
        """Make what belongs to the true formula: what is wrong there is no fault of a wrong one."""
        if self.ran:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _ = self.bounds, self._recollections

    def bounds_by(self, reference: Reference) -> Bounds:
        """The bounds that another reference yields for the same call; a wrong one may give rise to warnings.

        ``bounds`` itself where they are the same. Raises whatever a wrong formula may raise, TooLongError among it.
        """
        limit = patience(self._timed_bounds[1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            recollections = self._recollections
            with time_limit(limit), np.errstate(all="ignore"):
                try:
                    if recollections:
                        return self._same_or(
                            {grade: known.outputs(reference) for grade, known in recollections.items()}
                        )
                except TooLongError:
                    raise
                except Exception:  # whether it raises without a memory as well is for the judge to say
                    pass
            with time_limit(limit):
                return bounds_of(reference, self.case, self.arguments, self.observed)

    def _same_or(self, found: Bounds) -> Bounds:
        """The true bounds where those that were found are the same."""
        same = all(
            outputs.keys() == self.bounds[grade].keys()
            and all(self.bounds[grade][name] is output for name, output in outputs.items())
            for grade, outputs in found.items()
        )
        return self.bounds if same else found

    def cotangent(self, output: str, shape: tuple[int, ...]) -> np.ndarray:
        """In the dtype that the output really has."""
        return cotangent_of(self.case, shape, self.observed.dtypes.get(output), output)

    @cached_property
    def _recollections(self) -> dict[str, Recollection]:
        """By grade what is known of the true formula's evaluation; nothing of a large case, or in other modes."""
        if self.case.mode != "backward" or not self.ran or self._room[0] <= 0 or elements(self.case) > SMALL:
            return {}
        try:
            found = {grade: self._recollection(grade) for grade in grades_of(self.case)}
        except Exception:  # a rule that looks at more than numbers: no fault of a wrong formula, and only slower
            return {}
        for grade, outputs in self.bounds.items():
            own = found[grade].own
            if own.keys() != outputs.keys() or not all(same_bits(own[name], outputs[name]) for name in own):
                return {}  # another way to evaluate it, which is not to be trusted with wrong formulas
            found[grade].own = outputs
        return found

    def _recollection(self, grade: str) -> Recollection:
        model = model_of(self.case, grade, is_small(self.case))
        with np.errstate(all="ignore"):
            own, lifts = replace(self.reference), bounded_lifts(model, self.known)
            return Recollection(own, self.known, self.cotangent, lifts, lambda x: lift(x, model), self._room)

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """Of the true reference on the true PyTorch, by output."""
        return {verdict.output: verdict for verdict in self.judged_with(self.bounds)}

    def judged_with(self, bounds: Bounds) -> list[Verdict]:
        """Verdicts on the true PyTorch by other bounds than the true reference's."""
        return self._judge(self.reference, self.case, self.arguments, self.observed, bounds)

    def reported(self, output: str, observed: Observed) -> str:
        """The status that the true reference gives one output of another subject, where it is worse than the true one.

        Empty where it is not worse; `known` where the ledger takes it for a deviation that PyTorch is known to have.
        """
        bounds = {grade: {output: outputs[output]} for grade, outputs in self.bounds.items()}
        verdicts = self._judge(self.reference, self.case, self.arguments, observed, bounds)
        verdict = next(verdict for verdict in verdicts if verdict.output == output)
        before = self.verdicts[output].status
        if self.is_bad(verdict):
            return verdict.status
        if verdict.status in BAD:
            return "known"
        return verdict.status if STATUSES.index(verdict.status) > STATUSES.index(before) else ""

    def sound(self, output: str) -> bool:
        """Whether the true PyTorch is in order here: a verdict that is bad already can show no fault."""
        return output in self.verdicts and not self.is_bad(self.verdicts[output])

    def is_bad(self, verdict: Verdict) -> bool:
        """Whether ``gradcheck verify`` would exit with status 1 because of it."""
        return verdict.status in BAD and self._ledger.match(verdict) is None


KEPT_LENGTHS = 1 << 10
_known_lengths: Recent[dict[str, int]] = Recent(KEPT_LENGTHS)
"""By formula and case: the same cases come in every dtype."""


def _lengths_in(reference: Reference, case: Case) -> dict[str, int]:
    return lengths(reference, arguments_of(case), cotangents_of(case))


class Trials:
    """The corpus of one operation in one dtype and mode, in the order in which faults are tried on it.

    sharp: as of Trial.
    Trials are made as far as they are needed. small: those with arrays of at most SMALL elements; large: the others.
    """

    def __init__(
        self,
        reference: Reference,
        dtype: str,
        cases: int,
        seed: int,
        judge: Judge = judge_against,
        mode: str = "backward",
        sharp: bool = False,
    ) -> None:
        self.reference = reference
        self.dtype = dtype
        self.mode = mode
        self.seed = seed
        ledger = load_ledger()
        room = [ROOM]
        drawn = [
            Trial(reference, case, judge, ledger, room, sharp) for case in corpus(reference, dtype, cases, seed, mode)
        ]
        self.small = [trial for trial in drawn if elements(trial.case) <= SMALL]
        self.large = [trial for trial in drawn if elements(trial.case) > SMALL]
        self._killers: list[int] = []

    def __len__(self) -> int:
        return len(self.small) + len(self.large)

    def __iter__(self) -> Iterator[Trial]:
        yield from self.small
        yield from self.large

    def numbered(self, first: int) -> Iterator[tuple[int, Trial]]:
        """Trials with their numbers from 1 on: the first few in order, then those that have killed, then the others.

        For wrong formulas: of cases with the same numbers, that differ in their layout alone, the first is enough.
        """
        trials = list(self)
        head = range(min(first, len(self.small)))
        middle = [place for place in self._killers if place not in head]
        for place in dict.fromkeys([*head, *middle, *range(len(trials))]):
            if place not in self._repeated:
                yield place + 1, trials[place]

    @cached_property
    def _repeated(self) -> set[int]:
        """Places of trials whose numbers an earlier one has, at another place in memory."""
        if self.reference.drawn:
            return set()  # PyTorch draws in the order of memory
        first: dict[Case, int] = {}
        plain = [trial.case if trial.case.layout in SHARING else trial.case.on(layout=CONTIGUOUS) for trial in self]
        return {place for place, case in enumerate(plain) if first.setdefault(case, place) != place}

    def has_killed(self, number: int) -> None:
        """Note that the trial of that number has shown a fault: it may well show the next, which is much like it."""
        if number <= len(self.small):
            self._killers = [number - 1, *(place for place in self._killers if place != number - 1)]

    @cached_property
    def lines(self) -> Lines:
        """The lines of the reference's formulas that small cases run."""
        return set().union(*(trial.lines for trial in self.small))

    @cached_property
    def supported(self) -> bool:
        """Whether PyTorch has the operation here at all, in some case."""
        return any(trial.ran for trial in self)

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs that the operation can have in backward, and of all that it had."""
        names = ["value", *(gradient_name(name) for name in self.reference.differentiable)]
        found = dict.fromkeys(names if self.mode == "backward" else ())
        for trial in self:
            found |= dict.fromkeys(trial.observed.outputs)
        return list(found)
