"""Losses of pairs that are alike (target 1) or not (target -1): cosine and hinge embedding loss, margin ranking."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import number, stored
from gradcheck.reference.domains import REDUCTIONS, hyperparameters
from gradcheck.reference.quotient import quotient_in_reverse
from gradcheck.reference.reduction import reduced
from gradcheck.reference.registry import Kink, reference

__all__ = ["cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss"]

MARGINS = (0.0, 0.5, 1.0, 0.3)


def _cosine_inputs(draw: Any) -> dict[str, Any]:
    shape = draw.shape(dims=(1, 2), least=1)
    return {
        "x": draw.array(shape),
        "input2": draw.tame(shape),
        "target": draw.array(shape[:-1], ("signs", "ties")),
        **hyperparameters(draw, margin=MARGINS, reduction=REDUCTIONS),
    }


def _cosine_embedding_twice(x: Any, input2: Any, target: Any, *, margin: Any = 0.0, reduction: str = "mean") -> Any:
    """Reverse mode over reverse mode: each quotient of the gradient is differentiated as autograd does there."""
    return _cosine_embedding(x, input2, target, margin, reduction, quotient_in_reverse)


@reference(
    "nn.functional.cosine_embedding_loss",
    inputs=_cosine_inputs,
    constant=("target",),
    routes={"double": _cosine_embedding_twice, "func.double": _cosine_embedding_twice},
    kinks=(
        Kink(
            "cos = margin, target = -1",
            "the gradient passes",
            at={"x": [1.0, 0.0], "input2": [0.0, 1.0], "target": -1.0},
            gives={"value": 0.0, "grad[x]": [0.0, 1.0], "grad[input2]": [1.0, 0.0]},
        ),
    ),
)
def cosine_embedding_loss(x: Any, input2: Any, target: Any, *, margin: Any = 0.0, reduction: str = "mean") -> Any:
    """1 - cos(x, input2) for target 1, max(0, cos - margin) for target -1, 0 for any other; x: (N, D) or (D,).

    1e-12 is added to both sums of squares, so zeros have cosine 0. At cos = margin the gradient passes. A composite:
    each result is stored.
    """
    return _cosine_embedding(x, input2, target, margin, reduction, operator.truediv)


def _cosine_embedding(
    x: Any, input2: Any, target: Any, margin: Any, reduction: str, divided: Callable[[Any, Any], Any]
) -> Any:
    """The loss and its gradient, with the quotients that the gradient takes as ``divided``."""
    eps = number(1e-12, x)
    dot = stored(np.sum(stored(x * input2), axis=-1))
    square, square2 = (stored(stored(np.sum(stored(a * a), axis=-1)) + eps) for a in (x, input2))
    norms = stored(np.sqrt(stored(square * square2)))
    cosine = stored(dot / norms)
    above = stored(cosine - margin)
    passes = (target == -1) & (above >= 0.0)
    zeros = np.zeros_like(cosine)
    elements = np.where(target == 1, stored(1.0 - cosine), zeros) + np.where(
        target == -1, np.maximum(above, 0.0), zeros
    )
    value, spread = reduced(elements, reduction)

    def cosine_embedding_vjp(g: Any) -> dict[str, Any]:
        each = spread(g) * np.ones_like(cosine)
        for_cosine = np.where(target == 1, -each, zeros) + np.where(passes, each, zeros)
        for_dot = np.expand_dims(stored(divided(for_cosine, norms)), -1)
        for_norms = stored(-for_cosine * stored(divided(stored(divided(dot, norms)), norms)))
        for_product = stored(divided(for_norms, 2.0 * norms))
        for_square, for_square2 = (np.expand_dims(stored(for_product * other), -1) for other in (square2, square))
        return {
            "x": stored(for_dot * input2) + 2.0 * stored(for_square * x),
            "input2": stored(for_dot * x) + 2.0 * stored(for_square2 * input2),
        }

    return value, cosine_embedding_vjp


def _hinge_inputs(draw: Any) -> dict[str, Any]:
    shape = draw.shape()
    chosen = hyperparameters(draw, margin=(1.0, 0.5, 0.3, 2.0), reduction=REDUCTIONS)
    near = (chosen["margin"], 0.0)
    return {"x": draw.array(shape, near=near), "target": draw.array(shape, ("signs", "ties")), **chosen}


@reference(
    "nn.functional.hinge_embedding_loss",
    inputs=_hinge_inputs,
    constant=("target",),
    kinks=(
        Kink(
            "x = margin, target = -1",
            "the gradient is -1",
            at={"x": [1.0], "target": [-1.0]},
            gives={"value": 0.0, "grad[x]": [-1.0]},
        ),
    ),
)
def hinge_embedding_loss(x: Any, target: Any, *, margin: Any = 1.0, reduction: str = "mean") -> Any:
    """x for target 1, max(0, margin - x) for target -1, and the sum of both for any other; shapes alike.

    At x = margin the gradient of the second is -1. A composite: each result is stored.
    """
    gap = stored(stored(margin) - x)
    passes = (target != 1) & (gap >= 0.0)
    zeros = np.zeros_like(x)
    value, spread = reduced(
        np.where(target != 1, np.maximum(gap, 0.0), zeros) + np.where(target != -1, x, zeros), reduction
    )

    def hinge_embedding_vjp(g: Any) -> dict[str, Any]:
        each = spread(g) * np.ones_like(x)
        return {"x": np.where(target != -1, each, zeros) - np.where(passes, each, zeros)}

    return value, hinge_embedding_vjp


def _ranking_inputs(draw: Any) -> dict[str, Any]:
    shape = draw.shape()
    chosen = hyperparameters(draw, margin=MARGINS, reduction=REDUCTIONS)
    x = draw.array(shape, near=(chosen["margin"], -chosen["margin"]))
    if x.kind == "subnormal":  # and so is what comes out
        chosen["margin"] = 0.0
        return {"x": x, "input2": draw.array(shape, (x.kind,)), "target": draw.array(shape, ("signs",)), **chosen}
    if x.kind == "near":
        return {"x": x, "input2": draw.array(shape, ("ties",)), "target": draw.array(shape, ("signs",)), **chosen}
    return {"x": x, "input2": draw.tame(shape), "target": draw.array(shape, ("signs", "ties", "ordinary")), **chosen}


@reference(
    "nn.functional.margin_ranking_loss",
    inputs=_ranking_inputs,
    kinks=(
        Kink(
            "target·(x - input2) = margin",
            "the gradient passes",
            at={"x": [1.0], "input2": [1.0], "target": [1.0]},
            gives={"value": 0.0, "grad[x]": [-1.0], "grad[input2]": [1.0], "grad[target]": [0.0]},
        ),
    ),
)
def margin_ranking_loss(x: Any, input2: Any, target: Any, *, margin: Any = 0.0, reduction: str = "mean") -> Any:
    """max(0, -target·(x - input2) + margin); shapes alike.

    Where it is exactly 0 the gradient passes. A composite: each result is stored.
    """
    difference = stored(x - input2)
    product, margin = stored(-target * difference), stored(margin)
    inside = stored(product + margin)
    # Multiplied by 1 or -1 a number stays exact: only so is a tie certain to be one.
    exact = np.where(target == 1, -difference, np.where(target == -1, difference, product))
    passes = stored(exact + margin) >= 0.0
    value, spread = reduced(np.maximum(inside, 0.0), reduction)

    def margin_ranking_vjp(g: Any) -> dict[str, Any]:
        each = np.where(passes, spread(g) * np.ones_like(inside), np.zeros_like(inside))
        for_x = each * -target
        return {"x": for_x, "input2": -for_x, "target": -(each * difference)}

    return value, margin_ranking_vjp
