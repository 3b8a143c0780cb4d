"""Norms and angles of vectors: normalize, cosine_similarity, pairwise_distance, pdist."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import guarded, stored, written_over
from gradcheck.reference.registry import Kink, reference
from gradcheck.reference.vector_norm import vector_norm

__all__ = ["cosine_similarity", "cosine_similarity_twice", "normalize", "pairwise_distance", "pdist"]

NORMS = (2.0, 1.0, math.inf, 3.0, 1.5, 0.5, 4.0)
"""Orders p of a norm: each has a formula of its own for the gradient, by ranges of p."""

ORDERS = (*NORMS[:-1], 0.0, NORMS[-1])
"""Orders of a distance: 0, which counts, has no gradient, so that nothing else is seen there."""


def _normalize_inputs(draw: Any) -> dict[str, Any]:
    shape = draw.shape(dims=(1, 3), least=1)
    dim = draw.choice((*range(-len(shape), len(shape)), tuple(range(len(shape)))))
    return {
        "x": draw.array(shape),
        "p": draw.choice((*NORMS, 0.0)),
        "dim": dim,
        "eps": draw.choice((1e-12, 0.5, 1e-3)),
    }


@reference(
    "nn.functional.normalize",
    inputs=_normalize_inputs,
    kinks=(
        Kink(
            "x = 0",
            "the norm has gradient 0",
            at={"x": [0.0, 0.0], "dim": 0, "eps": 0.5},
            gives={"value": [0.0, 0.0], "grad[x]": [2.0, 2.0]},
        ),
        Kink(
            "norm = eps",
            "the gradient passes the lower bound",
            at={"x": [2.0, 0.0], "dim": 0, "eps": 2.0},
            gives={"value": [1.0, 0.0], "grad[x]": [0.0, 0.5]},
        ),
        Kink(
            "p = inf, several of the largest size",
            "they share the gradient evenly",
            at={"x": [2.0, -2.0, 1.0], "p": math.inf, "dim": 0},
            gives={"value": [1.0, -1.0, 0.5], "grad[x]": [0.375, 0.625, 0.5]},
        ),
    ),
)
def normalize(x: Any, *, p: Any = 2.0, dim: Any = 1, eps: Any = 1e-12) -> Any:
    """x/max(‖x‖_p, eps) along ``dim``, an axis or several; same shape as x (PyTorch documentation).

    Where the norm is 0 it has no gradient; at norm = eps the gradient passes through the norm, below it does not. A
    composite: norm, quotient and each step of the gradient are stored.
    """
    norm, norm_vjp = vector_norm(x, p, dim)
    norm = stored(norm)
    bounded = norm >= eps
    divisor = np.maximum(norm, eps)
    value = x / divisor

    def normalize_vjp(g: Any) -> dict[str, Any]:
        for_divisor = np.sum(stored(-g * stored(stored(value) / divisor)), axis=dim, keepdims=True)
        for_norm = np.where(bounded, stored(for_divisor), np.zeros_like(for_divisor))
        return {"x": stored(g / divisor) + stored(norm_vjp(for_norm))}

    return value, normalize_vjp


def _broadcast_pair(draw: Any, least: int = 0) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast: alike, or one of them with sides of 1, or with fewer of them."""
    shape = draw.shape(dims=(1, 3), least=1)
    way = draw.choice(("alike", "ones", "fewer")) if len(shape) > max(1, least) else "alike"
    return shape, {"alike": shape, "ones": (1, *shape[1:]), "fewer": shape[1:]}[way]


def _summed_to(gradient: Any, shape: tuple[int, ...]) -> Any:
    """The gradient of an array that was broadcast: summed over the axes along which it was repeated."""
    lead = np.ndim(gradient) - len(shape)
    axes = tuple(range(lead)) + tuple(
        lead + i for i, side in enumerate(shape) if side == 1 and np.shape(gradient)[lead + i] != 1
    )
    return np.sum(gradient, axis=axes).reshape(shape) if axes else gradient


def _cosine_inputs(draw: Any) -> dict[str, Any]:
    shape, other = _broadcast_pair(draw)
    return {
        "x": draw.array(shape),
        "x2": draw.tame(other),
        "dim": draw.choice((-1, *range(len(shape)))),
        "eps": draw.choice((1e-8, 0.5, 1e-3)),
    }


