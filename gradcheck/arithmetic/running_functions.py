"""Rules of the running error arithmetic for whole-array functions: selection, reduction, contraction."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.carrier import size_of
from gradcheck.arithmetic.mask import Mask
from gradcheck.arithmetic.model import UPWARD, RoundingModel
from gradcheck.arithmetic.running import Bounded, lift, total
from gradcheck.arithmetic.running_sums import ORDERED_ELEMENTS, in_worst_order

__all__: list[str] = []


def _where(mask: Any, a: Any, b: Any) -> Bounded:
    """The chosen branch; where the mask is undecided, the hull of both."""
    model = next(part.model for part in (a, b) if isinstance(part, Bounded))
    return choose(mask, lift(a, model), lift(b, model))


def choose(mask: Any, a: Bounded, b: Bounded) -> Bounded:
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


def _mask_where(mask: Mask, a: Any, b: Any) -> Any:
    """np.where with an undecided mask: at least one branch has to know its arithmetic."""
    if isinstance(a, Bounded) or isinstance(b, Bounded):
        return _where(mask, a, b)
    raise mask._missing("where between two plain numbers (make one of them a number of the arithmetic)", {})


def _reduced_size(shape: tuple[int, ...], axis: Any) -> int:
    if axis is None:
        return math.prod(shape)
    axes = axis if isinstance(axis, tuple) else (axis,)
    return math.prod(shape[a] for a in axes)


def _sum(a: Bounded, axis: Any = None, keepdims: bool = False, *, blocks: int = 1) -> Bounded:
    """Σ over an axis: λ·√n·u·Σ|terms|, or γ·Σ|terms| where that is smaller, and the terms' own bounds.

    Of few terms their sizes are looked at, and no partial sum is taken for larger than it can be.
    """
    model, terms = a.model, _reduced_size(a.shape, axis)
    options: Any = {"axis": axis, "keepdims": keepdims}
    factor = model.sum_factor(blocks * terms)
    value = np.add.reduce(a.value, **options)
    magnitude = value if a.magnitude is a.value else np.add.reduce(a.magnitude, **options)
    spread = None if a.bound is None else np.add.reduce(a.full_bound(), **options)
    bound = magnitude * factor
    if blocks == 1 and terms > 2 and 0 < a.value.size <= ORDERED_ELEMENTS:
        bound = np.fmin(bound, in_worst_order(model, a.magnitude, axis, keepdims))
    if spread is not None:
        bound = bound + spread * (1.0 + factor)
    if model.least:  # what is added up may be flushed on the way
        bound = bound + terms * model.least
    top = terms * (a.top * (1.0 + 2.0 * factor) + 2.0 * model.least) if terms else 0.0

    def special() -> Any:
        return np.any(~np.isfinite(a.value), **options)

    return _finish_sum(model, value, magnitude, bound, spread, special, top)


def _finish_sum(
    model: RoundingModel, value: Any, magnitude: Any, bound: Any, spread: Any, special: Callable[[], Any], top: float
) -> Bounded:
    """A sum after a look at overflow, of partial sums too, and at special terms; ``special`` says where those are."""
    if not top <= model.safe:
        largest = magnitude + bound
        top = float(largest.max(initial=0.0))
        if not top <= model.largest:
            overflow = ~(largest <= model.largest)
            certain = special() if spread is None else special() & np.isfinite(spread)
            bound = np.where(certain, 0.0, np.where(overflow, np.inf, bound))
            top = math.inf
    return Bounded(value, bound, model, top)


def _mean(a: Bounded, axis: Any = None, keepdims: bool = False) -> Bounded:
    return _sum(a, axis, keepdims) / _reduced_size(a.shape, axis)


def _reduce_extremum(pick: Callable[..., Any]) -> Callable[..., Bounded]:
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


def _contract(product: Callable[[Any, Any], Any], terms: int, a: Bounded, b: Bounded) -> Bounded:
    """A sum of ``terms`` products, by matmul or einsum, as the model multiplies matrices."""
    model = a.model
    if model.factors:
        a, b = _rounded_factor(a), _rounded_factor(b)
    factor = model.product_factor(terms)
    value, magnitude = product(a.value, b.value), product(a.magnitude, b.magnitude)
    bound = magnitude * factor
    bound += terms * (model.eta + model.least if model.accumulator is None else model.accumulator.smallest_subnormal)
    spread = None
    for left, right in ((a.magnitude, b.bound), (a.bound, b.magnitude), (a.bound, b.bound)):
        if left is not None and right is not None:
            part = product(np.broadcast_to(left, a.shape), np.broadcast_to(right, b.shape))
            spread = part if spread is None else spread + part
    if spread is not None:
        bound = bound + spread * (1.0 + factor)
    top = terms * (a.top * b.top * (1.0 + 2.0 * factor) + 2.0 * (model.eta + model.least)) if terms else 0.0

    def special() -> Any:
        strange_a, strange_b = ~np.isfinite(a.value) * 1.0, ~np.isfinite(b.value) * 1.0
        return product(strange_a, np.ones(b.shape)) + product(np.ones(a.shape), strange_b) > 0

    if model.accumulator is not None and not top <= model.accumulator.largest:
        # A partial sum may overflow where it is kept, whatever becomes of the whole.
        reached = magnitude + bound
        bound = np.where(np.isfinite(reached) & (reached > model.accumulator.largest), np.inf, bound)
    return _finish_sum(model, value, magnitude, bound, spread, special, top)


def _rounded_factor(a: Bounded) -> Bounded:
    """A factor of a matrix product, which may be rounded to a narrower format of the same exponent range first."""
    model = a.model
    finite = np.where(np.isfinite(a.value), a.magnitude, 0.0)
    bound = total(finite * (model.factors * UPWARD) + model.work.smallest_normal * model.factors, a.bound)
    if a.bound is not None:
        bound += a.bound * model.factors
    return Bounded(a.value, bound, model, a.top * (1.0 + 2.0 * model.factors))


def _matmul(a: Any, b: Any) -> Bounded:
    model = a.model if isinstance(a, Bounded) else b.model
    return _contract(np.matmul, np.shape(a)[-1], lift(a, model), lift(b, model))


def _einsum(subscripts: str, a: Any, b: Any, *, optimize: bool = True) -> Bounded:
    model: RoundingModel = a.model if isinstance(a, Bounded) else b.model
    a, b = lift(a, model), lift(b, model)
    inputs, output = subscripts.replace(" ", "").split("->")
    left, right = inputs.split(",")
    sizes = dict(zip(left, a.shape, strict=True)) | dict(zip(right, b.shape, strict=True))
    terms = math.prod(size for letter, size in sizes.items() if letter not in output)
    return _contract(lambda x, y: np.einsum(subscripts, x, y, optimize=optimize), terms, a, b)


def _filled(number: float) -> Callable[[Any], Bounded]:
    return lambda a: Bounded(np.full(np.shape(a), number, dtype=a.model.carrier), None, a.model)


Bounded.ufuncs |= {np.matmul: _matmul}
Bounded.functions |= {
    np.where: _where,
    np.sum: _sum,
    np.mean: _mean,
    np.max: _reduce_extremum(np.max),
    np.min: _reduce_extremum(np.min),
    np.einsum: _einsum,
    np.zeros_like: _filled(0.0),
    np.ones_like: _filled(1.0),
}
Mask.functions[np.where] = _mask_where
Bounded.__gradcheck_sum_over_batch__ = lambda a, axis, keepdims: _sum(a, axis, keepdims, blocks=a.model.blocks)  # type: ignore[attr-defined]
