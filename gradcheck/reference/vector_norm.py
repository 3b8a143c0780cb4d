"""The p-norm along axes as autograd has it, for normalisations and distances that go through it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import guarded, node, number, sgn, stored, ties_for_largest

__all__ = ["vector_norm"]


def vector_norm(x: Any, p: float, axis: Any) -> Any:
    """(Σ|x|^p)^(1/p) over the axes, which stay with side 1; for p = inf the largest |x|, for p = 0 the count of x ≠ 0.

    p is a plain number. Conventions: where the norm is 0 its gradient is 0 (for p = 1 it is so element by element);
    for p = inf elements that tie for the largest share the gradient evenly; for p = 0 there is none. For other p the
    gradient is x·|x|^(p-2)·(g/norm^(p-1)), each power by itself, as autograd writes it.
    """
    p = float(p)
    size = np.abs(x)
    if p == 0.0:
        counted = np.where(x == 0.0, np.zeros_like(x), np.ones_like(x))
        return np.sum(counted, axis=axis, keepdims=True), lambda g: np.zeros_like(x)
    if p == 1.0:
        return np.sum(size, axis=axis, keepdims=True), lambda g: sgn(x) * g
    if p == 2.0:
        return _euclidean(x, axis)
    if math.isinf(p):
        return _largest(x, size, axis)
    return _other(x, size, p, axis)


def _euclidean(x: Any, axis: Any) -> Any:
    value = np.sqrt(np.sum(x * x, axis=axis, keepdims=True))
    saved = stored(value)

    def euclidean_vjp(g: Any) -> Any:
        some = saved != 0.0
        unit = np.where(some, x / guarded(saved, some, 1.0), np.zeros_like(x))
        return g * stored(unit)

    return value, euclidean_vjp


def _largest(x: Any, size: Any, axis: Any) -> Any:
    value = np.max(size, axis=axis, keepdims=True)

    def largest_vjp(g: Any) -> Any:
        chosen = np.where(ties_for_largest(size, axis) | np.isnan(size), np.ones_like(x), np.zeros_like(x))
        # One is the largest for certain, although it may be undecided which.
        share = stored(g / np.maximum(np.sum(chosen, axis=axis, keepdims=True), 1.0))
        return sgn(x) * stored(share * chosen)

    return value, largest_vjp


def _other(x: Any, size: Any, p: float, axis: Any) -> Any:
    def norm_of(x: Any) -> Any:
        return np.power(np.sum(np.power(np.abs(x), p), axis=axis, keepdims=True), 1.0 / number(p, x))

    def norm_tangent(y: Any, x: Any, dx: Any) -> Any:
        """Σ x·|x|^(p-2)·dx / norm^(p-1), and 0 where the norm is 0: autograd's own formula."""
        some = y != 0.0
        norm = guarded(y, some, 1.0)
        here = x != 0.0 if p < 2.0 else np.ones(np.shape(x), dtype=bool)
        size = guarded(np.abs(x), here, 1.0)
        powers = x * np.power(size, p - 2.0) if p >= 2.0 else np.where(here, sgn(x) * np.power(size, p - 1.0), 0.0)
        total = stored(np.sum(stored(stored(powers) * dx), axis=axis, keepdims=True))
        return np.where(some, total / stored(np.power(norm, p - 1.0)), np.zeros_like(total))

    value = node(norm_of, norm_tangent, x)
    saved = stored(value)

    def other_vjp(g: Any) -> Any:
        some = saved != 0.0
        norm = guarded(saved, some, 1.0)
        if p < 1.0:
            here = size != 0.0
            power = np.where(here, np.power(guarded(size, here, 1.0), p - 1.0), np.zeros_like(x))
            return stored(stored(sgn(x) * stored(power)) * g) * stored(np.power(saved, 1.0 - p))
        scale = np.where(some, g / stored(np.power(norm, p - 1.0)), np.zeros_like(saved))
        if p < 2.0:
            return stored(sgn(x) * stored(np.power(size, p - 1.0))) * stored(scale)
        return stored(x * stored(np.power(size, p - 2.0))) * stored(scale)

    return value, other_vjp
