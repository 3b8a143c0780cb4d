"""Rules of the running error arithmetic for an error that two parts of a result have in common."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradcheck.arithmetic.carrier import float64_of, peak_of, size_of
from gradcheck.arithmetic.model import RoundingModel
from gradcheck.arithmetic.protocol import Composite
from gradcheck.arithmetic.running import Bounded, lift, reach

__all__ = ["Error", "einsum_up_to_shift", "parted", "reunited"]

ROUNDINGS = 4.0
"""Of k·x and k·origin on the way to their difference, at most: of the product, its sum with others, and stored ones."""


class Error(Bounded):
    """0, and as uncertain as the number k that it is the error of. largest: |k| + its error."""

    __slots__ = ("largest",)

    def __init__(self, error: Any, largest: Any, model: RoundingModel, top: float) -> None:
        super().__init__(np.zeros(np.shape(error), dtype=model.carrier), error, model, top)
        self.largest = largest

    def reshape(self, *shape: Any) -> Any:
        return Error(self.bound.reshape(*shape), self.largest.reshape(*shape), self.model, self.top)


def parted(k: Bounded) -> tuple[Bounded, Any]:
    """k without its error where that is finite, and the error as a number."""
    if k.bound is None:
        return k, None
    error = k.full_bound()
    known = np.isfinite(error) & np.isfinite(k.value)
    number = Bounded(k.value, None if known.all() else np.where(known, 0.0, error), k.model, k.top)
    return number.at_least(k.floor), Error(np.where(known, error, 0.0), reach(k), k.model, k.top)


def reunited(y: Bounded, error: Any, x: Any, origin: Any, axes: Any = None) -> Any:
    """y with ε·(x - origin), or the sum of these, for every ε that the error may be.

    What is rounded of ε·x and ε·origin, which may be much more than their difference, is counted by their sizes; and
    where k·x or k·origin may overflow, so may y.
    """
    m: RoundingModel = y.model
    if any(isinstance(part, Composite) and not isinstance(part, Bounded) for part in (error, x, origin)):
        terms = error * (x - origin)
        return y + (terms if axes is None else np.sum(terms, axis=axes, keepdims=True))
    x, origin = lift(x, m), lift(origin, m)
    farther = reach(x) + reach(origin)
    factor = ROUNDINGS * m.unit
    if axes is not None:
        factor += m.sum_factor(math.prod(np.broadcast_shapes(error.shape, np.shape(farther))[axis] for axis in axes))
    distance = size_of(x.value - origin.value) + x.full_bound() + origin.full_bound() + factor * farther
    more = error.full_bound() * distance
    if axes is not None:
        more = np.add.reduce(more, axis=axes, keepdims=True) * (1.0 + factor)
    if isinstance(error, Error) and not error.top * (x.top + origin.top) <= m.safe:
        overflow = ~(error.largest * farther <= m.safe) & (error.bound > 0.0)
        more = np.where(overflow if axes is None else overflow.any(axis=axes, keepdims=True), np.inf, more)
    finite = np.isfinite(y.value)
    more = np.where(finite | np.isinf(more), np.where(np.isnan(more), np.inf, more), 0.0)  # NaN is certain as it is
    return _more_uncertain(y, y.full_bound() + more, peak_of(np.asarray(more)))


def einsum_up_to_shift(a: Any, subscripts: str, b: Any, axis: int) -> Any:
    """Σ a·b, where an error of a that adds the same to the results of a row does not count.

    With b = m + d, m the mean along the axis, an error ε of a adds Σ ε·m to all of a row and Σ ε·d to each. Of the
    first only what is rounded of it counts: relatively, the sum of the shares of a row, its n terms and their products,
    n + 1 times each, and what is stored on the way, four times at the most.
    """
    m: RoundingModel = a.model
    parts: tuple[Any, Any] = parted(a)
    number, error = parts
    product: Any = np.einsum(subscripts, number, b)
    if error is None:
        return product
    if not isinstance(b, Bounded) or not isinstance(product, Bounded):
        return np.einsum(subscripts, a, b)
    sizes, center = float64_of(b.value), _mean_of_finite(float64_of(b.value), axis)
    distance = np.abs(sizes - center) + b.full_bound()
    stores = 4.0 * m.store.roundoff if m.rounds_on_store else 0.0
    kept = (2 * b.shape[axis] + 8) * m.unit + stores + m.product_factor(a.shape[-1]) + 3.0 * m.factors
    distance += kept * (np.abs(center) + b.full_bound())
    more: Any = np.einsum(subscripts, error.full_bound(), distance)
    bound = product.full_bound() + np.where(np.isnan(more), np.inf, more) * (1.0 + m.product_factor(a.shape[-1]))
    if not a.shape[-1] * a.top * b.top <= m.safe:
        one_by_one: tuple[Any, Any] = a, b
        whole: Any = np.einsum(subscripts, *one_by_one)
        known = whole.full_bound()
        bound = np.where(np.isfinite(known) & np.isfinite(product.value), bound, known)
    return _more_uncertain(product, bound, peak_of(np.asarray(more)))


def _more_uncertain(y: Bounded, bound: Any, by: float) -> Bounded:
    """y with a larger bound; what may overflow by it is not known."""
    m, top = y.model, y.top + by
    if m.low_precision:
        bound = bound * (1.0 + m.unit)
        top *= 1.0 + m.unit
    if not top <= m.safe:
        bound = np.where(np.isfinite(y.value) & ~(y.magnitude + bound <= m.largest), np.inf, bound)
        top = math.inf
    return Bounded(y.value, bound, m, top)


def _mean_of_finite(numbers: Any, axis: int) -> Any:
    """Their mean along the axis, which stays with length 1, those that are not finite counting as 0."""
    return np.mean(np.where(np.isfinite(numbers), numbers, 0.0), axis=axis, keepdims=True)
