"""Planted faults of the poolings, in the form of tests/planted/table.py.

Wrong formulas are the right ones called otherwise, or with windows of their own; tampered subjects are PyTorch's
function on a changed input, or another computation that goes wrong where people's own do.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.reference.nn.functional.pooling.average import divided_sums
from gradcheck.reference.nn.functional.pooling.windows import joined, per_dimension
from tests.planted.formulas import Formula, _function, called, ignoring, pulled_back, valued
from tests.planted.plant import Fault

__all__ = ["FORMULAS", "SUBJECTS"]


# Wrong formulas.


def _without_overlap(name: str, dims: int) -> Formula:
    """Windows that end where the next begins, as floor((i + 1)·s/n) has it."""
    right = _function(name)

    @functools.wraps(right)
    def wrong(x: Any, *, output_size: Any) -> Any:
        sides = np.shape(x)[-dims:]
        counts = [n or side for side, n in zip(sides, per_dimension(output_size, dims), strict=True)]
        tables = [_cut(side, count) for side, count in zip(sides, counts, strict=True)]
        windows = joined(tables, sides)
        value, vjp = divided_sums(x, windows, [np.maximum(windows.inside.sum(axis=-1), 1)])
        return value, lambda g: {"x": vjp(g)}

    return wrong


def _cut(side: int, count: int) -> np.ndarray:
    starts, ends = np.arange(count) * side // count, (np.arange(count) + 1) * side // count
    positions = starts[:, None] + np.arange(max(1, int((ends - starts).max())))
    return np.where(positions < ends[:, None], positions, -1)


def _whole_divisor(name: str) -> Formula:
    """The gradient of a sum, not of a mean."""

    def undivided(g: Any, right: dict[str, Any], a: dict[str, Any]) -> dict[str, Any]:
        size = float(np.prod(per_dimension(a["kernel_size"], int(name[-2]))))
        return {"x": right["x"] * size}

    return pulled_back(name, undivided)


def _documented_norm(name: str, dims: int) -> Formula:
    """The last window of ceil_mode as the documentation has it: without the factor (n/k)^(1/p)."""

    def change(value: Any, a: dict[str, Any]) -> Any:
        ones, window = np.ones(np.shape(a["x"])), {"kernel_size": a["kernel_size"], "stride": a["stride"]}
        counts, _ = _function(f"avg_pool{dims}d")(ones, **window, ceil_mode=True, divisor_override=1)
        share = counts / float(np.prod(per_dimension(a["kernel_size"], dims)))
        return value * share ** (1.0 / float(a["norm_type"]))

    return valued(name, change, when=lambda a: bool(a["ceil_mode"]) and abs(float(a["norm_type"])) <= 4.0)


FORMULAS = [
    *(
        fault
        for d in (1, 2, 3)
        for fault in (
            Fault("padding counted", f"avg_pool{d}d", "value", ignoring(f"avg_pool{d}d", count_include_pad=True)),
            Fault("gradient of the sum", f"avg_pool{d}d", "grad[x]", _whole_divisor(f"avg_pool{d}d")),
            Fault("ceil_mode ignored", f"max_pool{d}d", "value", ignoring(f"max_pool{d}d", ceil_mode=False)),
            Fault(
                "windows cut without overlap", f"adaptive_avg_pool{d}d", "value",
                _without_overlap(f"adaptive_avg_pool{d}d", d),
            ),
            Fault("norm_type ignored", f"lp_pool{d}d", "value", ignoring(f"lp_pool{d}d", norm_type=2.0)),
        )
    ),
    Fault("divisor_override ignored", "avg_pool2d", "value", ignoring("avg_pool2d", divisor_override=None)),
    Fault("divisor_override ignored", "avg_pool3d", "value", ignoring("avg_pool3d", divisor_override=None)),
    Fault("dilation for stride", "max_pool2d", "value", called("max_pool2d", lambda a: {"stride": a["dilation"]})),
    *(
        Fault(
            "samples in the wrong order", f"fractional_max_pool{d}d", "indices",
            called(f"fractional_max_pool{d}d", lambda a: {"_random_samples": np.flip(a["_random_samples"], axis=-1)}),
        )
        for d in (2, 3)
    ),
    Fault("the documented norm of a last window", "lp_pool2d", "value", _documented_norm("lp_pool2d", 2)),
    *(
        Fault(
            "indices of the other end", f"max_unpool{d}d", "value",
            called(f"max_unpool{d}d", lambda a: {"indices": np.flip(a["indices"], axis=-1)}),
        )
        for d in (1, 2, 3)
    ),
]  # fmt: skip


# Tampered subjects.

Operation = Callable[..., Any]


def _padded_with_zeros(function: Operation) -> Operation:
    """Zeros instead of nothing around the input: wrong where a window's elements are all negative."""

    def wrong(x: Any, **options: Any) -> Any:
        from torch.nn.functional import pad

        pads = options["padding"]
        if options["ceil_mode"] or not isinstance(pads, int):
            return function(x, **options)
        dims = x.dim() - 2 if x.dim() > 2 else 1
        return function(pad(x, (pads, pads) * dims), **{**options, "padding": 0})

    return wrong


