"""Normalisation over the last dimensions, over groups of channels, and over neighbouring channels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import (
    apart,
    averaged,
    number,
    parted,
    reciprocal_deviation,
    reunited,
    stored,
    sum_over_batch,
    uncertain,
)
from gradcheck.formats import format_named
from gradcheck.reference.registry import reference

__all__ = ["group_norm", "layer_norm", "local_response_norm", "rms_norm"]


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
    n = math.prod(normalized_shape)
    mean = stored(averaged(np.sum(x, axis=axes, keepdims=True), n))
    rstd, common, looked_at = stored(reciprocal_deviation(x, mean, axes, eps)), 1.0, uncertain(x)
    if looked_at:
        rstd, common = apart(rstd, np.size(x))
    normal = (x * rstd - mean * rstd) * common
    value = normal if weight is None else normal * weight
    value = value if bias is None else value + bias

    def layer_norm_vjp(g: Any) -> dict[str, Any]:
        given, its_error = parted(g, np.size(x))
        scaled, ones = (given, 1.0) if weight is None else (given * weight, weight)
        along_x = np.sum(scaled * x, axis=axes, keepdims=True)
        along_one = np.sum(scaled, axis=axes, keepdims=True)
        inner = along_one * mean - along_x
        if its_error is not None:  # whose two products are of all elements
            inner = reunited(inner, its_error, mean * ones, x * ones, axes)
        slope, of_slope = inner * rstd * rstd * rstd / n * common * common * common, None
        if looked_at or its_error is not None:
            slope, of_slope = parted(slope, np.size(x))
        level = reunited(along_one, its_error, ones, 0.0, axes) * rstd / n
        along = rstd * g if weight is None else rstd * g * weight  # in this order: g may be subnormal
        through = reunited(along + slope * x + (-slope * mean - level), of_slope, x, mean)
        gradients = {"x": reunited(through, parted(common)[1], along, level)}
        if weight is not None:
            gradients["weight"] = sum_over_batch(g * normal, batch)
        if bias is not None:
            gradients["bias"] = sum_over_batch(g, batch)
        return gradients

    return value, layer_norm_vjp


def _group_inputs(draw: Any) -> dict[str, Any]:
    groups, depth = draw.choice((2, 1, 3)), draw.choice((2, 1, 4))
    rest = draw.shape(dims=(0, 3), least=1, most=60)
    channels = groups * depth
    batch = draw.side(1 if depth * math.prod(rest) > 1 else 2, 9)
    affine = draw.choice(("both", "none", "weight"))
    return {
        "x": draw.array((batch, channels, *rest)),
        "weight": None if affine == "none" else draw.tame((channels,)),
        "bias": draw.tame((channels,)) if affine == "both" else None,
        "num_groups": groups,
        "eps": draw.choice((1e-5, 1e-3, 0.5)),
    }


@reference("nn.functional.group_norm", inputs=_group_inputs)
def group_norm(x: Any, weight: Any = None, bias: Any = None, *, num_groups: int, eps: Any = 1e-5) -> Any:
    """(x - mean)/√(variance + eps)·weight + bias with mean and biased variance of each group (Wu & He 2018).

    x: (N, C, …), in ``num_groups`` groups of consecutive channels; weight and bias: (C,). As for layer_norm the kernel
    stores mean and reciprocal standard deviation of each group, and value and gradients are affine in x with
    coefficients of the channel: that route is stated.
    """
    shape, channels = np.shape(x), np.shape(x)[1]
    depth = channels // num_groups
    grouped = (shape[0], num_groups, depth, math.prod(shape[2:]))
    n = grouped[2] * grouped[3]
    rows = x.reshape(grouped)
    mean = stored(averaged(np.sum(rows, axis=(2, 3), keepdims=True), n))
    centred = rows - mean
    rstd = stored(1.0 / np.sqrt(np.sum(centred * centred, axis=(2, 3), keepdims=True) / n + eps))
    gamma = None if weight is None else weight.reshape((1, num_groups, depth, 1))
    scale = rstd if gamma is None else rstd * gamma
    offset = -(scale * mean) if bias is None else bias.reshape((1, num_groups, depth, 1)) - scale * mean
    value = (rows * scale + offset).reshape(shape)

    def group_norm_vjp(g: Any) -> dict[str, Any]:
        g = g.reshape(grouped)
        along_x, along_one = (np.sum(terms, axis=3, keepdims=True) for terms in (g * rows, g))
        of_x, of_one = (
            np.sum(sums if gamma is None else sums * gamma, axis=2, keepdims=True) for sums in (along_x, along_one)
        )
        slope = (of_one * mean - of_x) * rstd * rstd * rstd / n
        level = -slope * mean - of_one * rstd / n
        gradients = {"x": (g * scale + rows * slope + level).reshape(shape)}
        if weight is not None:
            gradients["weight"] = np.sum((along_x - along_one * mean) * rstd, axis=0).reshape(channels)
        if bias is not None:
            gradients["bias"] = np.sum(along_one, axis=0).reshape(channels)
        return gradients

    return value, group_norm_vjp


def _rms_inputs(draw: Any) -> dict[str, Any]:
    normalized = draw.shape(dims=(1, 2), least=1, most=130)
    lead = draw.shape(dims=(0, 2), most=33)
    return {
        "x": draw.array((*lead, *normalized)),
        "weight": draw.optional(draw.tame(normalized)),
        "normalized_shape": normalized,
        "eps": draw.choice((None, 1e-5, 1e-3, 0.5)),
    }


@reference("nn.functional.rms_norm", inputs=_rms_inputs)
def rms_norm(x: Any, weight: Any = None, *, normalized_shape: tuple[int, ...], eps: Any = None) -> Any:
    """x/√(mean of x² + eps)·weight over the last len(normalized_shape) dimensions (Zhang & Sennrich 2019).

    x: (…, *normalized_shape), weight: normalized_shape. Without ``eps`` it is the machine epsilon of the format that
    PyTorch computes in: float64's for float64, float32's for all others. The gradient is that of the composition.
    """
    dims = np.ndim(x)
    axes = tuple(range(dims - len(normalized_shape), dims))
    batch = tuple(range(dims - len(normalized_shape)))
    n = math.prod(normalized_shape)
    squares = np.sum(x * x, axis=axes, keepdims=True)
    rms = 1.0 / np.sqrt(squares / n + (_machine_epsilon(x) if eps is None else eps))
    normal = x * rms
    value = normal if weight is None else normal * weight

    def rms_norm_vjp(g: Any) -> dict[str, Any]:
        scaled = g if weight is None else g * weight
        through = -0.5 * np.sum(scaled * x, axis=axes, keepdims=True) * (rms * rms * rms) / n
        gradients = {"x": scaled * rms + through * (2.0 * x)}
        if weight is not None:
            gradients["weight"] = np.sum(g * normal, axis=batch)
        return gradients

    return value, rms_norm_vjp


def _machine_epsilon(x: Any) -> Any:
    """Twice the unit roundoff of float64, or of float32 for any shorter format: what the computation is done in."""
    dtype = getattr(x, "__gradcheck_dtype__", lambda: "float64")()
    wide = "float64" if dtype == "float64" else "float32"
    return number(2.0 * format_named(wide).roundoff, x)


def _response_inputs(draw: Any) -> dict[str, Any]:
    channels, batch = draw.side(1, 9), draw.side(1, 5)
    rest = draw.shape(dims=(1, 3), least=1, most=20)
    return {
        "x": draw.array((batch, channels, *rest)),
        "size": draw.choice((2, 1, 3, 5)),
        "alpha": draw.choice((1e-4, 1.0, 0.3)),
        "beta": draw.choice((0.75, 0.5, 1.0, 2.0)),
        "k": draw.choice((1.0, 2.0, 0.3)),
    }


@reference("nn.functional.local_response_norm", inputs=_response_inputs)
def local_response_norm(x: Any, *, size: int, alpha: Any = 1e-4, beta: Any = 0.75, k: Any = 1.0) -> Any:
    """x/(k + alpha·m)^beta, m the mean of x² over ``size`` neighbouring channels (Krizhevsky et al. 2012).

    x: (N, C, L…). The window of channel c begins at c - size // 2; beyond the channels there are zeros, which count in
    the mean (in the paper alpha multiplies their sum). A composite written in Python: each result is stored.
    """
    before, after = size // 2, (size - 1) // 2
    mean = stored(_window_sum(stored(x * x), before, after) / size)
    base = stored(stored(mean * alpha) + k)
    divisor = stored(np.power(base, beta))
    value = x / divisor

    def local_response_vjp(g: Any) -> dict[str, Any]:
        for_divisor = stored(-g * stored(stored(value) / divisor))
        for_base = stored(for_divisor * stored(beta * stored(np.power(base, beta - 1.0))))
        for_square = stored(_window_sum(stored(for_base * alpha) / size, after, before))
        for_factor = stored(for_square * x)  # of each x of x·x: one after the other they join the quotient's gradient
        return {"x": stored(stored(g / divisor) + for_factor) + for_factor}

    return value, local_response_vjp


def _window_sum(x: Any, before: int, after: int) -> Any:
    """Σ over the window of each channel, from so many channels before it to so many after it."""
    padded = np.pad(x, ((0, 0), (before, after), *((0, 0),) * (np.ndim(x) - 2)))
    return np.sum(np.lib.stride_tricks.sliding_window_view(padded, before + after + 1, axis=1), axis=-1)
