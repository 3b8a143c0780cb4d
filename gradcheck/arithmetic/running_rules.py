"""Rules of the running error arithmetic for ufuncs: how each propagates bounds, and what rounding it adds.

Every rule encloses the set of results over the operands' intervals: first- and second-order terms for + - × ÷, the
largest derivative on the interval for elementary functions.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from scipy import special

from gradcheck.arithmetic.carrier import float64_of, size_of, wide_erf
from gradcheck.arithmetic.mask import Mask, decide
from gradcheck.arithmetic.model import UPWARD, RoundingModel
from gradcheck.arithmetic.running import Bounded, finish, lift, reach, repair, total
from gradcheck.arithmetic.running_power import power

__all__: list[str] = []


Rule = Callable[[RoundingModel, Bounded, Bounded], Bounded]


def _rounding(m: RoundingModel, magnitude: Any) -> Any:
    bound = magnitude * m.unit
    bound += m.eta
    return bound


def _binary(rule: Callable[[RoundingModel, Bounded, Bounded], Any]) -> Callable[[Any, Any], Any]:
    def lifted(a: Any, b: Any) -> Any:
        model = a.model if isinstance(a, Bounded) else b.model
        return rule(model, lift(a, model), lift(b, model))

    return lifted


def _unary(rule: Callable[[RoundingModel, Bounded], Any]) -> Callable[[Any], Any]:
    return lambda a: rule(a.model, a)


def _sum_or_difference(combine: Callable[[Any, Any], Any]) -> Rule:
    def rule(m: RoundingModel, a: Bounded, b: Bounded) -> Bounded:
        value = combine(a.value, b.value)
        # No η: sums of two numbers of a format are exact in its subnormal range, unless subnormals are flushed.
        bound = size_of(value)
        bound *= m.unit
        if m.least:
            bound += m.eta
        if a.bound is not None:
            bound += a.bound
        if b.bound is not None:
            bound += b.bound
        top = (a.top + b.top) * (1.0 + 2.0 * m.unit) + 2.0 * m.eta
        return finish(m, value, bound, a, b, top=top)

    return rule


_add = _sum_or_difference(np.add)
_subtract = _sum_or_difference(np.subtract)


def _is_power_of_two(a: Bounded) -> bool:
    return a.bound is None and a.value.ndim == 0 and abs(math.frexp(a.value)[0]) == 0.5


def _scale(m: RoundingModel, a: Bounded, factor: float, value: Any) -> Bounded:
    """Multiplication by a power of two: exact but for underflow and overflow."""
    size = abs(factor)
    bound = None if a.bound is None else a.bound * size
    if size < 1.0:
        bound = np.float64(m.eta) if bound is None else bound + m.eta
    top = a.top * size + 2.0 * m.eta
    if size > 1.0 and not top <= m.safe and not np.abs(value).max(initial=0.0) <= m.largest:
        zeros = np.zeros(value.shape)
        return Bounded(value, repair(m, np.asarray(value), total(zeros, bound), (a,)), m)
    return Bounded(value, bound, m, top)


def _multiply(m: RoundingModel, a: Bounded, b: Bounded) -> Bounded:
    value = a.value * b.value
    if _is_power_of_two(b):
        return _scale(m, a, float(b.value), value)
    if _is_power_of_two(a):
        return _scale(m, b, float(a.value), value)
    top = a.top * b.top * (1.0 + 2.0 * m.unit) + 2.0 * m.eta
    bound = _bound_of_product(m, value, a, b)
    return finish(m, value, bound, a, b, top=top, uncertain=lambda: _zero_times_infinity(a, b))


def _bound_of_product(m: RoundingModel, value: Any, a: Bounded, b: Bounded) -> Any:
    """u·|a·b| + η + |a|·β_b + β_a·(|b| + β_b), in as few passes over large arrays as there are."""
    if b.bound is None or b.value.size > a.value.size:
        a, b = b, a
    if b.bound is None or not m.has_room:
        bound = size_of(value)
        bound *= m.unit
        if b.bound is not None:
            bound += a.magnitude * b.bound
    else:
        bound = b.magnitude * m.unit
        bound += b.bound
        if bound.shape == value.shape:
            bound *= a.magnitude
        else:
            bound = bound * a.magnitude
    if a.bound is not None:
        bound += a.bound * reach(b)
    bound += m.eta
    return bound


def _zero_times_infinity(a: Bounded, b: Bounded) -> Any:
    """Where an infinity meets a number, not zero, whose error reaches zero: NaN, or the other infinity, may come out.

    Zero itself gives NaN for certain: with the infinity beside it, it is the limit of a saturated function.
    """
    infinite = np.isinf(a.value * b.value)
    return infinite & ((np.isinf(a.value) & _reaches_zero(b)) | (np.isinf(b.value) & _reaches_zero(a)))


def _divide(m: RoundingModel, a: Bounded, b: Bounded) -> Bounded:
    value = a.value / b.value
    if _is_power_of_two(b):
        return _scale(m, a, 1.0 / float(b.value), value)
    magnitude, divisor = size_of(value), b.magnitude
    bound = _rounding(m, magnitude)
    if b.is_root and a.bound is None and a.value.ndim == 0 and a.value == 1.0:
        bound += magnitude * m.reciprocal_root
    if b.bound is not None:
        divisor = _least(b)
        magnitude *= b.bound
        bound += total(magnitude, a.bound) / divisor
    elif a.bound is not None:
        bound += a.bound / divisor
    top = math.inf
    if b.bound is None and b.value.ndim == 0 and b.value != 0.0:
        top = a.top / abs(float(b.value)) * (1.0 + 2.0 * m.unit) + 2.0 * m.eta
    return finish(m, value, bound, a, b, top=top, pole=lambda: b.value == 0.0, uncertain=lambda: _reaches_zero(b))


def _least(b: Bounded) -> Any:
    """The least |value| that a divisor may have, NaN (which ``repair`` finds) where that is 0 by its error."""
    least = float64_of(np.abs(b.value) - b.bound) if b.model.carries_wide else b.magnitude - b.bound
    return least if least.min(initial=1.0) > 0.0 else np.where((least <= 0.0) & (b.bound > 0.0), np.nan, least)


def _reaches_zero(b: Bounded) -> Any:
    return np.False_ if b.bound is None else (b.bound >= b.magnitude) & (b.bound > 0.0)


def _same_error(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return _unary(lambda m, a: Bounded(function(a.value), a.bound, m, a.top))


def _sign(m: RoundingModel, a: Bounded) -> Bounded:
    value = np.sign(a.value)
    top = 3.0 if a.top < math.inf else math.inf
    if a.bound is None:
        return Bounded(value, None, m, top)
    return Bounded(value, np.where(a.magnitude <= a.bound, 1.0 + size_of(value), 0.0), m, top)


def _square(m: RoundingModel, a: Bounded) -> Bounded:
    return _multiply(m, a, a)


def _power(m: RoundingModel, a: Bounded, b: Bounded) -> Bounded:
    if b.bound is None and np.ndim(b.value) == 0 and b.value == 2.0:
        return _square(m, a)
    return power(m, a, b)


def _sqrt(m: RoundingModel, a: Bounded) -> Bounded:
    value = np.sqrt(a.value)
    root = float64_of(value)
    bound = _rounding(m, root)
    if a.bound is not None:
        # |√(v ± δ) - √v| is at most δ/√v, and at most √δ.
        spread = np.fmin(np.sqrt(a.bound), a.bound / root)  # where the value is 0 the quotient may be NaN
        bound += _nan_below(a, 0.0, np.less, spread)
    root = finish(m, value, bound, a, pole=_everywhere, uncertain=lambda: _below(a, 0.0, np.less))
    root.is_root = True
    return root


def _everywhere() -> Any:
    """These functions do not overflow: what is not finite is a pole, or outside the domain."""
    return np.True_


def _below(a: Bounded, pole: float, compare: Callable[[Any, Any], Any]) -> Any:
    """Where the operand's error may take it out of the domain from ``pole`` on; wholly outside, NaN is certain."""
    if a.bound is None:
        return np.False_
    return (a.bound > 0.0) & compare(a.value - a.bound, pole) & (a.value + a.bound >= pole)


