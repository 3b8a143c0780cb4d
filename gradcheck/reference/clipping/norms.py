"""Clipping of gradients (Pascanu, Mikolov & Bengio 2013): by their total norm, by value."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import numpy as np

from gradcheck.arithmetic import number, stored
from gradcheck.reference.clipping.clipping import clipping
from gradcheck.reference.clipping.roots import raised, root

__all__ = ["clip_grad_norm", "clip_grad_value", "clip_grads_with_norm", "get_total_norm", "norm"]

EPS = 1e-6
"""Added to the total norm before it divides: PyTorch's convention, documented with clip_grads_with_norm_."""

KINDS = ("ordinary", "ties", "wide", "subnormal", "huge", "special", "rare", "integers", "large")
NORM_TYPES = (2.0, 1.0, math.inf, 3.0, 1.5, 0.5)


def gradients(draw: Any, least: int = 0) -> dict[str, Any]:
    """One to three gradients of different shapes, rarely none; one of them may be None, or all zero."""
    count = draw.choice((1, 2, 3, 1, 2, 3, 1, 0))
    arrays: dict[str, Any] = {}
    for i in range(count):
        array = draw.array(draw.shape((0, 3), least=least, most=120), KINDS)
        arrays[f"grad{i}"] = None if count > 1 and i == count - 1 and draw.choice((False, False, True)) else array
    if count and draw.choice((False, False, False, False, True)):
        arrays["zeroed"] = draw.choice(((0,), tuple(range(count))))
    return arrays


def norm_inputs(draw: Any) -> dict[str, Any]:
    norm_type = draw.choice(NORM_TYPES)
    words: dict[str, Any] = {"norm_type": repr(norm_type) if math.isinf(norm_type) else norm_type}
    if draw.choice((False, False, False, True)):
        words["error_if_nonfinite"] = True
    return {**gradients(draw, least=1 if math.isinf(norm_type) else 0), **words}


def clip_norm_inputs(draw: Any) -> dict[str, Any]:
    return {"max_norm": draw.choice((1.0, 0.1, 5.0, 1000.0, 0.0)), **norm_inputs(draw)}


def norm(x: Any, p: float) -> Any:
    """(Σ|x|^p)^(1/p), max|x| for p = inf, of all elements; without scaling, so that it overflows where |x|^p does."""
    size = np.abs(x.reshape(-1))
    if p == math.inf:
        return np.max(size)
    if p == 1.0:
        return np.sum(size)
    return root(np.sum(raised(size, p)), p)


def total_norm(grads: list[Any], norm_type: float | str) -> Any:
    """The norm of the gradients' norms, which PyTorch keeps in tensors; 0 for gradients that are 0 throughout."""
    p = float(norm_type)
    if not grads:
        return np.float64(0.0)
    total = norm(np.stack([stored(norm(grad, p)) for grad in grads]), p)
    zero = functools.reduce(operator.and_, [np.all(grad == 0.0) for grad in grads])
    return np.where(zero, number(0.0, grads[0]), total)


@clipping("nn.utils.get_total_norm", inputs=norm_inputs)
def get_total_norm(
    grads: list[Any], *, norm_type: float | str = 2.0, error_if_nonfinite: bool = False
) -> dict[str, Any]:
    """The norm of all gradients as of one vector; norm_type is p, ``"inf"`` for the maximum."""
    return {"total": total_norm(grads, norm_type)}


def with_norm_inputs(draw: Any) -> dict[str, Any]:
    total = draw.array((), ("ordinary", "wide", "huge", "special", "ties"))
    return {**gradients(draw), "total": total, "max_norm": draw.choice((1.0, 0.1, 5.0, 0.0))}


@clipping("nn.utils.clip_grads_with_norm_", inputs=with_norm_inputs)
def clip_grads_with_norm(grads: list[Any], total: Any, *, max_norm: Any) -> dict[str, Any]:
    """g·min(1, max_norm/(total + 1e-6)) for every gradient; NaN where the total norm is, and inf·0 = NaN.

    A tensor without dimensions takes part with scalars of its own dtype, and PyTorch divides a scalar by a tensor as
    the scalar times the reciprocal.
    """
    above = stored(total + stored(number(EPS, total)))
    quotient = stored(stored(1.0 / above) * stored(max_norm))
    coefficient = np.where(above <= max_norm, number(1.0, above), quotient)
    return {"grads": [grad * coefficient for grad in grads]}


@clipping("nn.utils.clip_grad_norm_", inputs=clip_norm_inputs)
def clip_grad_norm(
    grads: list[Any], *, max_norm: Any, norm_type: float | str = 2.0, error_if_nonfinite: bool = False
) -> dict[str, Any]:
    """The total norm, and g·min(1, max_norm/(total + 1e-6)): one coefficient for all gradients, so that they keep their
    direction."""
    total = stored(total_norm(grads, norm_type))
    return {"total": total, **clip_grads_with_norm(grads, total, max_norm=max_norm)}


def value_inputs(draw: Any) -> dict[str, Any]:
    return {**gradients(draw), "clip_value": draw.choice((0.5, 0.1, 2.0, 0.0))}


@clipping("nn.utils.clip_grad_value_", inputs=value_inputs)
def clip_grad_value(grads: list[Any], *, clip_value: Any) -> dict[str, Any]:
    """min(max(g, -clip_value), clip_value), element by element; NaN stays."""
    return {"grads": [np.minimum(np.maximum(grad, -clip_value), clip_value) for grad in grads]}
