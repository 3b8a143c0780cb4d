"""softmax and its relatives: rows along ``dim`` are independent."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import as_dtype, as_dtype_of, fixed, shares_of_sum, stored
from gradcheck.reference.registry import Kink, reference

__all__ = ["log_softmax", "shares_of", "softmax", "softmin"]

DTYPES = (None, None, None, "float32", "float64")


def _rows_along(arguments: dict[str, Any]) -> tuple[str, ...]:
    x, dim = arguments["x"], arguments["dim"]
    return ("x",) if x.ndim > 1 and dim % x.ndim else ()


def _inputs(draw: Any) -> dict[str, Any]:
    shape = draw.shape(dims=(0, 3))
    dim = draw.choice(range(-len(shape), len(shape))) if shape else draw.choice((0, -1))
    return {"x": draw.array(shape), "dim": dim, "dtype": draw.choice(DTYPES)}


def _at_least_1d(x: Any, dim: int) -> tuple[Any, int]:
    """A 0-dimensional tensor counts as a row of one element."""
    return (x.reshape(1), 0) if np.ndim(x) == 0 else (x, dim)


def shares_of(rows: Any, dim: int) -> tuple[Any, Any]:
    """exp(x_i) / Σ_j exp(x_j) along ``dim``, shifted by the maximum, and a factor with the error of the sum, which is
    one for a whole row."""
    e = np.exp(rows - fixed(np.max(rows, axis=dim, keepdims=True))) if rows.size else rows
    return shares_of_sum(e, np.sum(e, axis=dim, keepdims=True))


@reference(
    "nn.functional.softmax",
    inputs=_inputs,
    rows=_rows_along,
    kinks=(
        Kink(
            "all of a row are -inf",
            "it is NaN, value and gradient",
            {"x": [float("-inf"), float("-inf")], "dim": 0},
            {"value": [float("nan"), float("nan")], "grad[x]": [float("nan"), float("nan")]},
        ),
    ),
)
def softmax(x: Any, *, dim: int, dtype: str | None = None) -> Any:
    """exp(x_i) / Σ_j exp(x_j) along ``dim``, shifted by the row's maximum; same shape as x.

    The gradient uses the stored result: y·(g - Σ g·y). The shift has no part in it, since softmax does not depend on
    it; ties of the maximum are therefore no kink. A row with +inf or NaN, or all -inf, is NaN. With ``dtype``, x is
    converted first and the gradient converted back. Source: Bridle 1990; PyTorch documentation of torch.softmax.
    """
    shape = np.shape(x)
    rows, dim = _at_least_1d(as_dtype(x, dtype), dim)
    y, common = shares_of(rows, dim)
    saved = stored(y)

    def softmax_vjp(g: Any) -> dict[str, Any]:
        g = g.reshape(saved.shape)
        inner = np.sum(g * saved, axis=dim, keepdims=True) * common
        return {"x": as_dtype_of(saved * (g - inner) * common, x).reshape(shape)}

    return (y * common).reshape(shape), softmax_vjp


@reference("nn.functional.softmin", inputs=_inputs, rows=_rows_along)
def softmin(x: Any, *, dim: int, dtype: str | None = None) -> Any:
    """softmax(-x) along ``dim``; same shape as x. Conventions as for softmax."""
    y, softmax_vjp = softmax(-x, dim=dim, dtype=dtype)

    def softmin_vjp(g: Any) -> dict[str, Any]:
        return {"x": -softmax_vjp(g)["x"]}

    return y, softmin_vjp


@reference("nn.functional.log_softmax", inputs=_inputs, rows=_rows_along)
def log_softmax(x: Any, *, dim: int, dtype: str | None = None) -> Any:
    """x_i - log Σ_j exp(x_j) along ``dim``, shifted by the row's maximum; same shape as x.

    The gradient uses the stored result: g - exp(y)·Σ g. A row with +inf or NaN, or all -inf, is NaN. With ``dtype``,
    x is converted first and the gradient converted back. Source: PyTorch documentation of torch.log_softmax.
    """
    shape = np.shape(x)
    rows, dim = _at_least_1d(as_dtype(x, dtype), dim)
    shifted = rows - fixed(np.max(rows, axis=dim, keepdims=True)) if rows.size else rows
    y = shifted - np.log(np.sum(np.exp(shifted), axis=dim, keepdims=True))
    saved = stored(y)

    def log_softmax_vjp(g: Any) -> dict[str, Any]:
        g = g.reshape(saved.shape)
        gradient = g - np.exp(saved) * np.sum(g, axis=dim, keepdims=True)
        return {"x": as_dtype_of(gradient, x).reshape(shape)}

    return y.reshape(shape), log_softmax_vjp
