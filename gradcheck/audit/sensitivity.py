"""The smallest relative error of the subject that the suite reports, in roundoffs of the dtype.

A seed is a run of ``gradcheck verify`` on one operation in one dtype. An error counts as reported where any of the
run's cases gets a worse verdict than the true PyTorch has there; the sensitivity is the smallest error, among powers
of 2^(1/8) times the roundoff, that is reported with 95 % of the seeds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import product

import numpy as np

from gradcheck.audit.findings import Sensitivity
from gradcheck.audit.tamper import Scene, scaled, scaled_at_largest, tampered
from gradcheck.audit.trials import SMALL, Judge, Trial, Trials, elements
from gradcheck.formats import FORMATS, format_named
from gradcheck.reference.registry import Reference
from gradcheck.verdict.judge import judge_against

__all__ = ["PLACES", "SHARE", "sensitivities"]

PLACES: dict[str, Callable[[float], Callable[[Scene], np.ndarray]]] = {"all": scaled, "largest": scaled_at_largest}
"""Where the output is off: every element of it, or the largest alone."""

SHARE = 0.95
PER_OCTAVE = 8
STEPS = 40 * PER_OCTAVE
"""Errors are tried from 1 to 2^40 roundoffs, eight to each factor of two."""


def sensitivities(
    reference: Reference, dtype: str, cases: int, seeds: Iterable[int], judge: Judge = judge_against
) -> list[Sensitivity]:
    """For every output, off at every element or at the largest."""
    errors: dict[Key, list[float]] = defaultdict(list)
    for seed in seeds:
        for key, error in _of_one_seed(Trials(reference, dtype, cases, seed, judge)).items():
            errors[key].append(error)
    return [
        Sensitivity(
            dtype,
            output,
            place,
            _enough(found),
            _enough(errors[output, place, True]) if (output, place, True) in errors else None,
        )
        for (output, place, summed), found in sorted(errors.items())
        if not summed
    ]


Key = tuple[str, str, bool]
"""Output, place, and whether only cases with sums count, in units of √n."""


def _enough(errors: list[float]) -> float:
    """The smallest of the errors that at least SHARE of them do not exceed."""
    return sorted(errors)[math.ceil(SHARE * len(errors)) - 1]


def _of_one_seed(trials: Trials) -> dict[Key, float]:
    best: dict[Key, float] = {}
    for trial in trials:
        if not trial.ran or elements(trial.case) > SMALL:
            continue
        n = 1 if trials.reference.elementwise else trial.longest_sum
        units = {False: 1.0, True: math.sqrt(n)} if n > 1 else {False: 1.0}
        for output, place in product(trial.observed.outputs, PLACES):
            if trial.observed.dtypes[output] not in FORMATS:
                continue  # whole numbers are compared exactly
            if trial.observed.outputs[output].size and trial.sound(output):
                known = {summed: best.get((output, place, summed), math.inf) for summed in units}
                error = _smallest(trial, output, place, max(known[summed] * units[summed] for summed in units))
                best |= {(output, place, summed): min(known[summed], error / units[summed]) for summed in units}
        if trials.reference.elementwise and max(best.values(), default=math.inf) <= 1.0:
            break  # one roundoff is the smallest error that there is
    return best


def _smallest(trial: Trial, output: str, place: str, below: float) -> float:
    """The smallest reported error, in roundoffs, by bisection; ``below`` where it is not smaller than that."""
    low, high = 0, STEPS
    if below < math.inf:
        high = max(0, math.ceil(PER_OCTAVE * math.log2(below)))
        if high == 0 or not _reported(trial, output, place, high - 1):
            return below
        high -= 1
    while low < high:
        middle = (low + high) // 2
        if middle < STEPS and _reported(trial, output, place, middle):
            high = middle
        else:
            low = middle + 1
    return _error(high) if high < STEPS else math.inf


def _reported(trial: Trial, output: str, place: str, step: int) -> bool:
    form = format_named(trial.observed.dtypes[output])
    tamper = PLACES[place](1.0 + _error(step) * form.roundoff)
    wrong = tampered(tamper, trial.observed, output, trial.case, trial.observed)
    return wrong is not None and trial.reported(output, wrong) not in ("", "known")


def _error(step: int) -> float:
    return float(2.0 ** (step / PER_OCTAVE))
