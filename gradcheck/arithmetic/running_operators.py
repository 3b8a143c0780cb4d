"""Rules of the running error arithmetic for + - × ÷, signs, squares and roots: what IEEE 754 rounds correctly.

Every rule encloses the set of results over the operands' intervals, by first- and second-order terms.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from gradcheck.arithmetic.carrier import float64_of, size_of
from gradcheck.arithmetic.model import RoundingModel
from gradcheck.arithmetic.running import Bounded, Factor, finish, lift, reach, repair, rounded_floor, total
from gradcheck.arithmetic.running_domain import below, everywhere, nan_below
from gradcheck.arithmetic.running_operands import Rule, unary
from gradcheck.arithmetic.running_power import power as power_of
from gradcheck.arithmetic.ulps import few, with_rounding

__all__ = [
    "add", "divide", "floor_of_sum", "is_power_of_two", "multiply", "power", "same_error", "sign", "sqrt", "square",
    "subtract", "top_of_product", "top_of_quotient", "top_of_scaled", "top_of_sum",
]  # fmt: skip


def _sum_or_difference(combine: Callable[[Any, Any], Any]) -> Rule:
    def rule(m: RoundingModel, a: Bounded, b: Bounded) -> Bounded:
        """a ± b; the terms' bounds add up."""
        value = combine(a.value, b.value)
        # No η: sums of two numbers of a format are exact in its subnormal range, unless subnormals are flushed.
        magnitude = size_of(value)
        bound = with_rounding(m, magnitude, a.bound, b.bound, eta=m.constants.eta if m.least else None)
        result = finish(m, value, bound, a, b, top=top_of_sum(m, a, b), magnitude=magnitude)
        return result.at_least(floor_of_sum(m, a, b)) if combine is np.add else result

    return rule


def floor_of_sum(m: RoundingModel, a: Bounded, b: Bounded) -> float:
    """The floor of a + b."""
    return rounded_floor(a.floor + b.floor, m.unit, m.eta)


def top_of_sum(m: RoundingModel, a: Bounded, b: Bounded) -> float:
    """The top of a ± b."""
    return (a.top + b.top) * (1.0 + 2.0 * m.unit) + 2.0 * m.eta


add = _sum_or_difference(np.add)
subtract = _sum_or_difference(np.subtract)


def is_power_of_two(a: Bounded) -> bool:
    """Whether it is exact and ±2^k."""
    return a.bound is None and a.value.ndim == 0 and abs(math.frexp(a.value)[0]) == 0.5


def _scale(m: RoundingModel, a: Bounded, factor: float, value: Any) -> Bounded:
    """Multiplication by a power of two: exact but for underflow and overflow."""
    size = abs(factor)
    bound = None if a.bound is None else a.bound * size
    known = a.nonnegative and factor > 0.0
    if size < 1.0 and not (bound is None and value.ndim == 0 and abs(value) >= m.work.smallest_normal):
        bound = np.float64(m.eta) if bound is None else bound + m.eta
    top = top_of_scaled(m, a, factor)
    if size > 1.0 and not top <= m.safe and not np.abs(value).max(initial=0.0) <= m.largest:
        zeros = np.zeros(value.shape)
        return Bounded(value, repair(m, np.asarray(value), total(zeros, bound), (a,)), m).at_least_zero(known)
    return Bounded(value, bound, m, top).at_least_zero(known)


def top_of_scaled(m: RoundingModel, a: Bounded, factor: float) -> float:
    """The top of a·2^k."""
    return a.top * abs(factor) + 2.0 * m.eta


def multiply(m: RoundingModel, a: Bounded, b: Bounded) -> Bounded:
    """a·b; by a power of two it is exact."""
    value = a.value * b.value
    if type(b) is Factor and 2.0 * a.top <= m.safe:
        return _with_error_of(m, a, b, value)
    if is_power_of_two(b):
        return _scale(m, a, float(b.value), value)
    if is_power_of_two(a):
        return _scale(m, b, float(a.value), value)
    bound, magnitude = _bound_of_product(m, value, a, b)
    top = top_of_product(m, a, b)
    product = finish(m, value, bound, a, b, top=top, magnitude=magnitude, uncertain=_zero_times_infinity)
    return product.at_least_zero(a is b or (a.nonnegative and b.nonnegative))


