"""Normalisation over the last dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import stored, sum_over_batch
from gradcheck.reference.registry import reference

__all__ = ["layer_norm"]


def _inputs(draw: Any) -> dict[str, Any]:
    normalized = draw.shape(dims=(1, 2), least=1, most=130)
    lead = draw.shape(dims=(0, 2), most=33)
    affine = draw.choice(("both", "none", "weight"))
    return {
        "x": draw.array((*lead, *normalized)),
        "weight": None if affine == "none" else draw.tame(normalized),
        "bias": draw.tame(normalized) if affine == "both" else None,
        "normalized_shape": normalized,
        "eps": draw.choice((1e-5, 1e-3, 0.5)),
    }


def _rows(arguments: dict[str, Any]) -> tuple[str, ...]:
    return ("x",) if arguments["x"].ndim > len(arguments["normalized_shape"]) else ()


@reference("nn.functional.layer_norm", inputs=_inputs, rows=_rows)
def layer_norm(
    x: Any, weight: Any = None, bias: Any = None, *, normalized_shape: tuple[int, ...], eps: Any = 1e-5
) -> Any:
    """(x - mean)/√(variance + eps)·weight + bias over the last len(normalized_shape) dimensions (Ba et al. 2016).

    The variance is the biased one. x: (…, *normalized_shape), weight and bias: normalized_shape. The kernel stores
    mean and reciprocal standard deviation of each row; both value and gradient are affine in x with coefficients of
    the row, x·rstd - mean·rstd and rstd·g·weight + slope·x + offset, which cancels where |mean| is large. That route
    is stated here; the textbook form promises more.
    """
    dims = np.ndim(x)
    axes = tuple(range(dims - len(normalized_shape), dims))
    batch = tuple(range(dims - len(normalized_shape)))
    n = int(np.prod(normalized_shape))
    mean = stored(np.sum(x, axis=axes, keepdims=True) / n)
    centred = x - mean
    rstd = stored(1.0 / np.sqrt(np.sum(centred * centred, axis=axes, keepdims=True) / n + eps))
    normal = x * rstd - mean * rstd
    value = normal if weight is None else normal * weight
    value = value if bias is None else value + bias

    def layer_norm_vjp(g: Any) -> dict[str, Any]:
        scaled = g if weight is None else g * weight
        along_x = np.sum(scaled * x, axis=axes, keepdims=True)
        along_one = np.sum(scaled, axis=axes, keepdims=True)
        slope = (along_one * mean - along_x) * rstd * rstd * rstd / n
        offset = -slope * mean - along_one * rstd / n
        gradients = {"x": rstd * scaled + slope * x + offset}
        if weight is not None:
            gradients["weight"] = sum_over_batch(g * normal, batch)
        if bias is not None:
            gradients["bias"] = sum_over_batch(g, batch)
        return gradients

    return value, layer_norm_vjp
