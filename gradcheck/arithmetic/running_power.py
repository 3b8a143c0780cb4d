"""The rule of the running error arithmetic for powers with any exponent."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic.carrier import float64_of, size_of
from gradcheck.arithmetic.model import RoundingModel
from gradcheck.arithmetic.running import Bounded, finish, reach
from gradcheck.arithmetic.ulps import elementary_error

__all__ = ["power"]


def power(m: RoundingModel, a: Bounded, b: Bounded) -> Bounded:
    """a^b, by a library function of published accuracy; NaN for a < 0 unless b is whole, 0^b = 0 for b > 0, a^0 = 1."""
    with np.errstate(all="ignore"):
        value = np.power(a.value, b.value)
        local = m.elementary("power")
        magnitude = size_of(value)
        bound = elementary_error(m, "power", magnitude) + m.eta
        if a.bound is not None or b.bound is not None:
            bound = bound + _spread(m, magnitude, a, b)
        found = finish(m, value, bound, a, b, local=local, pole=_has_pole)
        uncertain = _is_uncertain(a, b)
        if np.any(uncertain):
            found = Bounded(value, np.where(uncertain, np.inf, found.full_bound()), m)
        return found.at_least_zero(a.nonnegative)


def _spread(m: RoundingModel, magnitude: Any, a: Bounded, b: Bounded) -> Any:
    """How far x^y is from a^b for |x - a| ≤ δ and |y - b| ≤ ε: |a|^b·expm1(|b|·L + ε·(|ln|a|| + L)).

    L = -log1p(-δ/|a|) is the farthest that ln|x| is from ln|a|. Where x may be 0 and b > 0, x^y lies between 0 and the
    power of the largest |x|.
    """
    delta, epsilon = a.full_bound(), b.full_bound()
    exact_zero = (a.value == 0.0) & (delta == 0.0)
    away = -np.log1p(-np.minimum(delta / np.where(a.value == 0.0, 1.0, a.magnitude), 1.0))
    turn = np.where(epsilon == 0.0, 0.0, epsilon * (np.abs(np.log(a.magnitude)) + away))
    bound = magnitude * np.expm1(np.where(b.value == 0.0, 0.0, b.magnitude * away) + turn)
    farthest = np.power(reach(a), float64_of(b.value)) * (1.0 + m.unit) + magnitude
    bound = np.where((delta >= a.magnitude) & (b.value > 0.0), farthest, bound)
    return np.where(exact_zero | ((b.value == 0.0) & (epsilon == 0.0)), 0.0, bound)


def _is_uncertain(a: Bounded, b: Bounded) -> Any:
    """Where the base may have either sign, or be 0, unless the exponent is a whole number ≥ 0 for certain; and where it
    is negative and the exponent may be whole.

    Nor where the base is never negative and the exponent is positive for certain: then 0 to its power is 0.
    """
    delta, epsilon = a.full_bound(), b.full_bound()
    whole = (epsilon == 0.0) & (np.rint(b.value) == b.value)
    open_base = (delta > 0.0) & (delta >= a.magnitude) & ~(whole & (b.value >= 0.0))
    if a.nonnegative:
        open_base &= ~((b.value > 0.0) & (epsilon == 0.0))
    maybe_whole = np.abs(b.value - np.rint(b.value)) <= epsilon
    open_exponent = (epsilon > 0.0) & (((a.value < 0.0) & maybe_whole) | ((a.value == 0.0) & (b.magnitude <= epsilon)))
    return open_base | open_exponent


def _has_pole(a: Bounded, b: Bounded) -> Any:
    """1/0 to a power, and a negative number to one that is not whole: NaN by definition."""
    return ((a.value == 0.0) & (b.value < 0.0)) | ((a.value < 0.0) & (np.rint(b.value) != b.value))