def cosine_similarity_twice(x: Any, x2: Any, *, dim: int = 1, eps: Any = 1e-8) -> Any:
    """Reverse mode over reverse mode: there the gradient flows through a bounded norm both times."""
    return _cosine_similarity(x, x2, dim, lambda norm: written_over(norm, np.maximum(norm, eps)))


@reference(
    "nn.functional.cosine_similarity",
    inputs=_cosine_inputs,
    routes={"double": cosine_similarity_twice, "func.double": cosine_similarity_twice},
    kinks=(
        Kink(
            "x = 0",
            "its norm has gradient 0, and eps stands in for it",
            at={"x": [0.0, 0.0], "x2": [3.0, 4.0], "dim": 0, "eps": 0.5},
            gives={"value": 0.0, "grad[x]": [1.2, 1.6], "grad[x2]": [0.0, 0.0]},
        ),
    ),
)
def cosine_similarity(x: Any, x2: Any, *, dim: int = 1, eps: Any = 1e-8) -> Any:
    """Σ x·x2/(max(‖x‖, eps)·max(‖x2‖, eps)) along ``dim``; x and x2 broadcast, and lose that axis.

    Each vector is divided by its own norm first. PyTorch's convention: the lower bound eps is set behind autograd's
    back, so the gradient flows through a norm below it as if it were not bounded; in forward mode it does not, so that
    PyTorch's two modes differ for short vectors. Where a norm is 0 its gradient is 0.
    """
    return _cosine_similarity(x, x2, dim, lambda norm: np.maximum(norm, eps))


def _cosine_similarity(x: Any, x2: Any, dim: int, bounded: Callable[[Any], Any]) -> Any:
    shape = np.broadcast_shapes(np.shape(x), np.shape(x2))
    unit, unit_vjp = _unit_vector(np.broadcast_to(x, shape), dim, bounded)
    unit2, unit2_vjp = _unit_vector(np.broadcast_to(x2, shape), dim, bounded)
    value = np.sum(stored(unit * unit2), axis=dim)

    def cosine_similarity_vjp(g: Any) -> dict[str, Any]:
        g = np.expand_dims(g, dim)
        for_x, for_x2 = unit_vjp(stored(g * unit2)), unit2_vjp(stored(g * unit))
        return {"x": _summed_to(for_x, np.shape(x)), "x2": _summed_to(for_x2, np.shape(x2))}

    return value, cosine_similarity_vjp


def _unit_vector(x: Any, dim: int, bounded: Callable[[Any], Any]) -> Any:
    norm, norm_vjp = vector_norm(x, 2.0, dim)
    divisor = bounded(stored(norm))
    unit = stored(x / divisor)

    def unit_vector_vjp(g: Any) -> Any:
        for_norm = stored(np.sum(stored(-g * stored(unit / divisor)), axis=dim, keepdims=True))
        return stored(stored(g / divisor) + stored(norm_vjp(for_norm)))

    return unit, unit_vector_vjp


def _pairwise_inputs(draw: Any) -> dict[str, Any]:
    shape, other = _broadcast_pair(draw)
    return {
        "x": draw.array(shape),
        "x2": draw.tame(other),
        "p": draw.choice(ORDERS),
        "eps": draw.choice((1e-6, 0.5, 0.0)),
        "keepdim": draw.choice((False, True)),
    }


@reference(
    "nn.functional.pairwise_distance",
    inputs=_pairwise_inputs,
    kinks=(
        Kink(
            "x - x2 + eps = 0",
            "the gradient is 0",
            at={"x": [1.0, 2.0], "x2": [1.0, 2.0], "eps": 0.0},
            gives={"value": 0.0, "grad[x]": [0.0, 0.0], "grad[x2]": [0.0, 0.0]},
        ),
    ),
)
def pairwise_distance(x: Any, x2: Any, *, p: Any = 2.0, eps: Any = 1e-6, keepdim: bool = False) -> Any:
    """‖x - x2 + eps‖_p along the last axis; x and x2 broadcast, and lose that axis unless ``keepdim``.

    eps is added to each difference, sign or no sign, so the distance is not symmetric. Where the norm is 0 the gradient
    is 0. For p = 0, the count of elements that are not 0, the gradients are 0; autograd leaves them undefined.
    """
    difference = stored(stored(x - x2) + eps)
    norm, norm_vjp = vector_norm(difference, p, -1)

    def pairwise_distance_vjp(g: Any) -> dict[str, Any]:
        gradient = stored(norm_vjp(g if keepdim else np.expand_dims(g, -1)))
        return {"x": _summed_to(gradient, np.shape(x)), "x2": _summed_to(-gradient, np.shape(x2))}

    return norm if keepdim else np.squeeze(norm, -1), pairwise_distance_vjp


