"""Piecewise linear activations: every kink, and what holds there, is part of the formula."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import before_storing, node, number, stored
from gradcheck.reference.domains import elementwise, hyperparameters, kink, rows_of_x
from gradcheck.reference.registry import Kink, reference

__all__ = [
    "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "prelu", "relu", "relu6", "rrelu",
    "softshrink", "threshold",
]  # fmt: skip


@reference(
    "nn.functional.relu",
    inputs=elementwise(),
    elementwise=True,
    rows=rows_of_x,
    kinks=(kink("x = 0", "the gradient is 0", [0.0, -0.0], [0.0, 0.0], [0.0, 0.0]),),
)
def relu(x: Any) -> Any:
    """max(x, 0); same shape as x. The gradient at 0 is 0; NaN stays NaN and passes the cotangent on."""
    zero = x <= 0
    value = np.where(zero, 0.0, x)

    def relu_vjp(g: Any) -> dict[str, Any]:
        return {"x": np.where(zero, 0.0, g)}

    return value, relu_vjp


@reference(
    "nn.functional.relu6",
    inputs=elementwise(lambda: (0.0, 6.0)),
    elementwise=True,
    rows=rows_of_x,
    kinks=(kink("x = 0 and x = 6", "the gradient is 0", [0.0, 6.0], [0.0, 6.0], [0.0, 0.0]),),
)
def relu6(x: Any) -> Any:
    """min(max(x, 0), 6); same shape as x. The gradient at 0 and at 6 is 0 (Krizhevsky 2010)."""
    return hardtanh(x, min_val=0.0, max_val=6.0)


@reference(
    "nn.functional.hardtanh",
    inputs=elementwise(
        lambda min_val, max_val: (min_val, max_val), min_val=(-1.0, -2.0, 0.0, -0.7), max_val=(1.0, 2.0, 0.3)
    ),
    elementwise=True,
    rows=rows_of_x,
    kinks=(kink("x = min_val and x = max_val", "the gradient is 0", [-1.0, 1.0], [-1.0, 1.0], [0.0, 0.0]),),
)
def hardtanh(x: Any, *, min_val: Any = -1.0, max_val: Any = 1.0) -> Any:
    """min(max(x, min_val), max_val); same shape as x. The gradient at both ends is 0; NaN passes the cotangent on."""
    low, high = x <= min_val, x >= max_val
    value = np.where(low, min_val, np.where(high, max_val, x))

    def hardtanh_vjp(g: Any) -> dict[str, Any]:
        return {"x": np.where(low | high, 0.0, g)}

    return value, hardtanh_vjp


@reference(
    "nn.functional.leaky_relu",
    inputs=elementwise(lambda negative_slope: (0.0,), negative_slope=(0.01, 0.5, 1.7, 0.0)),
    elementwise=True,
    rows=rows_of_x,
    kinks=(kink("x = 0", "the gradient is the negative slope", [0.0], [0.0], [0.5], negative_slope=0.5),),
)
def leaky_relu(x: Any, *, negative_slope: Any = 0.01) -> Any:
    """x where x > 0, negative_slope·x elsewhere; same shape as x. At 0 the negative side holds (Maas et al. 2013)."""
    positive = x > 0
    value = np.where(positive, x, negative_slope * x)

    def leaky_relu_vjp(g: Any) -> dict[str, Any]:
        return {"x": np.where(positive, g, negative_slope * g)}

    return value, leaky_relu_vjp


def _rrelu_inputs(draw: Any) -> dict[str, Any]:
    shape = draw.shape()
    training = draw.boolean()
    return {
        "x": draw.array(shape),
        "slopes": draw.array(shape, ("inner",)) if training else None,
        **hyperparameters(draw, lower=(0.125, 0.1, 0.25), upper=(1.0 / 3.0, 0.5, 0.7)),
        "training": training,
    }


@reference(
    "nn.functional.rrelu",
    inputs=_rrelu_inputs,
    drawn=("slopes",),
    constant=("slopes",),
    elementwise=True,
    kinks=(kink("x = 0", "the gradient is the negative slope", [0.0], [0.0], [0.375], lower=0.25, upper=0.5),),
)
def rrelu(x: Any, slopes: Any = None, *, lower: Any = 0.125, upper: Any = 1.0 / 3.0, training: bool = False) -> Any:
    """leaky_relu with slope (lower + upper)/2, in training with a slope for each element; same shape as x.

    slopes: of x's shape, drawn by PyTorch from [lower, upper) for each element that is not positive, and stored for the
    gradient, while the value is made of what was drawn. At 0 the negative side holds; a NaN passes the cotangent on in
    training (Xu et al. 2015).
    """
    if slopes is None:
        return leaky_relu(x, negative_slope=(lower + upper) / 2.0)
    negative = x <= 0
    value = np.where(negative, before_storing(slopes) * x, x)

    def rrelu_vjp(g: Any) -> dict[str, Any]:
        return {"x": np.where(negative, slopes * g, g)}

    return value, rrelu_vjp


def _prelu_inputs(draw: Any) -> dict[str, Any]:
    shape = draw.shape(dims=(0, 3))
    channels = shape[1] if len(shape) > 1 and draw.boolean() else 1
    return {"x": draw.array(shape), "weight": draw.tame((channels,))}


def _prelu_forward(x: Any, weight: Any) -> Any:
    """In forward mode and in second order the positive side holds at 0."""
    return _prelu(x, weight, x >= 0)


@reference(
    "nn.functional.prelu",
    inputs=_prelu_inputs,
    routes=dict.fromkeys(("jvp", "jvp of rows", "columns", "hvp", "second tangent"), _prelu_forward),
    kinks=(
        Kink(
            "x = 0",
            "the gradient of x is the weight, that of the weight 0",
            {"x": [0.0], "weight": [0.25]},
            {"value": [0.0], "grad[x]": [0.25], "grad[weight]": [0.0]},
        ),
    ),
)
def prelu(x: Any, weight: Any) -> Any:
    """x where x > 0, weight·x elsewhere; same shape as x. weight: (1,), or (C,) for x of shape (N, C, …).

    At 0 the negative side holds: there the gradient of x is weight·g, that of weight 0 (He et al. 2015). PyTorch's
    forward mode and its second derivatives take the positive side there, so that its two modes differ at 0.
    """
    return _prelu(x, weight, x > 0)


def _prelu(x: Any, weight: Any, positive: Any) -> Any:
    channelled = weight if np.shape(weight) == (1,) else weight.reshape((1, -1) + (1,) * (np.ndim(x) - 2))
    value = np.where(positive, x, channelled.reshape(()) * x if np.ndim(x) == 0 else channelled * x)

    def prelu_vjp(g: Any) -> dict[str, Any]:
        slope = channelled.reshape(()) if np.ndim(x) == 0 else channelled
        terms = stored(np.where(positive, 0.0, x * g))
        axes = tuple(range(np.ndim(x))) if np.shape(weight) == (1,) else (0, *range(2, np.ndim(x)))
        return {"x": np.where(positive, g, slope * g), "weight": np.sum(terms, axis=axes).reshape(np.shape(weight))}

    return value, prelu_vjp


@reference(
    "nn.functional.threshold",
    inputs=elementwise(lambda threshold, value: (threshold,), threshold=(0.0, 1.0, 0.3, -0.5), value=(0.0, 2.0, -0.7)),
    elementwise=True,
    rows=rows_of_x,
    kinks=(
        kink(
            "x = threshold", "the value is replaced, the gradient is 0", [1.0], [7.0], [0.0], threshold=1.0, value=7.0
        ),
    ),
)
def threshold(x: Any, *, threshold: Any, value: Any) -> Any:
    """x where x > threshold, ``value`` elsewhere; same shape as x. At the threshold the gradient is 0."""
    below = x <= threshold
    result = np.where(below, value, x)

    def threshold_vjp(g: Any) -> dict[str, Any]:
        return {"x": np.where(below, 0.0, g)}

    return result, threshold_vjp


_LAMBD = (0.5, 0.0, 1.0, 0.3)


def _both_signs(lambd: float) -> tuple[float, ...]:
    return (lambd, -lambd)


@reference(
    "nn.functional.hardshrink",
    inputs=elementwise(_both_signs, lambd=_LAMBD),
    elementwise=True,
    rows=rows_of_x,
    kinks=(kink("x = ±lambd", "value and gradient are 0", [-0.5, 0.5], [0.0, 0.0], [0.0, 0.0]),),
)
def hardshrink(x: Any, *, lambd: Any = 0.5) -> Any:
    """x where |x| > lambd, 0 elsewhere; same shape as x. At ±lambd value and gradient are 0; NaN stays NaN."""
    inside = (x >= -lambd) & (x <= lambd)
    value = np.where(inside, 0.0, x)

    def hardshrink_vjp(g: Any) -> dict[str, Any]:
        return {"x": np.where(inside, 0.0, g)}

    return value, hardshrink_vjp


@reference(
    "nn.functional.softshrink",
    inputs=elementwise(_both_signs, lambd=_LAMBD),
    elementwise=True,
    rows=rows_of_x,
    kinks=(kink("x = ±lambd", "the gradient is 0", [-0.5, 0.5], [0.0, 0.0], [0.0, 0.0]),),
)
def softshrink(x: Any, *, lambd: Any = 0.5) -> Any:
    """x - lambd above lambd, x + lambd below -lambd, 0 between; same shape as x. At ±lambd the gradient is 0.

    NaN stays NaN.
    """
    inside = (x >= -lambd) & (x <= lambd)
    value = np.where(inside, 0.0, np.where(x > lambd, x - lambd, x + lambd))

    def softshrink_vjp(g: Any) -> dict[str, Any]:
        return {"x": np.where(inside, 0.0, g)}

    return value, softshrink_vjp


@reference(
    "nn.functional.hardsigmoid",
    inputs=elementwise(lambda: (-3.0, 3.0)),
    elementwise=True,
    rows=rows_of_x,
    kinks=(kink("x = ±3", "the gradient is 0", [-3.0, 3.0], [0.0, 1.0], [0.0, 0.0]),),
)
def hardsigmoid(x: Any) -> Any:
    """min(max(x + 3, 0), 6)/6; same shape as x (Courbariaux et al. 2015). The gradient at ±3 and at NaN is 0.

    Gradient and tangent are multiplied by 1/6, the value is divided by 6.
    """
    inside = (x > -3.0) & (x < 3.0)

    def sloped(along: Any) -> Any:
        return np.where(inside, along * (number(1.0, x) / 6.0), 0.0)

    value = node(
        lambda x: np.where(x <= -3.0, 0.0, np.where(x >= 3.0, 6.0, x + 3.0)) / 6.0, lambda y, x, dx: sloped(dx), x
    )

    def hardsigmoid_vjp(g: Any) -> dict[str, Any]:
        return {"x": sloped(g)}

    return value, hardsigmoid_vjp


@reference(
    "nn.functional.hardswish",
    inputs=elementwise(lambda: (-3.0, 3.0, -1.5)),
    elementwise=True,
    rows=rows_of_x,
    kinks=(
        kink("x = -3", "the gradient is 0", [-3.0], [0.0], [0.0]),
        kink("x = 3", "the gradient is 1", [3.0], [3.0], [1.0]),
    ),
)
def hardswish(x: Any) -> Any:
    """x·min(max(x + 3, 0), 6)/6; same shape as x (Howard et al. 2019).

    The gradient is 0 up to and at -3, (x/3 + 1/2)·g between, and g from 3 on; so is the tangent. The derivative of the
    gradient along h is (h·g)/3.
    """
    low, high = x <= -3.0, x >= 3.0

    def gated(x: Any) -> Any:
        return x * np.where(low, 0.0, np.where(high, 6.0, x + 3.0)) / 6.0

    def sloped(x: Any, along: Any) -> Any:
        between = node(lambda x: along * (x / 3.0 + 0.5), lambda y, x, dx: dx * along / 3.0, x)
        return np.where(low, 0.0, np.where(high, along, between))

    value = node(gated, lambda y, x, dx: sloped(x, dx), x)

    def hardswish_vjp(g: Any) -> dict[str, Any]:
        return {"x": sloped(x, g)}

    return value, hardswish_vjp
