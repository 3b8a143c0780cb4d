"""Triplet losses: an anchor has to be nearer to the positive example than to the negative one, by a margin."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import stored
from gradcheck.reference.domains import REDUCTIONS, hyperparameters
from gradcheck.reference.nn.functional.distance import (
    ORDERS,
    cosine_similarity,
    cosine_similarity_twice,
    pairwise_distance,
)
from gradcheck.reference.reduction import reduced
from gradcheck.reference.registry import Kink, reference

__all__ = ["triplet_margin_loss", "triplet_margin_with_distance_loss"]

MARGINS = (1.0, 0.5, 0.3, 2.0)

Distance = Callable[[Any, Any], tuple[Any, Callable[[Any], tuple[Any, Any]]]]
"""From two arrays to their distances along the last axis, and from a cotangent of these to both gradients."""


def _triplet(draw: Any) -> dict[str, Any]:
    shape = draw.shape(dims=(1, 2), least=1)
    return {"x": draw.array(shape), "positive": draw.tame(shape), "negative": draw.tame(shape)}


def _triplet_inputs(draw: Any) -> dict[str, Any]:
    chosen = hyperparameters(
        draw, margin=MARGINS, p=ORDERS, eps=(1e-6, 0.5, 0.0), swap=(False, True), reduction=REDUCTIONS
    )
    arrays = _triplet(draw)
    if math.isinf(chosen["p"]):  # no number above 1: powers of any other order would be finite
        arrays = {name: draw.scaled(array, 0.125) for name, array in arrays.items()}
    return {**arrays, **chosen}


@reference(
    "nn.functional.triplet_margin_loss",
    inputs=_triplet_inputs,
    kinks=(
        Kink(
            "margin + d(x, positive) = d(x, negative)",
            "the gradient passes",
            at={"x": [0.0], "positive": [1.0], "negative": [2.0], "eps": 0.0},
            gives={"value": 0.0, "grad[x]": [0.0], "grad[positive]": [1.0], "grad[negative]": [-1.0]},
        ),
        Kink(
            "swap, both negative distances alike",
            "each gets half of the gradient",
            at={"x": [0.0], "positive": [2.0], "negative": [1.0], "eps": 0.0, "swap": True},
            gives={"value": 2.0, "grad[x]": [-0.5], "grad[positive]": [0.5], "grad[negative]": [0.0]},
        ),
    ),
)
def triplet_margin_loss(
    x: Any,
    positive: Any,
    negative: Any,
    *,
    margin: Any = 1.0,
    p: Any = 2.0,
    eps: Any = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """max(0, margin + ‖x - positive + eps‖_p - ‖x - negative + eps‖_p) along the last axis; shapes (N, D) or (D,).

    ``swap`` takes ‖positive - negative + eps‖_p for the negative distance where that is smaller (Balntas et al. 2016);
    where both are alike each gets half of the gradient. Where the loss is exactly 0 the gradient passes. A composite:
    each result is stored.
    """

    def distance(a: Any, b: Any) -> Any:
        return _in_pairs(*pairwise_distance(a, b, p=p, eps=eps))

    return _loss(x, positive, negative, distance, margin, swap, reduction)


def _in_pairs(value: Any, vjp: Callable[[Any], dict[str, Any]]) -> tuple[Any, Callable[[Any], tuple[Any, Any]]]:
    """A reference of two arrays as a Distance: its gradients in a pair, not by name."""

    def pair_vjp(g: Any) -> tuple[Any, Any]:
        first, second = vjp(g).values()
        return first, second

    return value, pair_vjp


def _loss(x: Any, positive: Any, negative: Any, distance: Distance, margin: Any, swap: bool, reduction: str) -> Any:
    def kept(a: Any, b: Any) -> Any:
        value, vjp = distance(a, b)
        return stored(value), vjp

    near, near_vjp = kept(x, positive)
    far, far_vjp = kept(x, negative)
    others: Any = kept(positive, negative) if swap else (None, None)
    swapped, swapped_vjp = others
    least = np.minimum(far, swapped) if swap else far
    inside = stored(stored(margin + near) - least)
    passes = inside >= 0.0
    value, spread = reduced(np.maximum(inside, 0.0), reduction)

    def triplet_vjp(g: Any) -> dict[str, Any]:
        each = np.where(passes, spread(g) * np.ones_like(inside), np.zeros_like(inside))
        for_far, for_swapped = _shares(-each, far, swapped) if swap else (-each, None)
        (x_near, p_near), (x_far, n_far) = near_vjp(each), far_vjp(for_far)
        gradients = {"x": stored(x_near) + stored(x_far), "positive": p_near, "negative": n_far}
        if swap:
            p_swapped, n_swapped = swapped_vjp(for_swapped)
            gradients["positive"] = stored(p_near) + stored(p_swapped)
            gradients["negative"] = stored(n_far) + stored(n_swapped)
        return gradients

    return value, triplet_vjp


def _shares(g: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """What the smaller of a and b gets of the cotangent of their minimum: all, or half where they are alike."""
    share, zeros = np.where(a == b, stored(g / 2.0), g), np.zeros_like(g)
    return np.where(a > b, zeros, share), np.where(a < b, zeros, share)


def _distance_inputs(draw: Any) -> dict[str, Any]:
    chosen = hyperparameters(
        draw,
        distance_function=(None, "cosine", "manhattan"),
        margin=MARGINS,
        swap=(False, True),
        reduction=REDUCTIONS,
    )
    return {**_triplet(draw), **chosen}


def _with_distance_twice(
    x: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: str | None = None,
    margin: Any = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """Reverse mode over reverse mode, as the distances have it."""
    distance = _cosine_twice if distance_function == "cosine" else DISTANCES[distance_function]
    return _loss(x, positive, negative, distance, margin, swap, reduction)


@reference(
    "nn.functional.triplet_margin_with_distance_loss",
    inputs=_distance_inputs,
    routes=dict.fromkeys(("double", "func.double"), _with_distance_twice),
)
def triplet_margin_with_distance_loss(
    x: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: str | None = None,
    margin: Any = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """triplet_margin_loss with a distance of one's own.

    A distance has a name here, which the subject turns into a function: None (pairwise_distance, as in PyTorch),
    ``cosine`` (1 - cosine_similarity) and ``manhattan`` (Σ|a - b|).
    """
    return _loss(x, positive, negative, DISTANCES[distance_function], margin, swap, reduction)


def _euclidean(a: Any, b: Any) -> Any:
    return _in_pairs(*pairwise_distance(a, b))


def _cosine(a: Any, b: Any) -> Any:
    value, vjp = cosine_similarity(a, b, dim=-1)
    return _in_pairs(1.0 - stored(value), lambda g: vjp(-g))


def _cosine_twice(a: Any, b: Any) -> Any:
    value, vjp = cosine_similarity_twice(a, b, dim=-1)
    return _in_pairs(1.0 - stored(value), lambda g: vjp(-g))


def _manhattan(a: Any, b: Any) -> Any:
    return _in_pairs(*pairwise_distance(a, b, p=1.0, eps=0.0))


DISTANCES: dict[str | None, Distance] = {None: _euclidean, "cosine": _cosine, "manhattan": _manhattan}
