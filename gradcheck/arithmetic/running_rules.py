"""Rules of the running error arithmetic for ufuncs: how each propagates bounds, and what rounding it adds.

Every rule encloses the set of results over the operands' intervals: first- and second-order terms for + - × ÷, the
largest derivative on the interval for elementary functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from gradcheck.arithmetic.mask import Mask, decide
from gradcheck.arithmetic.model import RoundingModel
from gradcheck.arithmetic.running import Bounded, finish, lift, repair, total

__all__: list[str] = []


def _times(*factors: Any) -> Any:
    """The product of bounds and magnitudes; None (an exact zero) if any is None."""
    product = None
    for factor in factors:
        if factor is None:
            return None
        product = factor if product is None else product * factor
    return product


def _rounding(m: RoundingModel, value: Any) -> Any:
    magnitude = np.abs(value)
    magnitude *= m.unit
    magnitude += m.eta
    return magnitude


def _binary(rule: Callable[[RoundingModel, Bounded, Bounded], Any]) -> Callable[[Any, Any], Any]:
    def lifted(a: Any, b: Any) -> Any:
        model = a.model if isinstance(a, Bounded) else b.model
        return rule(model, lift(a, model), lift(b, model))

    return lifted


def _unary(rule: Callable[[RoundingModel, Bounded], Any]) -> Callable[[Any], Any]:
    return lambda a: rule(a.model, a)


def _add(m: RoundingModel, a: Bounded, b: Bounded) -> Bounded:
    value = a.value + b.value
    # No η: sums of two numbers of a format are exact in its subnormal range, unless subnormals are flushed.
    rounding = _rounding(m, value) if m.flushed else np.abs(value) * m.unit
    return finish(m, value, total(rounding, a.bound, b.bound), a, b)


def _subtract(m: RoundingModel, a: Bounded, b: Bounded) -> Bounded:
    return _add(m, a, Bounded(-b.value, b.bound, m))


def _is_power_of_two(a: Bounded) -> bool:
    return a.bound is None and np.ndim(a.value) == 0 and abs(np.frexp(a.value)[0]) == 0.5


def _scale(m: RoundingModel, a: Bounded, factor: float, value: Any) -> Bounded:
    """Multiplication by a power of two: exact but for underflow and overflow."""
    bound = None if a.bound is None else a.bound * abs(factor)
    if abs(factor) < 1.0:
        bound = np.full(np.shape(value), m.eta) if bound is None else bound + m.eta
    if abs(factor) > 1.0 and not np.maximum.reduce(np.abs(value), axis=None, initial=0.0) <= m.largest:
        return Bounded(value, repair(m, np.asarray(value), total(np.zeros(np.shape(value)), bound), (a,)), m)
    return Bounded(value, bound, m)


def _multiply(m: RoundingModel, a: Bounded, b: Bounded) -> Bounded:
    value = a.value * b.value
    if _is_power_of_two(b):
        return _scale(m, a, float(b.value), value)
    if _is_power_of_two(a):
        return _scale(m, b, float(a.value), value)
    bound = total(
        _rounding(m, value),
        None if b.bound is None else np.abs(a.value) * b.bound,
        None if a.bound is None else np.abs(b.value) * a.bound,
        _times(a.bound, b.bound),
    )
    return finish(m, value, bound, a, b)


def _divide(m: RoundingModel, a: Bounded, b: Bounded) -> Bounded:
    value = a.value / b.value
    if _is_power_of_two(b):
        return _scale(m, a, 1.0 / float(b.value), value)
    divisor, uncertain = np.abs(b.value), np.False_
    propagated = a.bound
    if b.bound is not None:
        uncertain = (b.bound >= divisor) & (b.bound > 0)
        divisor = np.where(uncertain, np.nan, divisor - b.bound)
        propagated = np.abs(value) * b.bound + (0.0 if a.bound is None else a.bound)
    spread = None if propagated is None else propagated / divisor
    return finish(m, value, total(_rounding(m, value), spread), a, b, pole=True, uncertain=uncertain)


def _same_error(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return _unary(lambda m, a: Bounded(function(a.value), a.bound, m))


def _sign(m: RoundingModel, a: Bounded) -> Bounded:
    value = np.sign(a.value)
    if a.bound is None:
        return Bounded(value, None, m)
    return Bounded(value, np.where(np.abs(a.value) <= a.bound, 1.0 + np.abs(value), 0.0), m)


def _square(m: RoundingModel, a: Bounded) -> Bounded:
    return _multiply(m, a, a)


def _power(m: RoundingModel, a: Bounded, b: Bounded) -> Bounded:
    if b.bound is None and np.ndim(b.value) == 0 and b.value == 2.0:
        return _square(m, a)
    raise a._missing("power with an exponent other than 2", {})


def _sqrt(m: RoundingModel, a: Bounded) -> Bounded:
    value = np.sqrt(a.value)
    spread, uncertain = None, np.False_
    if a.bound is not None:
        # |√(v ± δ) - √v| is at most δ/√v, and at most √δ.
        spread = np.minimum(np.sqrt(a.bound), np.where(value > 0, a.bound / value, np.inf))
        uncertain = (a.bound > 0) & (a.value - a.bound < 0)
    return finish(m, value, total(_rounding(m, value), spread), a, pole=True, uncertain=uncertain)


def _smooth(
    function: Callable[[Any], Any], name: str, slope: Callable[[Any, Any, Any], Any], pole: float | None = None
) -> Callable[[Any], Any]:
    """Rule of an elementary function of published accuracy.

    slope(v, δ, value): the largest |f'| on [v - δ, v + δ]; pole: the left end of the domain, if it has one.
    """

    def rule(m: RoundingModel, a: Bounded) -> Bounded:
        value = function(a.value)
        rounding = np.abs(value) * m.elementary(name) + m.eta
        if a.bound is None:
            return finish(m, value, rounding, a, pole=pole is not None)
        uncertain = np.False_ if pole is None else (a.bound > 0) & (a.value - a.bound <= pole)
        spread = np.where(a.bound == 0, 0.0, a.bound * slope(a.value, a.bound, value))
        return finish(m, value, total(rounding, spread), a, pole=pole is not None, uncertain=uncertain)

    return _unary(rule)


def _nearest_to_zero(v: Any, d: Any) -> Any:
    return np.maximum(np.abs(v) - d, 0.0)


def _expit(m: RoundingModel, a: Bounded) -> Bounded:
    """1/(1 + exp(-x)), one node for autograd; its bound is that of this composition.

    The relative error of exp counts by 1 - y, the sum and the quotient round once each. Where exp(-x) overflows the
    composition gives 0, so the absolute error may be the reciprocal of the largest number.
    """
    value = special.expit(a.value)
    bound = value * ((1.0 - value) * m.elementary("exp") + 2.0 * m.unit) + (1.0 / m.largest + m.eta)
    spread = None
    if a.bound is not None:
        nearest = special.expit(-_nearest_to_zero(a.value, a.bound))
        spread = np.where(a.bound == 0, 0.0, a.bound * nearest * (1.0 - nearest))
    return finish(m, value, total(bound, spread), a)


def _log_expit(m: RoundingModel, a: Bounded) -> Bounded:
    """min(x, 0) - log1p(exp(-|x|)), one node for autograd; its bound is that of this composition."""
    value = special.log_expit(a.value)
    tail = special.expit(-np.abs(a.value))
    log1p = -special.log_expit(np.abs(a.value))
    bound = log1p * m.elementary("log1p") + tail * m.elementary("exp") + np.abs(value) * m.unit + 2.0 * m.eta
    spread = None if a.bound is None else np.where(a.bound == 0, 0.0, a.bound * special.expit(a.bound - a.value))
    return finish(m, value, total(bound, spread), a)


def _extremum(pick: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def rule(m: RoundingModel, a: Bounded, b: Bounded) -> Bounded:
        value = pick(a.value, b.value)
        if a.bound is None and b.bound is None:
            return Bounded(value, None, m)
        a_bound, b_bound = a.full_bound(), b.full_bound()
        low = pick(a.value - a_bound, b.value - b_bound)
        high = pick(a.value + a_bound, b.value + b_bound)
        bound = np.where(np.isfinite(value), np.maximum(high - value, value - low), 0.0)
        unknown = np.isinf(a_bound) | np.isinf(b_bound)
        return Bounded(value, np.where(unknown, np.inf, bound), m)

    return _binary(rule)


def _comparison(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def rule(m: RoundingModel, a: Bounded, b: Bounded) -> Any:
        likely = compare(a.value, b.value)
        if a.bound is None and b.bound is None:
            return likely
        reach = a.full_bound() + b.full_bound()
        undecided = (reach > 0) & ((np.abs(a.value - b.value) <= reach) | np.isinf(reach))
        return decide(likely, undecided)

    return _binary(rule)


def _is_nan(m: RoundingModel, a: Bounded) -> Any:
    return decide(np.isnan(a.value), np.isinf(a.full_bound()))


def _refuse_mask_arithmetic(a: Any, b: Any) -> Any:
    mask = a if isinstance(a, Mask) else b
    raise mask._missing("arithmetic with a mask", {})


Bounded.ufuncs |= {
    np.add: _binary(_add),
    np.subtract: _binary(_subtract),
    np.multiply: _binary(_multiply),
    np.true_divide: _binary(_divide),
    np.negative: _same_error(np.negative),
    np.positive: _same_error(np.positive),
    np.absolute: _same_error(np.abs),
    np.sign: _unary(_sign),
    np.square: _unary(_square),
    np.power: _binary(_power),
    np.sqrt: _unary(_sqrt),
    np.exp: _smooth(np.exp, "exp", lambda v, d, y: y * np.exp(d)),
    np.expm1: _smooth(np.expm1, "expm1", lambda v, d, y: np.exp(v + d)),
    np.log: _smooth(np.log, "log", lambda v, d, y: 1.0 / (v - d), pole=0.0),
    np.log1p: _smooth(np.log1p, "log1p", lambda v, d, y: 1.0 / (1.0 + v - d), pole=-1.0),
    np.tanh: _smooth(np.tanh, "tanh", lambda v, d, y: 1.0 - np.tanh(_nearest_to_zero(v, d)) ** 2),
    special.erf: _smooth(
        special.erf, "erf", lambda v, d, y: 2 / np.sqrt(np.pi) * np.exp(-(_nearest_to_zero(v, d) ** 2))
    ),
    special.expit: _unary(_expit),
    special.log_expit: _unary(_log_expit),
    np.maximum: _extremum(np.maximum),
    np.minimum: _extremum(np.minimum),
    np.less: _comparison(np.less),
    np.less_equal: _comparison(np.less_equal),
    np.greater: _comparison(np.greater),
    np.greater_equal: _comparison(np.greater_equal),
    np.equal: _comparison(np.equal),
    np.not_equal: _comparison(np.not_equal),
    np.isnan: _unary(_is_nan),
}
for _ufunc in (np.add, np.subtract, np.multiply, np.true_divide):
    Mask.ufuncs[_ufunc] = _refuse_mask_arithmetic
