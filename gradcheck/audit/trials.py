"""What PyTorch really did on the cases of ``gradcheck verify``: observed once, then judged by many wrong references.

A trial is a case with PyTorch's outputs, the true reference's bounds and the verdicts; each part is made when it is
first asked for, and kept.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

from gradcheck.audit.lengths import lengths
from gradcheck.audit.limits import patience, time_limit
from gradcheck.audit.reached import Lines, traced
from gradcheck.cases.case import Case
from gradcheck.cases.corpus import corpus
from gradcheck.cases.draw import elements
from gradcheck.cases.inputs import arguments_of, cotangents_of
from gradcheck.cases.layouts import CONTIGUOUS, SHARING
from gradcheck.reference.evaluate import float64_outputs, gradient_name
from gradcheck.reference.registry import Reference
from gradcheck.subject.run import Observed, run_case
from gradcheck.verdict.judge import Bounds, bounds_of, judge_against
from gradcheck.verdict.ledger import Ledger, load_ledger
from gradcheck.verdict.verdict import STATUSES, Verdict

__all__ = ["SMALL", "Judge", "Trial", "Trials"]

Judge = Callable[[Reference, Case, dict[str, Any], Observed, Bounds], list[Verdict]]
"""What is audited: ``judge_against``, or a blind one that a test puts in its place."""

BAD = ("deviates", "raises")
SMALL = 4096
"""Elements above which a case is tried after the others: they find most, and cost less."""


class Trial:
    """One case, and what is known of it."""

    def __init__(self, reference: Reference, case: Case, judge: Judge, ledger: Ledger) -> None:
        self.reference = reference
        self.case = case
        self._judge = judge
        self._ledger = ledger
        self._lines: Lines = set()

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
        with traced(self._lines):
            bounds = bounds_of(own, self.case, self.arguments, self.observed)
        return bounds, time.process_time() - start

    @property
    def lines(self) -> Lines:
        """The lines of the reference's formulas that this case runs; none where PyTorch did not run.

        Bounds have their price: in other dtypes than float64, which are tried last, it is asked without them.
        """
        if self.case.dtype == "float64" or self.case.mode != "backward":
            return self._lines if self.bounds else set()
        if self.ran and not self._lines:
            with traced(self._lines), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                float64_outputs(replace(self.reference), self.known, cotangents_of(self.case))
        return self._lines

    @cached_property
    def _lengths(self) -> dict[str, int]:
        return lengths(self.reference, self.arguments | self.observed.drawn, cotangents_of(self.case))

    def length_of(self, output: str) -> int:
        """The length of the reduction whose result the output is (see ``lengths``); 1 where nothing is added up.

        Outputs of other modes than backward count by the longest of all that backward has.
        """
        if not self.ran or self.reference.elementwise:
            return 1
        return self._lengths[output] if output in self._lengths else max(self._lengths.values(), default=1)

    def bounds_by(self, reference: Reference) -> Bounds:
        """The bounds that another reference yields for the same call; a wrong one may give rise to warnings.

        Raises whatever a wrong formula may raise, TooLongError among it.
        """
        limit = patience(self._timed_bounds[1])
        with warnings.catch_warnings(), time_limit(limit):
            warnings.simplefilter("ignore")
            return bounds_of(reference, self.case, self.arguments, self.observed)

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


class Trials:
    """The corpus of one operation in one dtype and mode, in the order in which faults are tried on it.

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
    ) -> None:
        self.reference = reference
        self.dtype = dtype
        self.mode = mode
        self.seed = seed
        ledger = load_ledger()
        drawn = [Trial(reference, case, judge, ledger) for case in corpus(reference, dtype, cases, seed, mode)]
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
