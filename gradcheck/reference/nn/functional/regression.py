"""Losses of a prediction against a target of the same shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import guarded, number, routed, sgn, stored
from gradcheck.reference.domains import REDUCTIONS, hyperparameters
from gradcheck.reference.reduction import reduced, weighted_reduced
from gradcheck.reference.registry import Kink, reference

__all__ = ["huber_loss", "l1_loss", "mse_loss", "smooth_l1_loss"]


def _pair(draw: Any, near: tuple[float, ...] = (0.0,)) -> dict[str, Any]:
    shape = draw.shape()
    return {"x": draw.array(shape, near=near), "target": draw.tame(shape)}


def _pair_and_weight(draw: Any) -> dict[str, Any]:
    pair = _at_kink(draw, 0.0)
    weight = draw.choice((None, draw.array(pair["x"].shape, ("positive",))))
    return {**pair, "weight": weight, **hyperparameters(draw, reduction=REDUCTIONS)}


def _share(reduction: str, elements: Any, like: Any) -> Any:
    """What the kernels of the fused losses call their norm: 1/N for the mean, 1 otherwise."""
    return number(1.0, like) / np.size(elements) if reduction == "mean" else number(1.0, like)


@reference(
    "nn.functional.mse_loss",
    inputs=_pair_and_weight,
    kinks=(Kink("no elements", "the mean is NaN", {"x": [], "target": []}, {"value": float("nan"), "grad[x]": []}),),
)
def mse_loss(x: Any, target: Any, weight: Any = None, *, reduction: str = "mean") -> Any:
    """(x - target)²; target and weight have x's shape; reduced to a scalar, or of x's shape for ``none``.

    With ``weight`` each square is multiplied by it and ``mean`` divides by Σ weight.
    """
    if weight is not None:
        return _weighted_mse(x, target, weight, reduction)
    difference = x - target
    value, _ = reduced(difference * difference, reduction)
    norm = 2.0 * _share(reduction, difference, x)

    def mse_loss_vjp(g: Any) -> dict[str, Any]:
        gradient = norm * difference * g
        return {"x": gradient, "target": -gradient}

    return value, mse_loss_vjp


def _weighted_mse(x: Any, target: Any, weight: Any, reduction: str) -> Any:
    difference = stored(x - target)
    squares = stored(difference * difference)
    value, spread = weighted_reduced(squares, weight, reduction)

    def weighted_mse_vjp(g: Any) -> dict[str, Any]:
        each, through_weight = spread(g)
        gradient = each * stored(2.0 * difference)
        return {"x": gradient, "target": -gradient, "weight": through_weight}

    return value, weighted_mse_vjp


@reference(
    "nn.functional.l1_loss",
    inputs=_pair_and_weight,
    kinks=(
        Kink(
            "x = target",
            "the gradient is 0",
            {"x": [2.0, 3.0], "target": [2.0, 1.0]},
            {"value": 1.0, "grad[x]": [0.0, 0.5], "grad[target]": [0.0, -0.5]},
        ),
    ),
)
def l1_loss(x: Any, target: Any, weight: Any = None, *, reduction: str = "mean") -> Any:
    """|x - target|; shapes and weight as for mse_loss. Where x = target, and where either is NaN, the gradient is 0."""
    difference = stored(x - target)
    sign, elements = sgn(difference), np.abs(difference)
    if weight is not None:
        value, weighted = weighted_reduced(elements, weight, reduction)

        def weighted_l1_vjp(g: Any) -> dict[str, Any]:
            each, through_weight = weighted(g)
            return {"x": each * sign, "target": -(each * sign), "weight": through_weight}

        return value, weighted_l1_vjp
    value, spread = reduced(elements, reduction)

    def l1_loss_vjp(g: Any) -> dict[str, Any]:
        gradient = spread(g) * sign
        return {"x": gradient, "target": -gradient}

    return value, l1_loss_vjp


def _smooth_l1_inputs(draw: Any) -> dict[str, Any]:
    chosen = hyperparameters(draw, reduction=REDUCTIONS, beta=(1.0, 0.5, 0.3, 0.0, 2.0))
    return {**_at_kink(draw, chosen["beta"]), **chosen}


def _at_kink(draw: Any, kink: float) -> dict[str, Any]:
    """A pair whose differences lie at the kink where the kind ``near`` is drawn: then the target is all zeros or ±1."""
    pair = _pair(draw, near=(kink, -kink, 1.0 + kink, 1.0 - kink))
    if pair["x"].kind == "near":
        pair["target"] = draw.array(pair["x"].shape, ("ties",))
    return pair


@reference(
    "nn.functional.smooth_l1_loss",
    inputs=_smooth_l1_inputs,
    kinks=(
        Kink(
            "|x - target| = beta",
            "both branches have the same gradient, the linear one holds",
            {"x": [1.0], "target": [0.0]},
            {"value": 0.5, "grad[x]": [1.0], "grad[target]": [-1.0]},
        ),
        Kink(
            "x = target, beta = 0",
            "the gradient is 0, as of l1_loss",
            {"x": [1.0], "target": [1.0], "beta": 0.0},
            {"value": 0.0, "grad[x]": [0.0], "grad[target]": [0.0]},
        ),
    ),
)
def smooth_l1_loss(x: Any, target: Any, *, reduction: str = "mean", beta: Any = 1.0) -> Any:
    """z²/(2·beta) for z = |x - target| < beta, z - beta/2 elsewhere; shapes as for mse_loss (Girshick 2015).

    At z = beta the linear branch holds. beta = 0 is l1_loss.
    """
    if float(beta) == 0.0:
        return l1_loss(x, target, reduction=reduction)
    difference = x - target
    z = np.abs(difference)
    inside = z < beta
    elements = np.where(inside, 0.5 * z * z / guarded(beta, inside, 1.0), z - 0.5 * beta)
    value, _ = reduced(elements, reduction)
    norm = _share(reduction, difference, x)

    def smooth_l1_loss_vjp(g: Any) -> dict[str, Any]:
        # The kernel's vectorised body divides first, its scalar tail last: either may lose bits of a subnormal number.
        below = guarded(beta, inside, 1.0)
        slope = routed(norm * difference * g / below, norm * (difference / below) * g)
        gradient = np.where(inside, slope, norm * np.sign(difference) * g)
        return {"x": gradient, "target": -gradient}

    return value, smooth_l1_loss_vjp


def _huber_inputs(draw: Any) -> dict[str, Any]:
    chosen = hyperparameters(draw, reduction=REDUCTIONS, delta=(1.0, 0.5, 0.3, 2.0))
    pair = _at_kink(draw, chosen["delta"])
    return {**pair, "weight": draw.choice((None, None, draw.array(pair["x"].shape, ("positive",)))), **chosen}


@reference(
    "nn.functional.huber_loss",
    inputs=_huber_inputs,
    kinks=(
        Kink(
            "|x - target| = delta",
            "both branches agree",
            {"x": [1.0], "target": [0.0]},
            {"value": 0.5, "grad[x]": [1.0], "grad[target]": [-1.0]},
        ),
    ),
)
def huber_loss(x: Any, target: Any, weight: Any = None, *, reduction: str = "mean", delta: Any = 1.0) -> Any:
    """z²/2 for z = |x - target| <= delta, delta·(z - delta/2) elsewhere; shapes as for mse_loss (Huber 1964).

    At z = delta both branches agree, in value and in gradient. With ``weight``, ``mean`` divides by the number of
    elements, not by Σ weight as in mse_loss and l1_loss: that is PyTorch's convention.
    """
    difference = x - target
    z = np.abs(difference)
    inside = z <= delta
    elements = np.where(inside, 0.5 * z * z, delta * (z - 0.5 * delta))
    slope = np.where(inside, difference, delta * np.sign(difference))
    if weight is not None:
        unweighted = stored(elements)
        value, spread = reduced(unweighted * weight, reduction)

        def weighted_huber_vjp(g: Any) -> dict[str, Any]:
            each = stored(spread(g) * weight)
            return {"x": each * slope, "target": -(each * slope), "weight": spread(g) * unweighted}

        return value, weighted_huber_vjp
    value, _ = reduced(elements, reduction)
    norm = _share(reduction, difference, x)

    def huber_loss_vjp(g: Any) -> dict[str, Any]:
        gradient = norm * slope * g
        return {"x": gradient, "target": -gradient}

    return value, huber_loss_vjp
