"""Whether a mutant is a fault at all: by exact arithmetic, Arb balls at 500 bits, over small cases of the corpus.

Two formulas count as the same where every output agrees to more than 100 digits on each of them, kinks among them. What
balls cannot decide is asked again at four times the precision. Where special values went in and the result is not
finite, its kind in float64 counts; where only balls overflow (their exponents have limits too) nothing is said.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import flint
import numpy as np

from gradcheck.arithmetic import ball_precision, balls, rounding_model
from gradcheck.audit.limits import TooLongError, time_limit
from gradcheck.audit.recollection import Recollection
from gradcheck.audit.trials import Trial, Trials
from gradcheck.cases.draw import elements
from gradcheck.reference.evaluate import bounded_outputs, evaluate_all, float64_outputs
from gradcheck.reference.registry import Reference
from gradcheck.verdict.judge import Bounds

__all__ = ["bound_ratios", "compare", "same_values"]

BITS = (500, 2000)
DIGITS = 100
ROOM = 1 << 24
"""Bytes for what is recalled of the true formula on one case."""

CASES = 30
"""Cases that are compared exactly; by their bounds all are compared before."""


def same_values(mutant: Reference, trials: Trials) -> str:
    """``exact`` where the mutant has the values of the trials' own reference, to more than 100 digits, on the smallest
    cases; ``rounded`` where it has the same float64 numbers on some, and exactly no others than that reference's own
    rounding in float64 may give; empty otherwise.

    Cases of one element come last, since they show least.
    """
    ran = [trial for trial in trials.small if trial.ran]
    ran.sort(key=lambda trial: (elements(trial.case) <= 1, elements(trial.case)))
    found = "exact"
    for trial in ran[:CASES]:
        if not _same_on(mutant, trial):
            if not _same_but_rounding(mutant, trial):
                return ""
            found = "rounded"
    return found


def _same_but_rounding(mutant: Reference, trial: Trial) -> bool:
    """Whether a constant that float64 holds in place of one that is rounded to it, say, makes all the difference."""
    try:
        with warnings.catch_warnings(), time_limit():
            warnings.simplefilter("ignore")
            own, other = (float64_outputs(one, trial.known, trial.cotangent) for one in (trial.reference, mutant))
            if not all(np.array_equal(own[name], other[name], equal_nan=True) for name in own):
                return False
            model = rounding_model("float64")
            bounds = bounded_outputs(trial.reference, trial.known, trial.cotangent, model)
            true, found = _truth(trial, BITS[0]), _exact(mutant, trial, BITS[0])
            return all(_within(true[name], found[name], bounds[name].full_bound()) for name in own)
    except Exception:  # a wrong formula may raise anything
        return False


def _within(own: np.ndarray, other: np.ndarray, bound: np.ndarray) -> bool:
    """Whether balls are the same, or no farther apart than a finite bound; what is not finite was compared before."""
    pairs = [
        (own[index] - other[index], float(bound[index]))
        for index in np.ndindex(*own.shape)
        if own[index].is_finite() and other[index].is_finite()
    ]
    return all(apart == 0 or (np.isfinite(most) and abs(apart) <= most) for apart, most in pairs)


def bound_ratios(own: Bounds, other: Bounds) -> tuple[float, float, bool]:
    """The smallest and the largest ratio of the second bounds to the first, and whether some value differs.

    (1, 1, False) where all numbers are the same.
    """
    low, high, changed = 1.0, 1.0, False
    for grade, outputs in own.items():
        for name, output in outputs.items():
            true, found = output.full_bound(), other[grade][name].full_bound()
            with np.errstate(all="ignore"):
                ratio = np.where(true == found, 1.0, found / true)
            low, high = np.nanmin(ratio, initial=low), np.nanmax(ratio, initial=high)
            changed = changed or not np.array_equal(output.value, other[grade][name].value, equal_nan=True)
    return float(low), float(high), changed


def _same_on(mutant: Reference, trial: Trial) -> bool:
    for bits in BITS:
        try:
            with warnings.catch_warnings(), time_limit():
                warnings.simplefilter("ignore")
                found = _exact(mutant, trial, bits)
                kinds = (_kinds(trial.reference, trial), _kinds(mutant, trial)) if _special(trial) else None
                truth = _truth(trial, bits)
                if kinds is None and all(found[name] is array for name, array in truth.items()):
                    return True
                decided = compare(truth, found, kinds)
        except Exception:  # a wrong formula may raise anything; in the true one it would have shown long ago
            return False
        if decided is not None:
            return decided
    return True  # the balls overlap at the highest precision: a zero that only cancellation yields


def _exact(reference: Reference, trial: Trial, bits: int) -> dict[str, np.ndarray]:
    """By output; the very arrays of ``_truth`` where all went as there."""
    known = _recollection(trial, bits)
    with ball_precision(bits):
        try:
            return {name: output.array for name, output in known.outputs(reference).items()}
        except TooLongError:
            raise
        except Exception:  # whether it raises without a memory as well
            outputs = evaluate_all(reference, trial.known, trial.cotangent, balls, balls)
            return {name: balls(output).array for name, output in outputs.items()}


def _truth(trial: Trial, bits: int) -> dict[str, np.ndarray]:
    return {name: output.array for name, output in _recollection(trial, bits).own.items()}


@lru_cache(maxsize=len(BITS) * CASES)
def _recollection(trial: Trial, bits: int) -> Recollection:
    with ball_precision(bits):
        arguments = trial.reference, trial.known, trial.cotangent
        return Recollection(*arguments, (balls, balls, lambda array, output: balls(array)), balls, [ROOM])


def _kinds(reference: Reference, trial: Trial) -> dict[str, np.ndarray]:
    """Of each element in float64: NaN, ±inf or finite, as a number."""
    outputs = float64_outputs(reference, trial.known, trial.cotangent)
    return {
        name: np.where(np.isnan(output), 2.0, np.where(np.isinf(output), np.sign(output), 0.0))
        for name, output in outputs.items()
    }


def _special(trial: Trial) -> bool:
    """Whether infinities or NaN went in."""
    arrays = [array for array in trial.known.values() if isinstance(array, np.ndarray)]
    return not all(np.isfinite(array).all() for array in arrays)


Kinds = dict[str, np.ndarray]


def compare(own: dict[str, np.ndarray], other: dict[str, np.ndarray], kinds: tuple[Kinds, Kinds] | None) -> bool | None:
    """True: the same; False: not; None: the precision does not suffice to say. kinds: of elements that are no balls."""
    unclear = False
    for name, array in own.items():
        if array.shape != other[name].shape:
            return False
        for index in np.ndindex(*array.shape):
            a, b = array[index], other[name][index]
            if not (a.is_finite() and b.is_finite()):
                if kinds is not None and kinds[0][name][index] != kinds[1][name][index]:
                    return False
            elif not a.overlaps(b):
                return False
            elif not (_sharp(a) and _sharp(b)):
                unclear = True
    return None if unclear else True


def _sharp(ball: flint.arb) -> bool:
    """Whether a ball is known to more than DIGITS digits."""
    return ball.is_exact() or ball.rel_accuracy_bits() > DIGITS * 3.33