def _without_nan(function: Operation) -> Operation:
    """NaN never wins a window."""
    return lambda x, **options: function(x.masked_fill(x.isnan(), -float("inf")), **options)


def _turned(function: Operation) -> Operation:
    """Windows read backwards, where that makes no other windows: of several maxima the last wins."""

    def wrong(x: Any, **options: Any) -> Any:
        plain = {**options, "return_indices": False}
        axes = tuple(range(1, x.dim()))
        forwards, backwards = function(x, **plain), function(x.flip(axes), **plain).flip(axes)
        return backwards if backwards.equal(forwards) else forwards

    return wrong


def _indices_of_one_layer(function: Operation) -> Operation:
    """Indices that count the elements of the last dimension only."""

    def wrong(x: Any, **options: Any) -> Any:
        outputs = function(x, **options)
        if isinstance(outputs, dict):
            outputs["indices"] = outputs["indices"] % x.shape[-1]
        return outputs

    return wrong


def _naive_power(dims: int) -> Callable[[Operation], Operation]:
    """(Σ x^p)^(1/p) as it is written: its gradient at a window of zeros is NaN."""

    def tampering(function: Operation) -> Operation:
        def wrong(x: Any, *, norm_type: Any, kernel_size: Any, stride: Any, ceil_mode: bool) -> Any:
            from torch.nn import functional

            if abs(norm_type) > 4.0:
                return function(x, norm_type=norm_type, kernel_size=kernel_size, stride=stride, ceil_mode=ceil_mode)
            average = getattr(functional, f"avg_pool{dims}d")(x.pow(norm_type), kernel_size, stride, 0, ceil_mode)
            size = int(np.prod(per_dimension(kernel_size, dims)))
            return average.mul(size).pow(1.0 / norm_type)

        return wrong

    return tampering


SUBJECTS = [
    *(
        fault
        for d in (1, 2, 3)
        for fault in (
            Fault("the last of several maxima", f"max_pool{d}d", "grad[x]", tamper=lambda t: _turned),
            Fault("NaN never wins", f"max_pool{d}d", "value", tamper=lambda t: _without_nan),
            Fault("the last of several maxima", f"adaptive_max_pool{d}d", "grad[x]", tamper=lambda t: _turned),
            Fault("NaN never wins", f"adaptive_max_pool{d}d", "value", tamper=lambda t: _without_nan),
            Fault(
                "gradient NaN at zero windows", f"lp_pool{d}d", "grad[x]", tamper=lambda t, d=d: _naive_power(d),
                dtypes=("float64", "float32"),
            ),
            Fault("gradients one place further", f"max_unpool{d}d", "grad[x]", tamper=lambda t: t.gradient(t.rolled)),
        )
    ),
    *(
        Fault("indices of the last dimension", f"{name}{d}d", "indices", tamper=lambda t: _indices_of_one_layer)
        for name in ("max_pool", "adaptive_max_pool", "fractional_max_pool")
        for d in (2, 3)
    ),
    *(
        Fault("NaN never wins", f"fractional_max_pool{d}d", "value", tamper=lambda t: _without_nan) for d in (2, 3)
    ),
    Fault("padded with zeros", "max_pool2d", "value", tamper=lambda t: _padded_with_zeros),
]  # fmt: skip
