"""Rules of the running error arithmetic for choices among numbers: where, the larger of two, the largest of many.

Where the errors leave it open which is chosen, the result is the hull of those that may be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.carrier import size_of
from gradcheck.arithmetic.mask import Mask, decide
from gradcheck.arithmetic.model import UPWARD, RoundingModel
from gradcheck.arithmetic.running import Bounded, lift
from gradcheck.arithmetic.running_operands import binary

__all__ = ["choose", "extremum", "mask_where", "reduce_extremum", "ties_for_largest", "where"]


def where(mask: Any, a: Any, b: Any) -> Bounded:
    """The chosen branch; where the mask is undecided, the hull of both."""
    model = next(part.model for part in (a, b) if isinstance(part, Bounded))
    return choose(mask, lift(a, model), lift(b, model))


def choose(mask: Any, a: Bounded, b: Bounded) -> Bounded:
    """``a`` where the mask holds and ``b`` elsewhere; where it is undecided, the hull of both."""
    likely = mask.likely if isinstance(mask, Mask) else mask
    value = np.where(likely, a.value, b.value)
    if not isinstance(mask, Mask):
        top = max(a.top, b.top)
        if a.bound is None and b.bound is None:
            return Bounded(value, None, a.model, top)
        a_bound, b_bound = (np.float64(0.0) if part.bound is None else part.bound for part in (a, b))
        return Bounded(value, np.where(likely, a_bound, b_bound), a.model, top)
    a_bound, b_bound = a.full_bound(), b.full_bound()
    bound = np.where(likely, a_bound, b_bound)
    reach = np.maximum(size_of(a.value - value) + a_bound, size_of(b.value - value) + b_bound) * UPWARD
    same = (a.value == b.value) | (np.isnan(a.value) & np.isnan(b.value))
    reach = np.where(same, np.maximum(a_bound, b_bound), np.where(np.isnan(reach), np.inf, reach))
    return Bounded(value, np.where(mask.undecided, reach, bound), a.model, 2.0 * (a.top + b.top))


def mask_where(mask: Mask, a: Any, b: Any) -> Any:
    """np.where with an undecided mask: at least one branch has to know its arithmetic."""
    if isinstance(a, Bounded) or isinstance(b, Bounded):
        return where(mask, a, b)
    raise mask._missing("where between two plain numbers (make one of them a number of the arithmetic)", {})


def extremum(pick: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The larger (or smaller) of two numbers, with the error of every one that may be it."""

    def rule(m: RoundingModel, a: Bounded, b: Bounded) -> Bounded:
        value = pick(a.value, b.value)
        top = 3.0 * max(a.top, b.top)
        if a.bound is None and b.bound is None:
            return Bounded(value, None, m, top)
        a_bound, b_bound = a.full_bound(), b.full_bound()
        # How far each is behind the chosen one, minus its error: neither can get ahead by more.
        bound = np.maximum(a_bound - size_of(a.value - value), b_bound - size_of(b.value - value)) * UPWARD
        bound = np.where(np.isfinite(value), bound, 0.0)
        unknown = np.isinf(a_bound) | np.isinf(b_bound)
        return Bounded(value, np.where(unknown, np.inf, bound), m, top)

    return binary(rule)


def reduce_extremum(pick: Callable[..., Any]) -> Callable[..., Bounded]:
    """The largest (or smallest) of many numbers along axes, with the error of every one that may be it."""

    def rule(a: Bounded, axis: Any = None, keepdims: bool = False) -> Bounded:
        value = pick(a.value, axis=axis, keepdims=keepdims)
        if a.bound is None:
            return Bounded(value, None, a.model, a.top)
        # How far a term is behind the chosen one, minus its error: no term can get ahead by more.
        behind = size_of(a.value - pick(a.value, axis=axis, keepdims=True))
        bound = np.max(a.full_bound() - np.where(np.isnan(behind), 0.0, behind), axis=axis, keepdims=keepdims)
        unknown = np.any(np.isinf(a.full_bound()), axis=axis, keepdims=keepdims)
        bound = np.where(unknown, np.inf, np.where(np.isfinite(value), bound * UPWARD, 0.0))
        return Bounded(value, bound, a.model, 3.0 * a.top)

    return rule


def ties_for_largest(a: Bounded, axis: Any) -> Any:
    """Whether an element is the largest along axes: for certain if no other can reach it, or all that can are exact."""
    peak = np.max(a.value, axis=axis, keepdims=True)
    likely = a.value == peak
    if a.bound is None:
        return likely
    behind = np.where(likely, 0.0, size_of(peak - a.value))
    bound = a.full_bound() * UPWARD
    # Somebody is at least as large as this, whatever the errors are.
    possible = behind - bound <= np.min(behind + bound, axis=axis, keepdims=True)
    rivals = np.sum(possible, axis=axis, keepdims=True) > 1
    inexact = np.any(possible & (bound > 0.0), axis=axis, keepdims=True)
    return decide(likely, possible & rivals & inexact & ~np.isnan(peak))
