"""Rules of the running error arithmetic for sums and means."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.carrier import peak_of
from gradcheck.arithmetic.model import RoundingModel
from gradcheck.arithmetic.running import Bounded, reach
from gradcheck.arithmetic.running_sums import (
    CERTAIN_TERMS,
    ORDERED_ELEMENTS,
    SAMPLED_ELEMENTS,
    in_worst_order,
    seem_alike,
)

__all__ = ["finish_sum", "mean", "reduced_size", "sum_of", "top_of_terms"]


def reduced_size(shape: tuple[int, ...], axis: Any) -> int:
    """How many elements a sum over the axis, or axes, has."""
    if axis is None:
        return math.prod(shape)
    return math.prod([shape[a] for a in axis]) if isinstance(axis, tuple) else shape[axis]


def sum_of(
    a: Bounded, axis: Any = None, keepdims: bool = False, *, blocks: int = 1, batch: int = 1, sums: Any = None
) -> Bounded:
    """Σ over an axis: λ·√n·u·Σ|terms|, or γ·Σ|terms| where that is smaller, and the terms' own bounds.

    Of few terms their sizes are looked at: no partial sum is taken for larger than it can be, and no roundings for
    independent that are not; of more, this only where some are seen to be alike. blocks: of how many
    blocks of rows this is one; batch: how many arrays are stacked in this one, each of few terms or many by itself;
    sums: those of ``a.sums``, where they are known.
    """
    model, terms = a.model, reduced_size(a.shape, axis)
    options: Any = {"axis": axis, "keepdims": keepdims}
    factor = model.sum_factor(blocks * terms)
    value, magnitude, spread = sums or a.sums(axis, keepdims)
    bound = magnitude * factor
    batch = max(batch, model.rows)
    if blocks == 1 and terms > 1 and 0 < value.size * terms <= SAMPLED_ELEMENTS * batch:
        bound = _looked_at(a, axis, keepdims, magnitude, bound, few=value.size * terms <= ORDERED_ELEMENTS * batch)
    if spread is not None:
        bound = bound + spread * (1.0 + factor)
    if model.least:  # what is added up may be flushed on the way
        bound = bound + terms * model.least
    top = top_of_terms(model, terms, factor, a.top)

    def special() -> Any:
        return np.any(~np.isfinite(a.value), **options)

    return finish_sum(model, value, magnitude, bound, spread, special, top).at_least_zero(a.nonnegative)


def top_of_terms(model: RoundingModel, terms: int, factor: float, top: float) -> float:
    """The top of a sum of so many terms, from that of the terms."""
    return terms * (top * (1.0 + 2.0 * factor) + 2.0 * model.least) if terms else 0.0


def _looked_at(a: Bounded, axis: Any, keepdims: bool, magnitude: Any, bound: Any, few: bool) -> Any:
    """The bound of the rounding after a look at the terms: at all of few ones, at some of more, and then at all of
    those sums that seem to add one number again and again."""
    model: RoundingModel = a.model
    if few and model.low_precision:
        return np.fmin(bound, in_worst_order(model, a.magnitude, axis, keepdims))
    exact = a.bound is None
    if not few:
        if model.low_precision or reduced_size(a.shape, axis) <= CERTAIN_TERMS:
            return bound
        seem = seem_alike(model, a.magnitude, np.asarray(magnitude), axis, keepdims, exact)
        if not seem.any():
            return bound
    # A zero that is uncertain may be as large as its bound: only a certain one is added without rounding.
    ordered = in_worst_order(model, reach(a), axis, keepdims, exact)
    return np.where(np.isnan(ordered) if few else np.isnan(ordered) | ~seem, bound, ordered)


def finish_sum(
    model: RoundingModel, value: Any, magnitude: Any, bound: Any, spread: Any, special: Callable[[], Any], top: float
) -> Bounded:
    """A sum after a look at overflow, of partial sums too, and at special terms; ``special`` says where those are."""
    if not top <= model.safe:
        largest = magnitude + bound
        top = peak_of(largest)
        if not top <= model.largest:
            overflow = ~(largest <= model.largest)
            certain = special() if spread is None else special() & np.isfinite(spread)
            bound = np.where(certain, 0.0, np.where(overflow, np.inf, bound))
            top = math.inf
    return Bounded(value, bound, model, top)


def mean(a: Bounded, axis: Any = None, keepdims: bool = False) -> Bounded:
    """The sum over an axis, divided by the number of its terms."""
    return sum_of(a, axis, keepdims) / reduced_size(a.shape, axis)
