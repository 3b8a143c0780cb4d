"""The rounding of a sum whose terms are known: of all orders in which a kernel may add, the worst one for these terms.

Each addition rounds its result, so that a sum is off by the sum of these roundings, each of which is at most h(z_k),
half an ulp of a partial sum as it is computed (Higham 2002, §4.2; ``ulps``). In whatever order, and by whatever tree, n
terms are added, at most n - m + 1 of the partial sums have m terms or more, and one of m terms is no larger than T_m,
the sum of the m largest |terms|: the worst order adds the largest first. h does not fall as z grows, so the error is at
most Σ h(T_m), m = 2 … n; and, the roundings being mean independent, at most λ·√(Σ h(T_m)²) with the failure probability
stated in ``model`` (E. Hallman & I. C. F. Ipsen, "Precision-aware deterministic and probabilistic error bounds for
floating point summation", Numer. Math. 155, 2023; theirs has u·T_m for h). The z_k contain roundings themselves, which
γ_n covers. For terms of one size Σ h is 0.38 of γ_n, and λ·√(Σ h²) is 0.45 of the bound that knows n alone.

Roundings are not mean independent where terms are alike. A partial sum is a multiple of the spacing 2h of the numbers
around it, so that where the term lies between two such multiples decides what an addition rounds off: a term added
again, to a sum of about the same size, is rounded the same way again, and one that differs from it by much less than h
nearly so. Terms in one cell of the grid of h(T_n), half an ulp of the whole sum, are therefore taken to be rounded
alike: their roundings are one random number, of size Σ h over the cell. Those of different cells are what the theorem
wants, mean independent and of known largest size, and it gives λ·√(Σ over cells (Σ h)²), or Σ h where that is smaller.
Terms known exactly that are multiples of 2h(T_n) stay out of it, since adding them is exact while a sum stays within
its binade; and so does zero. Of a term smaller than h no more is lost than the term, since fl(s + t) is no farther from
s + t than s is: the first cell counts Σ min(h, t). Equal terms on different sides of a cell's edge count as two cells,
which λ makes up for. Not in 16-bit arithmetic, where h(T_n) is larger than most terms of a long sum.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from gradcheck.arithmetic.model import LAMBDA, RoundingModel
from gradcheck.arithmetic.ulps import binades, half_ulps

__all__ = ["CERTAIN_TERMS", "ORDERED_ELEMENTS", "SAMPLED_ELEMENTS", "in_worst_order", "seem_alike"]

ORDERED_ELEMENTS = 1 << 9
"""So many terms, of all sums together, are put in order at most: beyond, sorting would take longer than the rest."""

SAMPLED_ELEMENTS = 1 << 16
"""Of more terms than that, and up to so many, a few pairs are compared; where some are alike, all are put in order."""

PAIRS = 16
"""How many pairs of terms are compared in each of the larger sums, at the most."""

CERTAIN_TERMS = 16
"""Up to so many terms the probabilistic bound is not the smaller one."""


def in_worst_order(model: RoundingModel, sizes: np.ndarray, axis: Any, keepdims: bool, exact: bool = False) -> Any:
    """The largest rounding error of the sums over ``axis``; NaN where there is nothing to tell.

    sizes: float64, |terms|, with two or more along the axes; exact: whether the subject's terms are these very numbers.
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
            if not model.low_precision:
                roundings = _of_like_terms(model, ordered[:, -2::-1], partial[:, -1:], roundings, exact)
            error = np.fmin(error, LAMBDA * _root_of_squares(roundings))
    return error.reshape([1 if a is None else shape[a] for a in sums])


def _root_of_squares(roundings: np.ndarray) -> np.ndarray:
    """√(Σ r²) along the last axis."""
    largest = roundings.max(axis=1, keepdims=True)
    roundings /= largest  # squares of very small or large numbers would leave float64
    return np.sqrt(np.einsum("ij,ij->i", roundings, roundings)) * largest[:, 0]


def _of_like_terms(
    model: RoundingModel, added: np.ndarray, whole: np.ndarray, roundings: np.ndarray, exact: bool
) -> np.ndarray:
    """The roundings, those of terms in one cell of the grid as one: their sum in the place of the first, zeros else.

    added: the terms as they are added, the largest first; whole: the sums of all, with a side of 1.
    """
    if not (added[:, :-1] - added[:, 1:] < roundings[:, -1:]).any():
        return roundings  # no two of them in one cell
    spacing = _spacing(model, whole)
    cells = np.floor(added / (0.5 * spacing))
    alike = (cells[:, 1:] == cells[:, :-1]) & (added[:, 1:] > 0.0)
    if exact and alike.any():
        alike &= _rounded_off(added[:, 1:], spacing)
    if not alike.any():
        return roundings
    roundings = np.minimum(roundings, added)
    begins = np.ones(added.shape, dtype=bool)
    np.logical_not(alike, out=begins[:, 1:])
    together = np.zeros(added.shape)
    together[begins] = np.add.reduceat(roundings.ravel(), np.flatnonzero(begins))
    return together


def _spacing(model: RoundingModel, sizes: np.ndarray) -> Any:
    """One ulp of each size, an exact power of two: whatever is a multiple of it has no digits to round off there."""
    return binades(sizes) * (2.0 * model.work.roundoff)


def _rounded_off(terms: np.ndarray, spacing: Any) -> Any:
    """Where a term is no multiple of the spacing, so that adding it may round."""
    multiples = terms / spacing
    return np.rint(multiples) != multiples


def seem_alike(
    model: RoundingModel, sizes: np.ndarray, totals: np.ndarray, axis: Any, keepdims: bool, exact: bool = False
) -> Any:
    """Of sums of many terms, which look as if a good part of their terms were alike: two of a few pairs are.

    totals: the sums of the sizes; exact: as above. Where half of the terms are alike the chance to miss it is 6 in 100,
    and where a tenth is, nearly 1: this is no proof that there are none.
    """
    order, kept, sums = _axes(sizes.ndim, axis, keepdims)
    shape = sizes.shape
    moved = sizes if order is None else sizes.transpose(order)
    rows = moved.reshape(math.prod([shape[a] for a in kept]), -1)
    sample = rows[:, :: max(1, rows.shape[1] // (2 * PAIRS))]
    pairs = min(sample.shape[1] // 2, PAIRS)
    one, other = sample[:, 0 : 2 * pairs : 2], sample[:, 1 : 2 * pairs : 2]
    spacing = _spacing(model, totals.reshape(-1, 1))
    near = np.abs(one - other) <= 0.5 * spacing
    if np.count_nonzero(near) < 2:  # as nearly always
        return np.False_
    # All of the smaller ones together lose less, n·h/128, than n independent roundings of h.
    near &= one > spacing * 2.0**-8
    if exact:
        near &= _rounded_off(one, spacing)
    return (np.count_nonzero(near, axis=1) > 1).reshape([1 if a is None else shape[a] for a in sums])


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
