"""Power-average pooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import detached, guarded, number, sgn, stored
from gradcheck.reference.nn.functional.pooling.average import avg_pool
from gradcheck.reference.nn.functional.pooling.draws import leading, sliding_options
from gradcheck.reference.nn.functional.pooling.maximum import max_pool
from gradcheck.reference.nn.functional.pooling.windows import per_dimension
from gradcheck.reference.registry import Kink, reference

__all__ = ["lp_pool1d", "lp_pool2d", "lp_pool3d"]


def _lp_pool(x: Any, dims: int, norm_type: Any, kernel_size: Any, stride: Any, ceil_mode: bool) -> Any:
    p = float(norm_type)
    if math.isinf(p):
        return _extreme(x, dims, math.copysign(1.0, p), kernel_size, stride, ceil_mode)
    size = int(np.prod(per_dimension(kernel_size, dims)))
    average, average_vjp = avg_pool(stored(_power(x, p)), dims, kernel_size, stride, 0, ceil_mode)
    # Only zeros make a mean that is 0 for certain; rounding may make others 0, or not.
    empty = max_pool(np.asarray(x != 0.0, dtype=np.float64), dims, kernel_size, stride, 0, 1, ceil_mode)[0] == 0.0
    mean = stored(average)
    # Through sign(mean)·|mean|, which has no tangent where the mean is 0.
    mean = np.where(empty | (average == 0.0), detached(mean), mean)
    total = stored(mean * size)
    root = _root(p, x)
    value = np.where(empty, 0.0, _power(total, root))

    def lp_pool_vjp(g: Any) -> dict[str, Any]:
        none = empty | (mean == 0.0)
        slope = _slope(guarded(total, ~none, 1.0), root)
        for_mean = stored(stored(g * slope) * size)
        # Through sign(mean)·|mean|, and the sign of NaN is 0.
        signed = np.where(np.isnan(mean), for_mean * 0.0, for_mean)
        for_powers = stored(average_vjp(np.where(none, 0.0, signed)))
        return {"x": for_powers * _slope(x, p)}

    return value, lp_pool_vjp


def _root(p: float, like: Any) -> Any:
    """1/p, in the arithmetic unless it is exact."""
    return 1.0 / p if math.frexp(p)[0] == 0.5 else number(1.0, like) / p


def _power(x: Any, exponent: Any) -> Any:
    return x if float(exponent) == 1.0 else np.power(x, exponent)


def _slope(x: Any, exponent: Any) -> Any:
    """exponent·x^(exponent - 1), as autograd has it."""
    if float(exponent) == 1.0:
        return np.ones_like(x)
    return stored(exponent * stored(_power(x, exponent - 1.0)))


def _extreme(x: Any, dims: int, sign: float, kernel_size: Any, stride: Any, ceil_mode: bool) -> Any:
    """The largest |x| of each window (sign 1), or the smallest (sign -1)."""
    extreme, _, vjp = max_pool(sign * np.abs(x), dims, kernel_size, stride, 0, 1, ceil_mode)

    def extreme_vjp(g: Any) -> dict[str, Any]:
        return {"x": vjp(g) * sgn(x)}

    return sign * extreme, extreme_vjp


def _plain(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def _inputs(dims: int) -> Callable[[Any], dict[str, Any]]:
    def inputs(draw: Any) -> dict[str, Any]:
        options, sides = sliding_options(draw, dims)
        # A tuple of one element is refused here, other than in the other poolings.
        options = {name: _plain(value) for name, value in options.items()}
        shape = (*leading(draw), *sides)
        p = draw.choice((2.0, 1, 3.0, 2, 1.5, 4.0, math.inf, -math.inf))
        # A negative sum has no root unless it is the first.
        either = p in (1, 2, 4) or math.isinf(p)
        x = draw.array(shape) if either else draw.array(shape, ("positive", "inner", "ordinary", "ties", "special"))
        return {"x": x, "norm_type": p, **options, "ceil_mode": draw.boolean()}

    return inputs


def _kinks(dims: int) -> tuple[Kink, ...]:
    window: Any = 2 if dims == 1 else (1,) * (dims - 1) + (2,)

    def nested(*numbers: float) -> list[Any]:
        row: list[Any] = list(numbers)
        for _ in range(dims):
            row = [row]
        return row

    return (
        Kink(
            "all elements of a window are 0",
            "the gradient is 0",
            at={"x": nested(0.0, 0.0), "norm_type": 2.0, "kernel_size": window},
            gives={"value": nested(0.0), "grad[x]": nested(0.0, 0.0)},
        ),
        Kink(
            "the powers in a window sum to 0",
            "the gradient is 0",
            at={"x": nested(1.0, -1.0), "norm_type": 1.0, "kernel_size": window},
            gives={"value": nested(0.0), "grad[x]": nested(0.0, 0.0)},
        ),
        Kink(
            "norm_type = inf, and several elements of a window have the largest absolute value",
            "the first of them gets the whole gradient",
            at={"x": nested(-1.0, 1.0), "norm_type": math.inf, "kernel_size": window},
            gives={"value": nested(1.0), "grad[x]": nested(-1.0, 0.0)},
        ),
        Kink(
            "norm_type = inf, and all elements of a window are 0",
            "the gradient is 0",
            at={"x": nested(0.0, 0.0), "norm_type": math.inf, "kernel_size": window},
            gives={"value": nested(0.0), "grad[x]": nested(0.0, 0.0)},
        ),
    )


@reference("nn.functional.lp_pool1d", inputs=_inputs(1), kinks=_kinks(1))
def lp_pool1d(x: Any, *, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """(Σ x^p)^(1/p) of each window, p = norm_type; x: (N, C, L) or (C, L). Conventions as for lp_pool2d."""
    return _lp_pool(x, 1, norm_type, kernel_size, stride, ceil_mode)


@reference("nn.functional.lp_pool2d", inputs=_inputs(2), kinks=_kinks(2))
def lp_pool2d(x: Any, *, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """(Σ x^p)^(1/p) of each window, p = norm_type (Sermanet et al. 2012); x: (N, C, H, W) or (C, H, W).

    For p = ±inf the largest and the smallest |x|. Powers are of x, not of |x|: a negative number has none for a p that
    is not whole, nor a negative sum a root, and both are NaN. PyTorch pools averages and multiplies by the number of
    elements of a whole window; so the last window of ``ceil_mode``, which has fewer, k of n, gives (n/k)^(1/p) times
    what its documentation says. Where Σ x^p = 0 the gradient is 0; for p = ±inf the first of several winners gets it.
    """
    return _lp_pool(x, 2, norm_type, kernel_size, stride, ceil_mode)


@reference("nn.functional.lp_pool3d", inputs=_inputs(3), kinks=_kinks(3))
def lp_pool3d(x: Any, *, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """(Σ x^p)^(1/p) of each window, p = norm_type; x: (N, C, D, H, W) or (C, D, H, W). Conventions as for lp_pool2d."""
    return _lp_pool(x, 3, norm_type, kernel_size, stride, ceil_mode)
