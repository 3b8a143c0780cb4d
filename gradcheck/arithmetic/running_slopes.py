"""The rule of the running error arithmetic for the slope of a sigmoid, in which one stored number occurs twice."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic.carrier import float64_of, size_of
from gradcheck.arithmetic.model import UPWARD, RoundingModel
from gradcheck.arithmetic.running import Bounded, finish, reach
from gradcheck.arithmetic.ulps import few, half_ulps

__all__ = ["expit_slope"]


def expit_slope(y: Bounded, g: Any) -> Any:
    """g·(1 - y)·y, from left to right, where both y are one number that the subject has stored.

    If y is off by ε, then (1 - y)·y is off by (1 - 2y)·ε - ε²: nearly nothing where y is about 1/2. Each operation
    rounds once besides, but for 1 - y where y ≥ 1/2, which is exact (Sterbenz 1974, §4.3; Higham 2002, theorem 2.5).
    Few elements have this; more, and what may overflow, that of the three operations one by one.
    """
    m: RoundingModel = y.model
    if not isinstance(g, Bounded) or not (few(m, y.value) and few(m, g.value)) or not g.top <= m.safe or m.least:
        return g * (1.0 - y) * y
    rest = 1.0 - y.value
    first = g.value * rest
    value = first * y.value
    epsilon = np.float64(0.0) if y.bound is None else y.bound
    sizes, farthest = size_of(rest) + epsilon, reach(y)
    of_rest = np.where(y.magnitude - epsilon >= 0.5, sizes * (m.own * UPWARD), half_ulps(m, sizes))
    of_first = half_ulps(m, reach(g) * (sizes + of_rest)) + m.eta
    bound = reach(g) * (epsilon * (np.abs(float64_of(1.0 - 2.0 * y.value)) + epsilon) + of_rest * farthest)
    bound += of_first * farthest
    if g.bound is not None:
        bound += g.bound * size_of(rest * y.value)
    bound *= UPWARD
    bound += half_ulps(m, size_of(value) + bound) + m.eta
    return finish(m, value, bound, g, y)