def _pdist_inputs(draw: Any) -> dict[str, Any]:
    rows = draw.choice((4, 2, 3, 1, 8))  # pairs grow with the square of it
    return {"x": draw.array((rows, draw.side(1, 33))), "p": draw.choice((*NORMS, 0.0))}


@reference(
    "nn.functional.pdist",
    inputs=_pdist_inputs,
    kinks=(
        Kink(
            "two equal rows",
            "the gradient is 0",
            at={"x": [[1.0, 2.0], [1.0, 2.0]]},
            gives={"value": [0.0], "grad[x]": [[0.0, 0.0], [0.0, 0.0]]},
        ),
        Kink(
            "p = inf, several of the largest size",
            "each gets the whole gradient",
            at={"x": [[3.0, 1.0], [1.0, 3.0]], "p": math.inf},
            gives={"value": [2.0], "grad[x]": [[1.0, -1.0], [-1.0, 1.0]]},
        ),
    ),
)
def pdist(x: Any, *, p: Any = 2.0) -> Any:
    """‖x_i - x_j‖_p of each pair i < j of rows of x: (N, M) to (N·(N - 1)/2,), ordered by i, then j.

    The gradient is sign(d)·|d|^(p-1)·g/‖d‖^(p-1), in the order in which the kernels multiply, and 0 where ‖d‖ = 0. For
    p = inf each element of the largest size gets the whole gradient, unlike linalg.vector_norm, where they share it.
    For p = inf, and an infinite element, it is NaN. For p = 0, the count of elements that differ, it is 0.
    """
    rows, _ = np.shape(x)
    first, second = np.triu_indices(rows, 1)
    difference = np.take(x, first, axis=0) - np.take(x, second, axis=0)
    norm, _ = vector_norm(difference, p, 1)

    def pdist_vjp(g: Any) -> dict[str, Any]:
        return {"x": _over_pairs(_pair_gradient(difference, stored(norm), np.expand_dims(g, 1), float(p)), rows)}

    return np.squeeze(norm, 1), pdist_vjp


def _pair_gradient(d: Any, norm: Any, g: Any, p: float) -> Any:
    zero, some = np.zeros_like(d), norm != 0.0
    if p == 0.0:
        return zero
    if p == 1.0:
        return g * np.sign(d)
    if p == 2.0:
        return np.where(some, g * d / guarded(norm, some, 1.0), zero)
    if math.isinf(p):
        behind = np.abs(d) - norm
        return np.where(behind == 0.0, g * np.sign(d), np.where(np.isnan(behind), behind, zero))
    some = some & (d != 0.0) if p < 1.0 else some
    size, norm = guarded(np.abs(d), some, 1.0), guarded(norm, some, 1.0)
    power = np.sign(d) * np.power(size, p - 1.0) if p < 2.0 else d * np.power(size, p - 2.0)
    return np.where(some, power * g / np.power(norm, p - 1.0), zero)


def _over_pairs(gradient: Any, rows: int) -> Any:
    """Σ over the pairs of which each row is one, with the sign that it has in their difference."""
    number = np.zeros((rows, rows), dtype=np.int64)
    number[np.triu_indices(rows, 1)] = np.arange(rows * (rows - 1) // 2)
    others = np.array([[j for j in range(rows) if j != i] for i in range(rows)], dtype=np.int64).reshape(rows, -1)
    own = np.arange(rows)[:, None]
    terms = np.take(gradient, number[np.minimum(own, others), np.maximum(own, others)], axis=0)
    return np.sum(np.where((own < others)[:, :, None], terms, -terms), axis=1)