def _nan_below(a: Bounded, pole: float, compare: Callable[[Any, Any], Any], spread: Any) -> Any:
    """``spread``, and NaN, which ``repair`` finds, where the operand may be out of the domain."""
    if (a.value - a.bound).min(initial=pole + 1.0) > pole:
        return spread
    return np.where(_below(a, pole, compare), np.nan, spread)


def _smooth(
    function: Callable[[Any], Any], name: str, slope: Callable[[Any, Any, Any], Any], pole: float | None = None
) -> Callable[[Any], Any]:
    """Rule of an elementary function of published accuracy.

    slope(v, δ, value): the largest |f'| on [v - δ, v + δ], all in float64; pole: the left end of the domain, if it has
    one.
    """

    def rule(m: RoundingModel, a: Bounded) -> Bounded:
        value, local = function(a.value), m.elementary(name)
        bound = size_of(value)
        bound *= local
        bound += m.eta
        if a.bound is not None:
            spread = a.bound * slope(float64_of(a.value), a.bound, float64_of(value))
        if pole is None:
            if a.bound is not None:
                bound += spread
            return finish(m, value, bound, a, local=local)
        if a.bound is not None:
            # Beyond the pole the slope has the wrong sign; ``repair`` finds the NaN.
            bound += _nan_below(a, pole, np.less_equal, spread)
        reached = functools.partial(_below, a, pole, np.less_equal)
        return finish(m, value, bound, a, local=local, pole=_everywhere, uncertain=reached)

    return _unary(rule)