def _with_error_of(m: RoundingModel, a: Bounded, factor: Factor, value: Any) -> Bounded:
    """a, with the relative error, less than 1, of what stands apart from it."""
    bound = reach(a) * factor.bound
    return Bounded(value, total(bound, a.bound), m, 2.0 * a.top).at_least(min(a.floor, 0.0))


def top_of_product(m: RoundingModel, a: Bounded, b: Bounded) -> float:
    """The top of a·b."""
    return a.top * b.top * (1.0 + 2.0 * m.unit) + 2.0 * m.eta


def _bound_of_product(m: RoundingModel, value: Any, a: Bounded, b: Bounded) -> tuple[Any, Any]:
    """u·|a·b| + η + |a|·β_b + β_a·(|b| + β_b), in as few passes over large arrays as there are; and |a·b| or None."""
    constants, magnitude = m.constants, None
    if few(m, value):
        magnitude = size_of(value)
        return _bound_of_small_product(m, magnitude, a, b), magnitude
    if b.bound is None or b.value.size > a.value.size:
        a, b = b, a
    if b.bound is None or not m.has_room:
        magnitude = size_of(value)
        bound = magnitude * constants.unit
        if b.bound is not None:
            bound += a.magnitude * b.bound
    else:
        bound = b.magnitude * constants.unit
        bound += b.bound
        if bound.shape == value.shape:
            bound *= a.magnitude
        else:
            bound = bound * a.magnitude
    if a.bound is not None:
        bound += a.bound * reach(b)
    bound += constants.eta
    return bound, magnitude


def _bound_of_small_product(m: RoundingModel, magnitude: Any, a: Bounded, b: Bounded) -> Any:
    """The same with half an ulp for u·|a·b|."""
    of_a = None if a.bound is None else a.bound * reach(b)
    of_b = None if b.bound is None else a.magnitude * b.bound
    return with_rounding(m, magnitude, of_a, of_b, eta=m.constants.eta)


def _zero_times_infinity(a: Bounded, b: Bounded) -> Any:
    """Where an infinity meets a number, not zero, whose error reaches zero: NaN, or the other infinity, may come out.

    Zero itself gives NaN for certain: with the infinity beside it, it is the limit of a saturated function.
    """
    infinite = np.isinf(a.value * b.value)
    return infinite & ((np.isinf(a.value) & _reaches_zero(b)) | (np.isinf(b.value) & _reaches_zero(a)))


def divide(m: RoundingModel, a: Bounded, b: Bounded) -> Bounded:
    """a/b; 1/√x may be one function of published accuracy."""
    value = a.value / b.value
    one = a.bound is None and a.value.ndim == 0 and a.value == 1.0
    if is_power_of_two(b) and not (one and b.is_root and m.reciprocal_root):
        return _scale(m, a, 1.0 / float(b.value), value)
    magnitude, spread = size_of(value), None
    if b.bound is not None:
        least = _least(b)
        # Not |a/b|·β_b first: of small numbers that is lost to underflow, and 1/b may be large.
        share = b.bound / least if b.floor <= 0.0 else _share_above(b, least)
        spread = total(magnitude * share, None if a.bound is None else a.bound / least)
    elif a.bound is not None:
        spread = a.bound / b.magnitude
    bound = with_rounding(m, magnitude, spread, eta=m.constants.eta)
    if one and b.is_root:
        bound += magnitude * m.reciprocal_root
    top = math.inf
    if b.bound is None and b.value.ndim == 0 and b.value != 0.0:
        top = top_of_quotient(m, a, b)
    result = finish(m, value, bound, a, b, top=top, magnitude=magnitude, pole=_by_zero, uncertain=_by_uncertain_zero)
    return result.at_least_zero(a.nonnegative and b.nonnegative)


def top_of_quotient(m: RoundingModel, a: Bounded, b: Bounded) -> float:
    """The top of a/b by one exact number, not zero."""
    return a.top / abs(float(b.value)) * (1.0 + 2.0 * m.unit) + 2.0 * m.eta


def _least(b: Bounded) -> Any:
    """The least |value| that a divisor may have, NaN (which ``repair`` finds) where that is 0 by its error."""
    least = float64_of(np.abs(b.value) - b.bound) if b.model.carries_wide else b.magnitude - b.bound
    if b.floor > 0.0:
        return np.maximum(least, b.floor)
    return least if least.min(initial=1.0) > 0.0 else np.where((least <= 0.0) & (b.bound > 0.0), np.nan, least)


