"""Whether the suite notices a mutated formula: judged with it, the true PyTorch has to look wrong.

A mutant is tried in one dtype after the other until it is killed. One that stands in float64 is first asked whether it
is a fault at all (see equivalence), since those that are none would have to be tried on everything.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from gradcheck.audit.equivalence import bound_ratios, same_values
from gradcheck.audit.findings import Fate, Kill, by_contract
from gradcheck.audit.limits import patience, time_limit
from gradcheck.audit.mutate import Mutant
from gradcheck.audit.trials import Trial, Trials
from gradcheck.cases.case import Case
from gradcheck.cases.modes import oracle_of
from gradcheck.certify.bounds import accepts_anything, float64_differs
from gradcheck.certify.certify import CASES
from gradcheck.certify.draw import smooth_case
from gradcheck.reference.registry import Reference
from gradcheck.verdict.judge import Bounds

__all__ = ["fate_of", "killed_on"]

PROBE = 8
"""Trials in order, before those that have killed others."""


def fate_of(
    mutant: Mutant, trials: Mapping[str, Trials], exact: Trials | None = None, every_dtype: bool = False
) -> Fate:
    """Killed in some dtype, equivalent, or a survivor.

    trials: corpora of one mode by dtype, float64 first; exact: that of backward in float64, over which exact arithmetic
    compares, if it is not among them; every_dtype: a killed mutant is tried in the other dtypes as well.
    """
    if not any(mutant.is_reached(corpus.lines) for corpus in trials.values()):
        return _fate(mutant, "equivalent", {}, "no case reaches it")
    doubt = _Doubt(mutant, exact or trials["float64"], trials["float64"].mode)
    kills: dict[str, Kill] = {}
    for dtype, corpus in trials.items():
        kill = _first_kill(mutant, corpus, doubt)
        if kill is not None:
            kills[dtype] = kill
            if not every_dtype:
                break
        elif not kills and doubt.settled:
            break
    open_ = doubt.kind == "survived" or doubt.high == math.inf
    if not kills and open_ and trials["float64"].mode == "backward":
        kills |= _by_certificate(mutant, trials["float64"])
    kind = "killed" if kills else doubt.kind
    reason = "" if kills else doubt.reason
    return _fate(mutant, kind, kills, reason)


def _fate(mutant: Mutant, kind: str, kills: dict[str, Kill], reason: str) -> Fate:
    return Fate(mutant.operator, mutant.function, mutant.line, mutant.before, mutant.after, kind, kills, reason)


def _by_certificate(mutant: Mutant, trials: Trials) -> dict[str, Kill]:
    """The case on which ``gradcheck certify`` finds what no verdict can: that the wrong formula has no finite bound, or
    is another in float64, where arrays of the two arithmetics are told apart."""
    for number in range(CASES):
        case = smooth_case(trials.reference, trials.seed, number)
        try:
            with time_limit(patience(0.0)):
                words = _certified(mutant.reference, trials.reference, case)
        except Exception as error:  # a wrong formula may raise anything
            words = by_contract(error)
        if words:
            return {"float32": Kill(number + 1, words, str(case))}
    return {}


def _certified(wrong: Reference, own: Reference, case: Case) -> str:
    if accepts_anything(wrong, case):
        return "by certificate: no finite bound"
    other = float64_differs(wrong, case) and not float64_differs(own, case)
    return "by certificate: float64 differs" if other else ""


def killed_on(mutant: Mutant, trials: Trials) -> Kill | None:
    """The first kill among the trials, whether the mutant is a fault or not."""
    return _first_kill(mutant, trials, None)


class _Doubt:
    """Whether a mutant that is not killed is a fault at all; asked when it has stood long enough, and only once."""

    def __init__(self, mutant: Mutant, exact: Trials, mode: str) -> None:
        self.mutant = mutant
        self.kind = "survived"
        self.reason = ""
        self.low, self.high = 1.0, 1.0
        self.changed = False
        self.asked = False
        self._exact = exact
        self._mode = mode

    @property
    def settled(self) -> bool:
        return self.kind != "survived"

    @property
    def same(self) -> bool:
        """Whether all numbers were the true ones so far, and their bounds."""
        return not self.changed and self.low == self.high == 1.0

    def saw(self, trial: Trial, bounds: Bounds) -> None:
        """Note how the mutant's numbers differ from the true ones where it was not killed."""
        if not self.asked:
            low, high, changed = bound_ratios(trial.bounds, bounds)
            self.low, self.high, self.changed = min(self.low, low), max(self.high, high), self.changed or changed

    def ask(self) -> bool:
        """Whether there is nothing more to try: the mutant is no fault."""
        if not self.asked:
            self.asked = True
            if self._mode != "backward" and self.same:
                self.kind, self.reason = "equivalent", f"the same numbers in mode {self._mode}"
            elif oracle_of(self._mode) in ("hvp", "second tangent") and _at_ties_alone(self.mutant):
                self.kind, self.reason = "equivalent", "differs at a kink alone, where the second derivative is open"
            elif self.mutant.operator == "stored":
                self.kind, self.reason = self._by_bounds("only says what is rounded")
            elif sameness := same_values(self.mutant.reference, self._exact):
                self.kind, self.reason = self._by_bounds("same values")
                if sameness == "rounded":
                    self.kind, self.reason = "bound only", "same values in float64, and exactly within its rounding"
        # What is stored shows where it is rounded most: in formats of 16 bits, which are still to be tried.
        return self.settled and self.mutant.operator != "stored"

    def _by_bounds(self, words: str) -> tuple[str, str]:
        if self.low == self.high:
            return "equivalent", f"{words}, same bounds"
        return "bound only", f"{words}; bounds {self.low:.3g} to {self.high:.3g} times the true ones"


