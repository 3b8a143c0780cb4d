"""The rounding of a sum whose terms are known: of all orders in which a kernel may add, the worst one for these terms.

Each addition rounds its result, so that a sum is off by the sum of these roundings, each of which is at most h(z_k),
half an ulp of a partial sum as it is computed (Higham 2002, §4.2; ``ulps``). In whatever order, and by whatever tree, n
terms are added, at most n - m + 1 of the partial sums have m terms or more, and one of m terms is no larger than T_m,
the sum of the m largest |terms|: the worst order adds the largest first. h does not fall as z grows, so the error is at
most Σ h(T_m), m = 2 … n; and, the roundings being mean independent, at most λ·√(Σ h(T_m)²) with the failure probability
stated in ``model`` (E. Hallman & I. C. F. Ipsen, "Precision-aware deterministic and probabilistic error bounds for
floating point summation", Numer. Math. 155, 2023; theirs has u·T_m for h). The z_k contain roundings themselves, which
γ_n covers. For terms of one size that is 0.38 of γ_n, and 0.45 of the bound that knows n alone.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from gradcheck.arithmetic.model import LAMBDA, RoundingModel
from gradcheck.arithmetic.ulps import half_ulps

__all__ = ["ORDERED_ELEMENTS", "in_worst_order"]

ORDERED_ELEMENTS = 1 << 9
"""So many terms, of all sums together, are put in order at most: beyond, sorting would take longer than the rest."""

CERTAIN_TERMS = 16
"""Up to so many terms the probabilistic bound is not the smaller one."""


def in_worst_order(model: RoundingModel, sizes: np.ndarray, axis: Any, keepdims: bool) -> Any:
    """The largest rounding error of the sums over ``axis``; NaN where there is nothing to tell.

    sizes: float64, |terms|, with two or more along the axes.
    """
    order, kept, sums = _axes(sizes.ndim, axis, keepdims)
    shape = sizes.shape
    moved = sizes if order is None else sizes.transpose(order)
    ordered = np.array(moved.reshape(math.prod([shape[a] for a in kept]), -1))
    terms = ordered.shape[1]
    growth = terms * model.unit
    if growth >= 1.0:
        return np.nan
    ordered.sort()
    with np.errstate(all="ignore"):
        partial = ordered[:, ::-1].cumsum(axis=1)[:, 1:]
        partial *= 1.0 + growth / (1.0 - growth)
        roundings = half_ulps(model, partial)
        error = roundings.sum(axis=1)
        if terms > CERTAIN_TERMS:
            error = np.fmin(error, LAMBDA * _root_of_squares(roundings))
    return error.reshape([1 if a is None else shape[a] for a in sums])


def _root_of_squares(roundings: np.ndarray) -> np.ndarray:
    """√(Σ r²) along the last axis, of which the last is the largest."""
    largest = roundings[:, -1:].copy()
    roundings /= largest  # squares of very small or large numbers would leave float64
    return np.sqrt(np.einsum("ij,ij->i", roundings, roundings)) * largest[:, 0]


@functools.cache
def _axes(
    dims: int, axis: int | tuple[int, ...] | None, keepdims: bool
) -> tuple[tuple[int, ...] | None, tuple[int, ...], tuple[int | None, ...]]:
    """The order of axes with those that are added up last (None where it is so already), those that are kept, and the
    axis of each dimension of the result, None for one of length 1."""
    axes = range(dims) if axis is None else sorted(a % dims for a in (axis if isinstance(axis, tuple) else (axis,)))
    kept = tuple(a for a in range(dims) if a not in axes)
    order = (*kept, *axes)
    sums = tuple(None if a in axes else a for a in range(dims)) if keepdims else kept
    return None if order == tuple(range(dims)) else order, kept, sums
