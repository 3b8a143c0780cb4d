"""Dropout and its relatives: random zeros, and what keeps the expectation (or mean and variance) as it was.

PyTorch draws which elements are kept; the reference takes that as an array and states everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import number, stored
from gradcheck.reference.registry import reference

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]

SELU_LIMIT = 1.7580993408473766
"""λ·α of selu, which tends to its negative on the left: a dropped element gets that value (Klambauer et al. 2017)."""


def _inputs(inner: int | None, training: bool, unbatched: bool = False) -> Callable[[Any], dict[str, Any]]:
    """Cases with choices for elements (None), or for channels that are followed by so many dimensions."""

    def inputs(draw: Any) -> dict[str, Any]:
        if inner is None:
            shape = kept = draw.shape(dims=(0, 3))
        else:
            lead = draw.choice(((2,), (1,), ()) if unbatched else ((2,), (1,)))
            kept = (*lead, draw.side(1, 9), *(1,) * inner)
            shape = (*kept[: len(kept) - inner], *(draw.choice((2, 3, 1)) for _ in range(inner)))
        return {
            "x": draw.array(shape),
            "mask": draw.mask(kept),
            "p": draw.choice((0.5, 0.0, 1.0, 0.25, 0.1)),
            "training": draw.choice((training, not training)),
        }

    return inputs


def _scaled(x: Any, factor: Any) -> Any:
    def dropout_vjp(g: Any) -> dict[str, Any]:
        return {"x": g * factor}

    return x * factor, dropout_vjp


def _dropped(x: Any, mask: Any, p: Any, training: bool) -> Any:
    """x/(1 - p) where the mask holds and 0·x elsewhere; PyTorch divides the mask and stores it."""
    if not training or float(p) == 0.0:
        return _scaled(x, 1.0)
    if float(p) == 1.0:
        return _scaled(x, 0.0)
    return _scaled(x, stored(np.where(mask, number(1.0, x), 0.0) / (1.0 - p)))


def _alpha_dropped(x: Any, mask: Any, p: Any, training: bool) -> Any:
    """a·x + b with what is dropped at -λα, so that mean 0 and variance 1 stay; PyTorch stores each step."""
    if not training or float(p) == 0.0:
        return _scaled(x, 1.0)
    if float(p) == 1.0:
        return _scaled(x, 0.0)
    limit = number(SELU_LIMIT, x)
    a = 1.0 / np.sqrt((limit * limit * p + 1.0) * (1.0 - p))
    kept = np.where(mask, number(1.0, x), 0.0)
    factor = stored(kept * a)
    offset = stored(stored((kept - 1.0) * (limit * a)) + limit * a * p)

    def alpha_dropout_vjp(g: Any) -> dict[str, Any]:
        return {"x": g * factor}

    return stored(x * factor) + offset, alpha_dropout_vjp


@reference("nn.functional.dropout", inputs=_inputs(None, True), constant=("mask",), drawn=("mask",))
def dropout(x: Any, mask: Any, *, p: Any = 0.5, training: bool = True) -> Any:
    """x/(1 - p) where the element is kept, 0 elsewhere; x itself out of training (Srivastava et al. 2014).

    mask: of x's shape, the elements that PyTorch kept. Those that it dropped are multiplied by 0: inf and NaN give NaN.
    With p = 1 nothing is kept.
    """
    return _dropped(x, mask, p, training)


@reference("nn.functional.dropout1d", inputs=_inputs(1, True, True), constant=("mask",), drawn=("mask",))
def dropout1d(x: Any, mask: Any, *, p: Any = 0.5, training: bool = True) -> Any:
    """dropout of whole channels; x: (N, C, L) or (C, L), mask: (N, C, 1) or (C, 1) (Tompson et al. 2015)."""
    return _dropped(x, mask, p, training)


@reference("nn.functional.dropout2d", inputs=_inputs(2, True), constant=("mask",), drawn=("mask",))
def dropout2d(x: Any, mask: Any, *, p: Any = 0.5, training: bool = True) -> Any:
    """dropout of whole channels; x: (N, C, H, W), mask: (N, C, 1, 1) (Tompson et al. 2015).

    PyTorch takes three dimensions for (N, C, L), with a warning: that is dropout1d.
    """
    return _dropped(x, mask, p, training)


@reference("nn.functional.dropout3d", inputs=_inputs(3, True, True), constant=("mask",), drawn=("mask",))
def dropout3d(x: Any, mask: Any, *, p: Any = 0.5, training: bool = True) -> Any:
    """dropout of whole channels; x: (N, C, D, H, W) or (C, D, H, W), mask: (N, C, 1, 1, 1) or (C, 1, 1, 1)."""
    return _dropped(x, mask, p, training)


@reference("nn.functional.alpha_dropout", inputs=_inputs(None, False), constant=("mask",), drawn=("mask",))
def alpha_dropout(x: Any, mask: Any, *, p: Any = 0.5, training: bool = False) -> Any:
    """a·x + b for what is kept, b - a·λα for the rest; x itself out of training (Klambauer et al. 2017).

    a = ((λ²α²·p + 1)(1 - p))^-½ and b = a·λα·p, with λα = 1.758… of selu; x and mask of one shape; 0·x with p = 1.
    """
    return _alpha_dropped(x, mask, p, training)


@reference("nn.functional.feature_alpha_dropout", inputs=_inputs(2, False), constant=("mask",), drawn=("mask",))
def feature_alpha_dropout(x: Any, mask: Any, *, p: Any = 0.5, training: bool = False) -> Any:
    """alpha_dropout of whole channels; x: (N, C, H, W), mask: (N, C, 1, 1)."""
    return _alpha_dropped(x, mask, p, training)