def _nearest_to_zero(v: Any, d: Any) -> Any:
    return np.maximum(np.abs(v) - d, 0.0)


def _tanh(m: RoundingModel, a: Bounded) -> Bounded:
    """Its ulps are those of numbers below 1, unless the result may be rounded to 1 itself."""
    value, local = np.tanh(a.value), m.elementary("tanh")
    magnitude = size_of(value)
    bound = magnitude * local
    bound = np.where(magnitude < 1.0 - 2.0 * local, np.minimum(bound, m.elementary_below_one("tanh")), bound)
    bound += m.eta
    if a.bound is not None:
        bound += a.bound * (1.0 - np.tanh(_nearest_to_zero(float64_of(a.value), a.bound)) ** 2)
    return finish(m, value, bound, a, local=local)


def _expit(m: RoundingModel, a: Bounded) -> Bounded:
    """1/(1 + exp(-x)), one node for autograd; its bound is that of this composition.

    The relative error of exp counts by 1 - y, the sum and the quotient round once each. Where exp(-x) overflows the
    composition gives 0, so the absolute error may be the reciprocal of the largest number.
    """
    value = special.expit(a.value)
    rest = float64_of(1.0 - value)
    bound = float64_of(value) * (rest * m.elementary("exp") + 2.0 * m.unit) + (1.0 / m.largest + m.eta)
    if a.bound is not None:
        nearest = special.expit(-_nearest_to_zero(float64_of(a.value), a.bound))
        bound += a.bound * nearest * (1.0 - nearest)
    return finish(m, value, bound, a, local=m.elementary("exp") + 2.0 * m.unit)


def _log_expit(m: RoundingModel, a: Bounded) -> Bounded:
    """min(x, 0) - log1p(exp(-|x|)), one node for autograd; its bound is that of this composition."""
    value = special.log_expit(a.value)
    tail = special.expit(-a.magnitude)
    log1p = -special.log_expit(a.magnitude)
    bound = log1p * m.elementary("log1p") + tail * m.elementary("exp") + size_of(value) * m.unit + 2.0 * m.eta
    if a.bound is not None:
        bound += a.bound * special.expit(a.bound - float64_of(a.value))
    return finish(m, value, bound, a, local=m.elementary("log1p") + m.elementary("exp") + m.unit)


def _erf(x: Any) -> Any:
    return special.erf(x) if x.dtype == np.float64 else wide_erf(x)


def _extremum(pick: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
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

    return _binary(rule)


def _comparison(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def rule(m: RoundingModel, a: Bounded, b: Bounded) -> Any:
        likely = compare(a.value, b.value)
        if a.bound is None and b.bound is None:
            return likely
        errors = a.full_bound() + b.full_bound()
        undecided = (errors > 0) & ((np.abs(a.value - b.value) <= errors) | np.isinf(errors))
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
    np.tanh: _unary(_tanh),
    np.cos: _smooth(np.cos, "cos", lambda v, d, y: np.minimum(np.abs(np.sin(v)) + d, 1.0)),
    np.sin: _smooth(np.sin, "sin", lambda v, d, y: np.minimum(np.abs(np.cos(v)) + d, 1.0)),
    special.erf: _smooth(_erf, "erf", lambda v, d, y: 2 / np.sqrt(np.pi) * np.exp(-(_nearest_to_zero(v, d) ** 2))),
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


def _directly(rule: Rule, otherwise: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """An operator of bounded numbers without the way through NumPy's dispatch, which takes as long as the rule."""

    def operator(a: Bounded, b: Any) -> Any:
        if type(b) is Bounded:
            return rule(a.model, a, b)
        return rule(a.model, a, lift(b, a.model)) if type(b) in (int, float) else otherwise(a, b)

    return operator


def _reversed(rule: Rule) -> Rule:
    return lambda m, a, b: rule(m, b, a)


for _name, _rule in (("add", _add), ("sub", _subtract), ("mul", _multiply), ("truediv", _divide)):
    for _operator, _direct in ((f"__{_name}__", _rule), (f"__r{_name}__", _reversed(_rule))):
        setattr(Bounded, _operator, _directly(_direct, getattr(NDArrayOperatorsMixin, _operator)))
for _ufunc in (np.add, np.subtract, np.multiply, np.true_divide):
    Mask.ufuncs[_ufunc] = _refuse_mask_arithmetic
