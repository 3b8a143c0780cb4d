"""The smallest relative error of the subject that the suite reports, in roundoffs of the dtype.

A seed is a run of ``gradcheck verify`` on one operation in one dtype. An error counts as reported where any of the
run's cases gets a worse verdict than the true PyTorch has there; the sensitivity is the smallest error, among powers
of 2^(1/8) times the roundoff, that is reported with 95 % of the seeds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np

from gradcheck.audit.findings import Sensitivity
from gradcheck.audit.tamper import Scene, scaled, scaled_at_largest, tampered
from gradcheck.audit.trials import Judge, Trial, Trials
from gradcheck.formats import FORMATS, format_named
from gradcheck.reference.registry import Reference
from gradcheck.verdict.judge import judge_against, stored_bound

__all__ = ["PLACES", "SHARE", "of_one_trial", "sensitivities"]

PLACES: dict[str, Callable[[float], Callable[[Scene], np.ndarray]]] = {"all": scaled, "largest": scaled_at_largest}
"""Where the output is off: every element of it, or the largest alone."""

SHARE = 0.95
PER_OCTAVE = 8
STEPS = 40 * PER_OCTAVE
"""Errors are tried from 1 to 2^40 roundoffs, eight to each factor of two."""


def sensitivities(
    reference: Reference,
    dtype: str,
    cases: int,
    seeds: Sequence[int],
    judge: Judge = judge_against,
    first: Trials | None = None,
) -> list[Sensitivity]:
    """For every output, off at every element or at the largest. first: the trials of the first seed, if made already.

    A seed whose error cannot be the one that is looked for is not pursued further: the figure is the same. Nor is one
    of less than one roundoff per √n: such a figure is a bound from above.
    """
    errors: dict[Key, list[float]] = defaultdict(list)
    shown: list[int] = []
    exceeding = len(seeds) - math.ceil(SHARE * len(seeds)) + 1
    for number, seed in enumerate(seeds):
        trials = first if first is not None and not number else Trials(reference, dtype, cases, seed, judge, sharp=True)
        enough = {key: max(1.0, sorted(known)[-exceeding]) for key, known in errors.items() if len(known) >= exceeding}
        best, places = _of_one_seed(trials, shown, enough)
        shown = shown or sorted(set(places.values()))
        for key, error in best.items():
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


def _of_one_seed(trials: Trials, shown: list[int], enough: dict[Key, float]) -> tuple[dict[Key, float], dict[Key, int]]:
    """The smallest reported errors, and where among the small trials they were found.

    shown: places to begin with; enough: errors that need not be undercut.
    """
    best: dict[Key, float] = {}
    places: dict[Key, int] = {}
    known = [place for place in shown if place < len(trials.small)]
    for place in dict.fromkeys([*known, *range(len(trials.small))]):
        if enough and all(best.get(key, math.inf) <= limit for key, limit in enough.items()):
            break
        for key, error in of_one_trial(trials.small[place], best, enough):
            if error < best.setdefault(key, math.inf):
                best[key], places[key] = error, place
        if trials.reference.elementwise and max(best.values(), default=math.inf) <= 1.0:
            break  # one roundoff is the smallest error that there is
    return best, places


def of_one_trial(trial: Trial, best: dict[Key, float], enough: dict[Key, float]) -> Iterator[tuple[Key, float]]:
    """The smallest errors that one case reports, as far as they are below ``best`` and above ``enough``."""
    if not trial.ran:
        return
    for output, place in product(trial.observed.outputs, PLACES):
        if trial.observed.dtypes[output] not in FORMATS:
            continue  # whole numbers are compared exactly
        n = trial.length_of(output)
        units = {False: 1.0, True: math.sqrt(n)} if n > 1 else {False: 1.0}
        keys = {(output, place, summed): unit for summed, unit in units.items()}
        known = {key: best.get(key, math.inf) for key in keys}
        if all(known[key] <= max(enough.get(key, 0.0), 1.0 / keys[key]) for key in keys):
            continue
        if trial.observed.outputs[output].size and trial.sound(output):
            error = _smallest(trial, output, place, max(known[key] * unit for key, unit in keys.items()))
            yield from ((key, error / unit) for key, unit in keys.items())


def _smallest(trial: Trial, output: str, place: str, below: float) -> float:
    """The smallest reported error, in roundoffs; ``below`` where it is not smaller than that."""
    least = _least(trial, output)
    if least >= below:
        return below
    low, high = max(0, math.floor(PER_OCTAVE * math.log2(max(least, 1.0)))), STEPS
    if below < math.inf:
        high = max(0, math.ceil(PER_OCTAVE * math.log2(below)))
        if high == 0 or not _reported(trial, output, place, high - 1):
            return below
        high -= 1
    stride = 1
    while low < high:  # it is mostly near the least possible one: ever larger strides from there, then bisection
        middle = min(low + stride - 1, (low + high) // 2)
        if middle < STEPS and _reported(trial, output, place, middle):
            high, stride = middle, STEPS
        else:
            low, stride = middle + 1, 2 * stride
    return _error(high) if high < STEPS else math.inf


def _least(trial: Trial, output: str) -> float:
    """No relative error smaller than this, in roundoffs, takes any element out of its bound."""
    form = format_named(trial.observed.dtypes[output])
    got = trial.observed.outputs[output]
    grades = [outputs[output] for outputs in trial.bounds.values()]
    if trial.verdicts[output].status == "agrees":
        grades = grades[:1]
    with np.errstate(all="ignore"):
        room = np.max([stored_bound(grade) for grade in grades], axis=0) - np.abs(got - np.asarray(grades[0].value))
        needed = (room - form.ulp(got)) / np.abs(got)
        counted = (got != 0.0) & (np.abs(got) < form.largest / 2.0)
        needed = np.where(counted, needed, np.where(got == 0.0, np.inf, 0.0))
    return float(np.nanmin(needed, initial=np.inf)) / form.roundoff


def _reported(trial: Trial, output: str, place: str, step: int) -> bool:
    form = format_named(trial.observed.dtypes[output])
    tamper = PLACES[place](1.0 + _error(step) * form.roundoff)
    wrong = tampered(tamper, trial.observed, output, trial.case, trial.observed)
    return wrong is not None and trial.reported(output, wrong) not in ("", "known")


def _error(step: int) -> float:
    return float(2.0 ** (step / PER_OCTAVE))
