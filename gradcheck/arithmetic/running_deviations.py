"""The rule of the running error arithmetic for the reciprocal standard deviation of rows whose numbers have errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradcheck.arithmetic.carrier import float64_of, size_of
from gradcheck.arithmetic.model import UPWARD, RoundingModel
from gradcheck.arithmetic.running import Bounded, lift

__all__ = ["MOST_DEVIATIONS", "reciprocal_deviation"]

MOST_DEVIATIONS = 1 << 13
"""Of more elements the operations have their bounds one by one: this one takes some forty calls."""


def reciprocal_deviation(x: Bounded, mean: Bounded, axes: tuple[int, ...], eps: Any) -> Any:
    """1/√(Σ (x - mean)²/n + eps), each row by its own mean, which the subject has computed from its x.

    Let c = x - mean, x' = x + e what the subject has, and its mean off by ρ from that of x'. Then

        Σ (x' - mean')² = ‖c + e - ē‖² + n·ρ²   and   ‖c‖² - 2·Σ|c||e| ≤ ‖c + e - ē‖² ≤ ‖c‖² + 2·Σ|c||e| + ‖e‖²,

    since Σ c = 0 and e - ē, a part of e, is no longer than that; nor is ‖c + e - ē‖ less than ‖c‖ - ‖e‖, so that rows
    whose errors are as large as some of their numbers still have a deviation. The rules one by one add the error of the
    mean to each e, and have ρ beside |c|. All roundings of a sum of squares are relative ones. The smaller bound of the
    two counts, where the rules find that nothing may overflow.
    """
    m: RoundingModel = x.model
    centred = x - mean
    n = math.prod(x.shape[axis] for axis in axes)
    plain = 1.0 / np.sqrt(np.sum(centred * centred, axis=axes, keepdims=True) / n + eps)
    uncertain = x.bound is not None or m.rounds_on_store
    if not uncertain or not isinstance(plain, Bounded) or mean.bound is None or not 0 < x.size <= MOST_DEVIATIONS:
        return plain
    relative = _relative_error(x, mean, axes, n, lift(eps, m))
    known = plain.full_bound()
    sharper = np.fmin(known, (relative * plain.magnitude + m.eta) * UPWARD)
    return Bounded(plain.value, np.where(np.isfinite(known), sharper, known), m, plain.top).at_least_zero()


def _relative_error(x: Bounded, mean: Bounded, axes: tuple[int, ...], n: int, eps: Bounded) -> Any:
    m: RoundingModel = x.model
    u = m.unit

    def summed(terms: Any) -> Any:
        return np.add.reduce(terms, axis=axes, keepdims=True)

    c, e = float64_of(x.value - mean.value), x.full_bound()
    sizes = np.abs(c)
    squares, errors, along = summed(sizes * sizes), summed(e * e), 2.0 * summed(sizes * e)
    of_mean = np.maximum(mean.full_bound() - summed(e) / n, 0.0)
    tilt = np.abs(summed(c))  # by the reference's own rounding alone
    slack = tilt * (tilt + 2.0 * summed(e)) / n
    shorter = np.where(errors < squares, 2.0 * np.sqrt(squares * errors) - errors, squares)
    up = along + errors + n * of_mean * of_mean + slack
    down = np.minimum(along, shorter) + slack
    # The roundings: of a difference twice, of its square, of the sum and the quotient, relative to what they round.
    relative = math.expm1(4.0 * math.log1p(u)) * (1.0 + m.sum_factor(n)) + m.sum_factor(n)
    of_eps = size_of(eps.full_bound())
    rounding = (squares + up) / n * relative + (2.0 * m.eta + m.least)
    rounding += ((squares + up) / n + rounding + eps.magnitude + of_eps) * u + of_eps
    whole = squares / n + eps.magnitude
    up, down = up / n + rounding, np.minimum(down / n + rounding, squares / n + of_eps)
    larger, smaller = np.expm1(-0.5 * np.log1p(-down / whole)), -np.expm1(-0.5 * np.log1p(up / whole))
    farther = np.maximum(larger, smaller)
    return farther + (1.0 + farther) * (2.0 * u / (1.0 - u) + m.reciprocal_root)