def _at_ties_alone(mutant: Mutant) -> bool:
    """Whether ≤ stands for < or the other way round."""
    return mutant.operator == "comparison" and mutant.before.replace("=", "") == mutant.after.replace("=", "")


def _first_kill(mutant: Mutant, trials: Trials, doubt: _Doubt | None) -> Kill | None:
    for number, trial in _asking(trials, doubt):
        if trial.ran and _may_differ(mutant, trial) and (how := _shown_by(mutant, trial, doubt)):
            trials.has_killed(number)
            return Kill(number, how, str(trial.case))
    return None


def _may_differ(mutant: Mutant, trial: Trial) -> bool:
    """Whether the case runs the wrong line; known of float64 alone, whose lines are those of the bounds."""
    return trial.case.dtype != "float64" or mutant.is_reached(trial.lines)


def _asking(trials: Trials, doubt: _Doubt | None) -> Iterator[tuple[int, Trial]]:
    """The trials with their numbers, no more of them once it is clear that the mutant is no fault."""
    for number, trial in trials.numbered(PROBE):
        # Large cases, and other dtypes, are dear: what is no fault has to be known before.
        if doubt is not None and number > len(trials.small) and doubt.ask():
            return
        yield number, trial
    if doubt is not None:
        doubt.ask()


def _shown_by(mutant: Mutant, trial: Trial, doubt: _Doubt | None) -> str:
    trial.prepare()
    try:
        bounds = trial.bounds_by(mutant.reference)
        if bounds is trial.bounds:
            return ""
        verdicts = trial.judged_with(bounds)
    except Exception as error:  # a wrong formula may raise anything
        return by_contract(error)
    for verdict in verdicts:
        if not trial.sound(verdict.output):
            continue
        if trial.is_bad(verdict):
            return f"{verdict.output} {verdict.status}"
        if (
            mutant.operator == "stored"
            and verdict.status == "coarse"
            and trial.verdicts[verdict.output].status == "agrees"
        ):
            return f"{verdict.output} coarse"
    if doubt is not None:
        doubt.saw(trial, bounds)
    return ""
