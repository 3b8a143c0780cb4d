"""Negative log-likelihoods of a parametric family: Poisson and Gaussian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import guarded, pi, stored, written_over
from gradcheck.reference.domains import REDUCTIONS, hyperparameters
from gradcheck.reference.reduction import reduced
from gradcheck.reference.registry import Kink, reference

__all__ = ["gaussian_nll_loss", "poisson_nll_loss"]


def _poisson_inputs(draw: Any) -> dict[str, Any]:
    shape = draw.shape()
    chosen = hyperparameters(
        draw, log_input=(True, False), full=(False, True), eps=(1e-8, 0.5, 1e-3), reduction=REDUCTIONS
    )
    x = draw.array(shape) if chosen["log_input"] else draw.array(shape, ("positive", "unit", "ordinary", "special"))
    return {"x": x, "target": draw.array(shape, ("positive", "integers", "ties", "ordinary", "wide")), **chosen}


@reference(
    "nn.functional.poisson_nll_loss",
    inputs=_poisson_inputs,
    kinks=(
        Kink(
            "target = 1, full",
            "Stirling's term is 0, and so is its gradient",
            at={"x": [2.0], "target": [1.0], "full": True},
            gives={"grad[target]": [-2.0]},
        ),
    ),
)
def poisson_nll_loss(
    x: Any, target: Any, *, log_input: bool = True, full: bool = False, eps: Any = 1e-8, reduction: str = "mean"
) -> Any:
    """exp(x) - target·x, or x - target·log(x + eps) where x is no logarithm; shapes alike.

    ``full`` adds Stirling's target·log(target) - target + log(2π·target)/2 where target > 1, and 0 elsewhere. A
    composite: each result is stored.
    """
    log_x = None if log_input else stored(np.log(stored(x + eps)))
    e = stored(np.exp(x)) if log_input else x
    elements = e - stored(target * (x if log_x is None else log_x))
    if full:
        large = target > 1.0
        count = guarded(target, large, 1.0)
        log_count = stored(np.log(count))
        half_log = stored(0.5 * stored(np.log(stored(2.0 * pi(x) * count))))
        stirling = stored(stored(count * log_count) - count) + half_log
        elements = stored(elements) + np.where(large, stored(stirling), np.zeros_like(target))
    value, spread = reduced(elements, reduction)

    def poisson_nll_vjp(g: Any) -> dict[str, Any]:
        each = spread(g) * np.ones_like(x)
        if log_x is None:
            for_x, for_target = stored(each * e) - stored(each * target), -each * x
        else:
            for_x, for_target = each - stored(each * target) / stored(x + eps), -each * log_x
        if full:
            whole = stored(2.0 * pi(x) * count)
            through_log = stored(stored(stored(each * 0.5) / whole) * (2.0 * pi(x)))
            through_product = stored(stored(each * log_count) + stored(stored(each * count) / count))
            slope = stored(stored(through_product - each) + through_log)
            for_target = stored(for_target) + np.where(large, slope, np.zeros_like(target))
        return {"x": for_x, "target": for_target}

    return value, poisson_nll_vjp


def _gaussian_inputs(draw: Any) -> dict[str, Any]:
    shape = draw.shape(dims=(1, 3), least=1)
    shapes = [shape, (*shape[:-1], 1)] if len(shape) == 1 else [shape, shape[:-1], (*shape[:-1], 1)]
    arrays = [draw.array(some, ("positive", "unit")) for some in shapes]
    return {
        "x": draw.array(shape),
        "target": draw.tame(shape),
        "var": draw.choice((*arrays, 0.5, 0.3)),
        **hyperparameters(draw, full=(False, True), eps=(1e-6, 0.5, 1e-3), reduction=REDUCTIONS),
    }


def _gaussian_nll_twice(x: Any, target: Any, var: Any, **options: Any) -> Any:
    """Reverse mode over reverse mode: there the gradient flows through a bounded variance both times."""
    options = {"full": False, "eps": 1e-6, "reduction": "mean", **options}
    return _gaussian_nll(x, target, var, lambda given, eps: written_over(given, np.maximum(given, eps)), **options)


@reference(
    "nn.functional.gaussian_nll_loss",
    inputs=_gaussian_inputs,
    routes={"double": _gaussian_nll_twice, "func.double": _gaussian_nll_twice},
    kinks=(
        Kink(
            "var < eps",
            "the gradient is taken at eps and not cut off",
            at={"x": [1.0], "target": [0.0], "var": [0.0], "eps": 0.5},
            gives={"grad[x]": [2.0], "grad[target]": [-2.0], "grad[var]": [-1.0]},
        ),
    ),
)
def gaussian_nll_loss(
    x: Any, target: Any, var: Any, *, full: bool = False, eps: Any = 1e-6, reduction: str = "mean"
) -> Any:
    """(log v + (x - target)²/v)/2 with v = max(var, eps), and log(2π)/2 more with ``full`` (Nix & Weigend 1994).

    x and target: (…, D), var: of that shape, (…, 1), (…) for one variance per row, or a number. PyTorch's convention:
    the lower bound eps is set behind autograd's back, so below it the gradient of var is that at eps, not 0; in forward
    mode it is 0. A composite written in Python: each result is stored.
    """
    return _gaussian_nll(x, target, var, np.maximum, full=full, eps=eps, reduction=reduction)


def _gaussian_nll(
    x: Any, target: Any, var: Any, bounded: Callable[[Any, Any], Any], *, full: bool, eps: Any, reduction: str
) -> Any:
    shape = np.shape(var)
    per_row = bool(shape) and shape != np.shape(x) and len(shape) == np.ndim(x) - 1
    given = np.expand_dims(var, -1) if per_row else stored(var)
    v = bounded(given, stored(eps))
    difference = stored(x - target)
    square = stored(difference * difference)
    elements = stored(0.5 * stored(stored(np.log(v)) + stored(square / v)))
    if full:
        elements = elements + 0.5 * np.log(2.0 * pi(x))
    value, spread = reduced(elements, reduction)

    def gaussian_nll_vjp(g: Any) -> dict[str, Any]:
        half = stored(0.5 * (spread(g) * np.ones_like(x)))
        for_x = stored(half / v) * stored(2.0 * difference)
        gradients = {"x": for_x, "target": -for_x}
        if shape:
            through_quotient = stored(-half * stored(stored(square / v) / v))
            if np.shape(v) != np.shape(x):
                half, through_quotient = (stored(np.sum(a, axis=-1, keepdims=True)) for a in (half, through_quotient))
            gradients["var"] = (stored(half / v) + through_quotient).reshape(shape)
        return gradients

    return value, gaussian_nll_vjp
