"""What PyTorch really did on the cases of ``gradcheck verify``: observed once, then judged by many wrong references.

A trial is a case with PyTorch's outputs, the true reference's bounds and the verdicts; each part is made when it is
first asked for, and kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import cached_property
from math import prod
from typing import Any

from gradcheck.arithmetic import RoundingModel, rounding_model
from gradcheck.cases.case import Case
from gradcheck.cases.corpus import corpus
from gradcheck.cases.inputs import arguments_of, cotangents_of
from gradcheck.reference.evaluate import bounded_outputs, gradient_name
from gradcheck.reference.registry import Reference
from gradcheck.subject.run import Observed, run_case
from gradcheck.verdict.judge import Bounds, bounds_of, judge_against
from gradcheck.verdict.ledger import Ledger, load_ledger
from gradcheck.verdict.verdict import STATUSES, Verdict

__all__ = ["SMALL", "Judge", "Trial", "Trials", "elements"]

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

    @cached_property
    def arguments(self) -> dict[str, Any]:
        return arguments_of(self.case)

    @cached_property
    def observed(self) -> Observed:
        return run_case(self.reference, self.case, self.arguments)

    @property
    def ran(self) -> bool:
        return self.observed.outcome == "ran"

    @cached_property
    def before(self) -> Observed:
        """What a call of the same shape with other numbers gave: stale results come from there."""
        case = self.case.on(seed=self.case.seed + 1)
        return run_case(self.reference, case, arguments_of(case))

    @cached_property
    def longest_sum(self) -> int:
        """The largest number of terms that the reference adds up in this case; 1 where it has no sum."""
        model = _Counting(**_fields(rounding_model("float64")))
        bounded_outputs(self.reference, self.arguments, cotangents_of(self.case), model)
        return max(model.terms)

    @cached_property
    def bounds(self) -> Bounds:
        return bounds_of(self.reference, self.case, self.arguments, self.observed)

    def bounds_by(self, reference: Reference) -> Bounds:
        """The bounds that another reference yields for the same call; a wrong one may give rise to warnings."""
        with warnings.catch_warnings():
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


class _Counting(RoundingModel):
    """A rounding model that notes how many terms the sums have."""

    terms: list[int]

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "terms", [1])

    def sum_factor(self, terms: int) -> float:
        self.terms.append(terms)
        return super().sum_factor(terms)


def _fields(model: RoundingModel) -> dict[str, Any]:
    return {field.name: getattr(model, field.name) for field in fields(model) if field.init}


class Trials:
    """The corpus of one operation in one dtype, in the order in which faults are tried on it; made as far as needed."""

    def __init__(self, reference: Reference, dtype: str, cases: int, seed: int, judge: Judge = judge_against) -> None:
        self.reference = reference
        self.dtype = dtype
        ledger = load_ledger()
        drawn = sorted(corpus(reference, dtype, cases, seed), key=lambda case: elements(case) > SMALL)
        self._trials = [Trial(reference, case, judge, ledger) for case in drawn]

    def __len__(self) -> int:
        return len(self._trials)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self._trials)

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs that the operation can have, and those without gradient that it had."""
        found = dict.fromkeys(["value", *(gradient_name(name) for name in self.reference.differentiable)])
        for trial in self._trials:
            found |= dict.fromkeys(trial.observed.outputs)
        return list(found)


def elements(case: Case) -> int:
    """Elements of the largest array of a case."""
    return max((prod(spec.shape) for spec in case.specs.values()), default=1)
