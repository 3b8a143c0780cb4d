"""Weighted sums of few elements of an array: which elements (taps), and with which weights, dimension by dimension.

Interpolation, padding and averaging over windows are all of this form, and so are their gradients, with the taps turned
around. Only taps that count enter a sum, so that its bound counts the terms that there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic.functions import guarded

__all__ = ["Taps", "combined", "copies", "picked", "possible", "taps_of", "turned"]


class Taps(NamedTuple):
    """Along one dimension: which source elements each result is made of.

    source: (results, taps), their numbers; used: of the same shape, whether the tap counts; weight: of the same shape,
    numbers of any arithmetic, or None where every weight is 1.
    """

    source: np.ndarray
    used: np.ndarray
    weight: Any = None


def possible(mask: Any) -> np.ndarray:
    """Where a comparison holds or, by the errors of its operands, may hold."""
    return np.asarray(guarded(np.ones(np.shape(mask)), mask) > 0.0)


def taps_of(weight: Any, used: Any, first: int = 0) -> Taps:
    """The taps of a matrix of weights (results, sources): those that are used or may be.

    weight: None where every one is 1; used: a mask of the matrix; first: the number of its first source.
    """
    used = possible(used)
    most = int(used.sum(axis=1).max(initial=0))
    order = np.argsort(~used, axis=1, kind="stable")[:, :most]
    chosen = np.take_along_axis(used, order, axis=1)
    taken = None if weight is None else np.where(chosen, np.take_along_axis(weight, order, axis=1), 0.0)
    return Taps(order + first, chosen, taken)


def copies(index: np.ndarray) -> Taps:
    """One tap of weight 1 for each result: ``index`` says which source it is a copy of."""
    return Taps(index.reshape(-1, 1), np.ones((index.size, 1), dtype=bool))


def turned(taps: Taps, size: int) -> Taps:
    """The transposed sum: for each of ``size`` sources, the results that it went into, with the same weights."""
    results, width = np.shape(taps.source)
    pairs = np.flatnonzero(taps.used)
    origin = taps.source.reshape(-1)[pairs]
    pairs = pairs[np.argsort(origin, kind="stable")]
    counts = np.bincount(origin, minlength=size)
    rank = np.arange(counts.max(initial=0))
    used = rank < counts[:, None]
    place = np.zeros(used.shape, dtype=np.int64)
    place[used] = pairs
    weight = taps.weight
    if weight is not None:
        weight = np.where(used, np.take(weight.reshape(results * width), place), 0.0)
    return Taps(place // max(width, 1), used, weight)


def picked(x: Any, taps: Sequence[Taps]) -> tuple[Any, Any]:
    """The sources of the taps along all dimensions of x but the first, 0 where they do not count, and their weights.

    Sources: (first dimension, results, taps, results, taps, …); weights: the same without the first, the product of
    those along each dimension; None where every one is 1.
    """
    dims = len(taps)
    sources = x
    for d, along in enumerate(taps):
        sources = np.take(sources, along.source, axis=1 + 2 * d)
    used, weight = np.ones((1,) * (2 * dims), dtype=bool), None
    for d, along in enumerate(taps):
        place = (1,) * (2 * d) + np.shape(along.source) + (1,) * (2 * (dims - d - 1))
        used = used & along.used.reshape(place)
        if along.weight is not None:
            factor = along.weight.reshape(place)
            weight = factor if weight is None else weight * factor
    return sources if used.all() else np.where(used, sources, 0.0), weight  # 0·inf would be NaN


def combined(x: Any, taps: Sequence[Taps]) -> Any:
    """Σ weight·source over the taps of the last len(taps) dimensions of x: one sum, of all their products."""
    dims = len(taps)
    lead = np.shape(x)[: np.ndim(x) - dims]
    sources, weight = picked(x.reshape((math.prod(lead), *np.shape(x)[np.ndim(x) - dims :])), taps)
    if weight is None:
        total = np.sum(sources, axis=tuple(range(2, 2 * dims + 1, 2)))
    else:
        letters = "abcdef"[: 2 * dims]
        total = np.einsum(f"n{letters},{letters}->n{letters[::2]}", sources, weight)
    return total.reshape((*lead, *(len(along.source) for along in taps)))
