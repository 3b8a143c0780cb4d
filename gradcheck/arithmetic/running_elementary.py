"""Rules of the running error arithmetic for elementary functions: published accuracy, and the largest derivative on
the operand's interval.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from gradcheck.arithmetic.accuracy import EXACT_AT
from gradcheck.arithmetic.carrier import float64_of, size_of, wide_erf
from gradcheck.arithmetic.functions import pi
from gradcheck.arithmetic.model import RoundingModel
from gradcheck.arithmetic.running import Bounded, finish
from gradcheck.arithmetic.running_domain import below, everywhere, nan_below
from gradcheck.arithmetic.running_operands import unary
from gradcheck.arithmetic.ulps import elementary_error, few, half_ulps

__all__ = ["erf", "expit", "log_expit", "nearest_to_zero", "sinc", "smooth", "tanh"]


def smooth(
    function: Callable[[Any], Any], name: str, slope: Callable[[Any, Any, Any], Any], pole: float | None = None
) -> Callable[[Any], Any]:
    """Rule of an elementary function of published accuracy.

    slope(v, δ, value): the largest |f'| on [v - δ, v + δ], all in float64; pole: the left end of the domain, if it has
    one.
    """

    def rule(m: RoundingModel, a: Bounded) -> Bounded:
        value, local = function(a.value), m.elementary(name)
        bound = elementary_error(m, name, size_of(value))
        bound += m.eta
        if a.bound is not None:
            spread = a.bound * slope(float64_of(a.value), a.bound, float64_of(value))
        if pole is None:
            if a.bound is not None:
                bound += spread
            if name in EXACT_AT and few(m, value):
                bound = _exact_there(a, EXACT_AT[name], bound)
            return finish(m, value, bound, a, local=local)
        if a.bound is not None:
            # Beyond the pole the slope has the wrong sign; ``repair`` finds the NaN.
            bound += nan_below(a, pole, np.less_equal, spread)
        reached = functools.partial(below, pole=pole, compare=np.less_equal)
        return finish(m, value, bound, a, local=local, pole=everywhere, uncertain=reached)

    return unary(rule)


_LARGEST_EXPONENT = 700.0
"""exp of it is finite; what belongs to 1/(1 + exp(-x)) is the same from there on, relative to it."""


def _exact_there(a: Bounded, place: float, bound: Any) -> Any:
    """The bound, 0 where the operand is exactly at this place."""
    there = a.value == place
    if not there.any():
        return bound
    return np.where(there if a.bound is None else there & (a.bound == 0.0), 0.0, bound)


def nearest_to_zero(v: Any, d: Any) -> Any:
    """The least size of a number within d of v."""
    return np.maximum(np.abs(v) - d, 0.0)


def tanh(m: RoundingModel, a: Bounded) -> Bounded:
    """Its ulps are those of numbers below 1, unless the result may be rounded to 1 itself."""
    value, local = np.tanh(a.value), m.elementary("tanh")
    magnitude = size_of(value)
    bound = elementary_error(m, "tanh", magnitude)
    bound = np.where(magnitude < 1.0 - 2.0 * local, np.minimum(bound, m.elementary_below_one("tanh")), bound)
    bound += m.eta
    if a.bound is not None:
        bound += a.bound * (1.0 - np.tanh(nearest_to_zero(float64_of(a.value), a.bound)) ** 2)
    return finish(m, value, bound, a, local=local)


def expit(m: RoundingModel, a: Bounded) -> Bounded:
    """1/(1 + exp(-x)), one node for autograd; its bound is that of this composition.

    The relative error of exp counts by 1 - y, the sum and the quotient round once each; of few elements by ulps, of
    exp(x)/(1 + exp(x)) for x < 0 as well. Where exp(-x) overflows the composition gives 0, so the absolute error may be
    the reciprocal of the largest number.
    """
    value = special.expit(a.value)
    size, rest = float64_of(value), float64_of(1.0 - value)
    if few(m, value):
        power = np.exp(np.clip(-float64_of(a.value), -_LARGEST_EXPONENT, _LARGEST_EXPONENT))
        # The other way has exp(x), the reciprocal, and the sum 1/y-th of it, which is between 1 and 2.
        other = np.minimum(power, 1.0 / power)
        of_power = np.maximum(elementary_error(m, "exp", power) / power, elementary_error(m, "exp", other) / other)
        of_sum = np.maximum(half_ulps(m, 1.0 + power) / (1.0 + power), rest * m.unit)
        bound = size * (rest * of_power + of_sum) + half_ulps(m, size)
    else:
        bound = size * (rest * m.elementary("exp") + 2.0 * m.unit)
    bound += 1.0 / m.largest + m.eta
    if a.bound is not None:
        nearest = special.expit(-nearest_to_zero(float64_of(a.value), a.bound))
        bound += a.bound * nearest * (1.0 - nearest)
    return finish(m, value, bound, a, local=m.elementary("exp") + 2.0 * m.unit)


def log_expit(m: RoundingModel, a: Bounded) -> Bounded:
    """min(x, 0) - log1p(exp(-|x|)), one node for autograd; its bound is that of this composition."""
    value = special.log_expit(a.value)
    tail = special.expit(-a.magnitude)
    log1p = -special.log_expit(a.magnitude)
    bound = log1p * m.elementary("log1p") + tail * m.elementary("exp") + size_of(value) * m.unit + 2.0 * m.eta
    if a.bound is not None:
        bound += a.bound * special.expit(a.bound - float64_of(a.value))
    return finish(m, value, bound, a, local=m.elementary("log1p") + m.elementary("exp") + m.unit)


def sinc(x: Bounded) -> Bounded:
    """sin(πx)/(πx); where πx = a may be 0, both a and the subject's lie where the result is at least 1 - a²/6."""
    model, angle = x.model, pi(x) * x
    reach = angle.magnitude + angle.full_bound()
    open_ = angle.magnitude <= angle.full_bound()
    apart = np.where(open_, 1.0, angle)
    quotient: Any = np.sin(apart) / apart
    at_limit = reach * reach / 6.0 + 2.0 * (model.elementary("sin") + model.unit)
    value = np.where(open_, np.sinc(float64_of(x.value)), quotient.value)
    return Bounded(value, np.where(open_, at_limit, quotient.full_bound()), model, 2.0)


def erf(x: Any) -> Any:
    """erf in the carrier of its operand."""
    return special.erf(x) if x.dtype == np.float64 else wide_erf(x)
