"""Rules of the running error arithmetic for matrix products and einsum."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.model import UPWARD, RoundingModel
from gradcheck.arithmetic.running import Bounded, lift, reach, total
from gradcheck.arithmetic.running_reductions import finish_sum
from gradcheck.arithmetic.running_sums import in_worst_order
from gradcheck.arithmetic.ulps import half_ulps

__all__ = ["FEW_PRODUCTS", "einsum", "matmul"]

FEW_PRODUCTS = 1 << 13
"""Of so many products in all the sums are looked at term by term: beyond, that would take longer than the rest."""


def _contract(
    product: Callable[[Any, Any], Any], terms: int, a: Bounded, b: Bounded, each: Callable[[Any, Any], Any]
) -> Bounded:
    """A sum of ``terms`` products, by matmul or einsum, as the model multiplies matrices.

    each: the products before they are summed, of arrays of the operands' shapes; summed over the last axis.
    """
    model = a.model
    if model.factors:
        a, b = _rounded_factor(a), _rounded_factor(b)
    factor = model.product_factor(terms)
    value, magnitude = product(a.value, b.value), product(a.magnitude, b.magnitude)
    bound = magnitude * factor
    few = 0 < magnitude.size * terms <= FEW_PRODUCTS * model.rows
    if few and not (model.low_precision or model.factors or model.accumulator):
        bound = np.fmin(bound, _rounding_of_few(model, each(reach(a), reach(b))))
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
    return finish_sum(model, value, magnitude, bound, spread, special, top)


def _rounding_of_few(model: RoundingModel, sizes: np.ndarray) -> Any:
    """Of few products of these sizes, added up along the last axis: half an ulp of each, and what the sum loses where
    these very terms are added in the worst order (``running_sums``)."""
    error = half_ulps(model, sizes).sum(axis=-1)
    return error if sizes.shape[-1] < 2 else error + in_worst_order(model, sizes, -1, keepdims=False)


def _rounded_factor(a: Bounded) -> Bounded:
    """A factor of a matrix product, which may be rounded to a narrower format of the same exponent range first."""
    model = a.model
    finite = np.where(np.isfinite(a.value), a.magnitude, 0.0)
    bound = total(finite * (model.factors * UPWARD) + model.work.smallest_normal * model.factors, a.bound)
    if a.bound is not None:
        bound += a.bound * model.factors
    return Bounded(a.value, bound, model, a.top * (1.0 + 2.0 * model.factors))


def matmul(a: Any, b: Any) -> Bounded:
    """Products of matrices, as the model multiplies them."""
    model = a.model if isinstance(a, Bounded) else b.model
    return _contract(np.matmul, np.shape(a)[-1], lift(a, model), lift(b, model), _products)


def _products(a: Any, b: Any) -> Any:
    """The products of a·b, (…, n, k) by (…, k, m), as (…, n, m, k)."""
    return a[..., :, None, :] * np.swapaxes(b, -1, -2)[..., None, :, :]


def einsum(subscripts: str, a: Any, b: Any, *, optimize: bool = True) -> Bounded:
    """A sum of products of two arrays in Einstein's notation, a matrix product to the model."""
    model: RoundingModel = a.model if isinstance(a, Bounded) else b.model
    a, b = lift(a, model), lift(b, model)
    inputs, output = subscripts.replace(" ", "").split("->")
    left, right = inputs.split(",")
    sizes = dict(zip(left, a.shape, strict=True)) | dict(zip(right, b.shape, strict=True))
    summed = "".join(letter for letter in sizes if letter not in output)
    terms = math.prod(sizes[letter] for letter in summed)

    def products(x: Any, y: Any) -> Any:
        full = np.einsum(f"{inputs}->{output}{summed}", x, y)
        return full.reshape(*full.shape[: len(output)], terms)

    return _contract(lambda x, y: np.einsum(subscripts, x, y, optimize=optimize), terms, a, b, products)
