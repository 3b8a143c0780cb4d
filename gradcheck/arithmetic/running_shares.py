"""Rules of the running error arithmetic for shares of a sum, e_i/Σ e, which a softmax consists of, and its slope."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradcheck.arithmetic.carrier import float64_of, size_of
from gradcheck.arithmetic.functions import apart
from gradcheck.arithmetic.model import UPWARD, RoundingModel
from gradcheck.arithmetic.running import Bounded, lift, reach
from gradcheck.arithmetic.ulps import half_ulps

__all__ = ["MOST_ELEMENTS", "Shares", "share_slope", "shared", "shares_of_sum"]

MOST_ELEMENTS = 1 << 13
"""Of more elements, or products, the bound is that of the operations one by one: these take some forty calls."""


class Shares(Bounded):
    """e_i/Σ e, without the error of the sum, which stands apart as a factor.

    of_terms: how far e'_i/Σ e, e' being what the subject has, may be from e_i/Σ e; of_sum: the relative rounding error
    of the subject's Σ e', its e' being what they are, inf where nothing is known. All else in the bound is rounding of
    the shares themselves.
    """

    __slots__ = ("of_sum", "of_terms")

    def __init__(self, shares: Bounded, of_terms: Any, of_sum: Any) -> None:
        super().__init__(shares.value, shares.bound, shares.model, shares.top)
        self.floor = shares.floor
        self.of_terms, self.of_sum = of_terms, of_sum

    def __gradcheck_stored__(self) -> Bounded:
        kept = super().__gradcheck_stored__()
        return kept if kept is self else Shares(kept, self.of_terms, self.of_sum)


def shares_of_sum(e: Bounded, whole: Bounded, kept: Any = None) -> tuple[Bounded, Any]:
    """e/whole without the error of ``whole``, the sum of e along some axis, and that error as a factor (``apart``)."""
    known, common = apart(whole)
    shares = (e if kept is None else kept) / known
    if not isinstance(shares, Bounded) or shares.size > MOST_ELEMENTS or e.bound is None or whole.bound is None:
        return shares, common
    size = whole.magnitude
    axes = tuple(axis for axis, side in enumerate(whole.shape) if side == 1 and e.shape[axis] > 1)
    spread = np.add.reduce(e.full_bound(), axis=axes, keepdims=True)
    of_sum = np.maximum(whole.bound - spread, 0.0) / (size - whole.bound) * UPWARD
    return Shares(shares, e.bound / size, np.where(whole.bound < 0.5 * size, of_sum, np.inf)), common


def share_slope(y: Bounded, common: Any, g: Any, axis: int) -> Any:
    """y·(g - Σ g·y·c), from left to right, for the shares y of a sum and the factor c that their error of it is.

    With a = e/Σ e, whose sum is 1, the subject has y'_i = c·(a_i + ε_i + ρ_i), ε_i being the error of e_i and ρ_i what
    the share was rounded by; and Σ c·(a_i + ε_i) = 1/(1 + τ), τ being the rounding of the sum alone. So with
    k = Σ g·a and g' = g + γ it has for the difference, besides the rounding of this formula,

        g_i - k + γ_i - Σ γ_j·y'_j - c·Σ (g_j - k)·ε_j - c·Σ g_j·ρ_j + k·τ/(1 + τ):

    softmax does not depend on a shift, and so an error of its exponents does not meet one of g. The rules one by one
    have |g_j| for |g_j - k|, |k|·c besides, and γ_i twice where y_i is nearly 1. The smaller bound of the two counts,
    where the rules find that nothing may overflow.
    """
    plain = y * (g - np.sum(g * y, axis=axis, keepdims=True) * common)
    if not isinstance(y, Shares) or not isinstance(plain, Bounded) or not 0 < plain.size <= MOST_ELEMENTS:
        return plain
    known = plain.full_bound()
    bound = _bound_of_slope(y, common, lift(g, y.model), axis, plain.magnitude)
    sharper = np.where(np.isfinite(known), np.fmin(known, bound), known)
    return Bounded(plain.value, sharper, plain.model, plain.top)


def _bound_of_slope(y: Shares, common: Any, g: Bounded, axis: int, sizes: Any) -> Any:
    m: RoundingModel = y.model

    def summed(terms: Any) -> Any:
        return np.add.reduce(terms, axis=axis, keepdims=True)

    of_common = _of_factor(common)
    once = np.where(of_common < 0.25, 1.0 + 2.0 * of_common, np.inf)  # more than c and 1/c, to all orders
    rounded = np.maximum(y.full_bound() - y.of_terms, 0.0)
    inner = rounded + y.of_terms
    off = inner + of_common * (y.magnitude + inner)
    gamma, farthest = g.full_bound(), y.magnitude + off
    k = summed(g.value * y.value)
    ahead = size_of(g.value - k)
    passed, products = gamma * farthest, reach(g) * farthest
    of_difference = once * summed(ahead * y.of_terms + g.magnitude * rounded) + size_of(k) * y.of_sum
    of_others = summed(passed) * UPWARD - passed
    of_difference = of_difference + gamma * (size_of(1.0 - y.value) + off) + of_others
    of_difference += summed(half_ulps(m, products) + m.eta) + _rounding_of_sum(m, products, axis)
    of_difference += half_ulps(m, ahead + of_difference) + m.eta
    bound = y.magnitude * of_difference + inner * (ahead + of_difference)
    bound += (half_ulps(m, float64_of(sizes) + bound) + m.eta) * once
    return bound * UPWARD


def _rounding_of_sum(m: RoundingModel, sizes: Any, axis: int) -> Any:
    """The rounding of a sum of terms of these sizes."""
    terms: Any = Bounded(sizes.astype(m.carrier), None, m)
    return np.sum(terms, axis=axis, keepdims=True).full_bound()


def shared(y: Bounded, subscripts: str, common: Any, e: Any, v: Any, whole: Any = None) -> Any:
    """Σ e·v, over ``whole`` if there is one, and times c: the shares y·c of v.

    In the words of ``share_slope`` the subject has Σ y'_j·(v_j + ν_j), that is o = Σ a·v and

        o·τ/(1 + τ) + c·Σ ε_j·(v_j - o) + c·Σ ρ_j·v_j + Σ y'_j·ν_j,

    besides what the products, their sum and the quotient round, which is the most for the largest operands. The smaller
    bound of the two counts.
    """

    def route(e: Any, v: Any) -> Any:
        total: Any = np.einsum(subscripts, e, v)
        return total if whole is None else total / whole

    plain = route(e, v) * common
    parts = (y, e, v, plain)
    if not isinstance(y, Shares) or not all(isinstance(part, Bounded) for part in parts):
        return plain
    if not 0 < y.size * v.shape[-1] <= MOST_ELEMENTS:
        return plain
    bound = _bound_of_shared(y, common, v, subscripts, plain)
    m, once = y.model, 1.0 + 2.0 * _most(common)
    rounded = route(*(Bounded(reach(part).astype(m.carrier), None, m) for part in (e, v))).full_bound() * once
    known = plain.full_bound()
    sharper = np.where(np.isfinite(known), np.fmin(known, (bound + rounded) * UPWARD), known)
    return Bounded(plain.value, sharper, m, plain.top)


def _most(common: Any) -> float:
    """The largest error of the factor, inf where it is more than a quarter: what is left out is of third order."""
    most = 0.0 if isinstance(common, float) else float(np.max(common.bound, initial=0.0))
    return most if most < 0.25 else math.inf


def _bound_of_shared(y: Shares, common: Any, v: Bounded, subscripts: str, o: Bounded) -> Any:
    """All but what is rounded of the products."""
    inputs, output = subscripts.split("->")
    letters = "".join(sorted(set(inputs) - set(output) - {","}))

    def products(a: Any, b: Any) -> Any:
        return np.einsum(f"{inputs}->{output}{letters}", a, b)

    of_common = _of_factor(common)
    once = 1.0 + 2.0 * of_common
    rounded = np.maximum(y.full_bound() - y.of_terms, 0.0)
    off = y.full_bound() + of_common * reach(y)
    distance = size_of(products(np.ones(y.shape), float64_of(v.value)) - float64_of(o.value)[..., None])
    meets = (products(y.of_terms, np.ones(v.shape)) * distance).sum(axis=-1)
    bound = once * (meets + np.einsum(subscripts, rounded, v.magnitude)) + o.magnitude * y.of_sum
    return bound if v.bound is None else bound + np.einsum(subscripts, y.magnitude + off, v.full_bound())


def _of_factor(common: Any) -> Any:
    """The error of the factor that the sum's error is."""
    return np.float64(0.0) if isinstance(common, float) else common.bound