def _share_above(b: Bounded, least: Any) -> Any:
    """How far 1/b' is from 1/b, of 1/b, for b' between ``least`` and b + β: β/(b + β) on one side, and b/least - 1 on
    the other, which is less than β/least where the floor is above b - β; NaN (which ``repair`` finds) for β = inf."""
    return np.maximum(np.minimum(b.bound, b.magnitude - least) / least, b.bound / reach(b))


def _reaches_zero(b: Bounded) -> Any:
    if b.bound is None or b.floor > 0.0:
        return np.False_
    return (b.bound >= b.magnitude) & (b.bound > 0.0)


def _by_zero(a: Bounded, b: Bounded) -> Any:
    return b.value == 0.0


def _by_uncertain_zero(a: Bounded, b: Bounded) -> Any:
    """Where the divisor's error reaches zero; or it is zero, and the error of what is divided reaches it: 0/0."""
    zero = np.False_ if a.bound is None else (b.value == 0.0) & (a.value != 0.0) & _reaches_zero(a)
    return _reaches_zero(b) | zero


def same_error(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function that changes signs alone."""
    return unary(lambda m, a: Bounded(function(a.value), a.bound, m, a.top))


def sign(m: RoundingModel, a: Bounded) -> Bounded:
    """-1, 0 or 1, and whatever of these the operand's error allows."""
    value = np.sign(a.value)
    top = 3.0 if a.top < math.inf else math.inf
    if a.bound is None:
        return Bounded(value, None, m, top)
    return Bounded(value, np.where(a.magnitude <= a.bound, 1.0 + size_of(value), 0.0), m, top)


def square(m: RoundingModel, a: Bounded) -> Bounded:
    """a·a."""
    return multiply(m, a, a)


def power(m: RoundingModel, a: Bounded, b: Bounded) -> Bounded:
    """a^b; a^2 is a product, as kernels have it."""
    if b.bound is None and np.ndim(b.value) == 0 and b.value == 2.0:
        return square(m, a)
    return power_of(m, a, b)


def sqrt(m: RoundingModel, a: Bounded) -> Bounded:
    """√a, rounded once; of a number that is never negative (a sum of squares) it is never NaN, however small it is.

    Of 4^k, as the width of attention's heads may be, it is exact.
    """
    value = np.sqrt(a.value)
    root = float64_of(value)
    if a.bound is None and value.ndim == 0 and np.frexp(value)[0] == 0.5 and value * value == a.value:
        exact = Bounded(value, None, m, 2.0 * float(root)).at_least_zero(a.nonnegative)
        exact.is_root = True
        return exact
    spread = None
    if a.bound is not None:
        # |√x - √v| = |x - v|/(√x + √v) is at most δ/(√least + √v), x being least or more, and at most √δ.
        least = np.maximum(float64_of(a.value - a.bound), max(a.floor, 0.0))
        spread = np.fmin(np.sqrt(a.bound), a.bound / (root + np.sqrt(least)))  # where the value is 0 this may be NaN
        spread = spread if a.nonnegative else nan_below(a, 0.0, np.less, spread)
    bound = with_rounding(m, root, spread, eta=m.constants.eta)
    uncertain = None if a.nonnegative else _below_zero
    result = finish(m, value, bound, a, pole=everywhere, uncertain=uncertain)
    result.floor = rounded_floor(math.sqrt(a.floor), m.unit, m.eta) if a.nonnegative else -math.inf
    result.is_root = True
    return result


def _below_zero(a: Bounded) -> Any:
    return below(a, 0.0, np.less)


def _directly(rule: Rule, otherwise: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """An operator of bounded numbers without the way through NumPy's dispatch, which takes as long as the rule."""

    def operator(a: Bounded, b: Any) -> Any:
        if type(b) is Bounded:
            return rule(a.model, a, b)
        if type(b) not in (int, float):
            return otherwise(a, b)
        return a if b == 1 and rule is multiply else rule(a.model, a, lift(b, a.model))

    return operator


def _reversed(rule: Rule) -> Rule:
    return lambda m, a, b: rule(m, b, a)


for _name, _rule in (("add", add), ("sub", subtract), ("mul", multiply), ("truediv", divide)):
    for _operator, _direct in ((f"__{_name}__", _rule), (f"__r{_name}__", _reversed(_rule))):
        setattr(Bounded, _operator, _directly(_direct, getattr(NDArrayOperatorsMixin, _operator)))
