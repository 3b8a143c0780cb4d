"""Losses of probabilities and logits, element by element: cross entropies of two classes, relative entropy."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, log_expit

from gradcheck.arithmetic.functions import guarded, node, number, stored
from gradcheck.reference.domains import REDUCTIONS, hyperparameters
from gradcheck.reference.reduction import reduced
from gradcheck.reference.registry import Kink, reference

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div"]


def _weights(draw: Any, shape: tuple[int, ...]) -> Any:
    """No weight, one of the whole shape, or one that broadcasts along the batch."""
    return draw.choice((None, draw.array(shape, ("positive",)), draw.array(shape[-1:], ("positive",))))


def _bce_inputs(draw: Any) -> dict[str, Any]:
    shape = draw.shape()
    x, target = draw.array(shape, ("unit", "inner")), draw.array(shape, ("unit", "inner"))
    return {"x": x, "target": target, "weight": _weights(draw, shape), **hyperparameters(draw, reduction=REDUCTIONS)}


@reference(
    "nn.functional.binary_cross_entropy",
    inputs=_bce_inputs,
    constant=("weight",),
    kinks=(
        Kink(
            "x = 0 or 1 and target the other",
            "the logarithms are cut at -100",
            {"x": [0.0, 1.0], "target": [1.0, 0.0], "reduction": "none"},
            {"value": [100.0, 100.0]},
        ),
    ),
)
def binary_cross_entropy(x: Any, target: Any, weight: Any = None, *, reduction: str = "mean") -> Any:
    """-(target·log x + (1 - target)·log(1 - x))·weight, both logarithms cut off at -100; x in [0, 1], shapes alike.

    PyTorch's conventions: the gradient of x divides by max(x·(1 - x), 1e-12) instead of following the cut; that of
    the target, -log(x/(1 - x)), is not cut, so it is ±inf at x = 0 and x = 1. The second derivative by x is
    (x² - 2·x·target + target)/(x²·(1 - x)²).
    """
    floor = number(-100.0, x)
    log_x, log_rest = np.log(x), np.log1p(-x)
    elements = (target - 1.0) * np.maximum(log_rest, floor) - target * np.maximum(log_x, floor)
    if weight is not None:
        elements = stored(elements) * weight
    value, _ = reduced(elements, reduction)

    def binary_cross_entropy_vjp(g: Any) -> dict[str, Any]:
        for_x = node(
            lambda x: g * (x - target) / np.maximum((1.0 - x) * x, number(1e-12, x)),
            lambda y, x, dx: (x * x - 2.0 * x * target + target) / (x**2 * (1.0 - x) ** 2) * (dx * g),
            x,
        )
        for_target = stored(-stored(np.log(x / (1.0 - x))) * g)
        if weight is not None:
            for_x, for_target = stored(for_x) * weight, stored(for_target * weight)
        if reduction == "mean":
            for_x, for_target = stored(for_x) / np.size(x), for_target / np.size(x)
        return {"x": for_x, "target": for_target}

    return value, binary_cross_entropy_vjp


def _bce_logits_inputs(draw: Any) -> dict[str, Any]:
    shape = draw.shape()
    return {
        "x": draw.array(shape),
        "target": draw.array(shape, ("unit", "ties", "ordinary")),
        "weight": _weights(draw, shape),
        "pos_weight": _weights(draw, shape),
        **hyperparameters(draw, reduction=REDUCTIONS),
    }


def _with_logits_transformed(
    x: Any, target: Any, weight: Any = None, pos_weight: Any = None, *, reduction: str = "mean"
) -> Any:
    """As ``torch.func`` has it, which takes it apart: log sigmoid is -(m + log(exp(-m) + exp(-x - m))), m = max(-x, 0).

    The gradient is that of every step, with what each of them rounds and what cancels between them.
    """
    m = np.maximum(-x, 0.0)
    first, second = stored(np.exp(-m)), stored(np.exp(stored(-x - m)))
    total = stored(first + second)
    logs = stored(np.log(total))
    kept = stored(1.0 - target)
    linear = stored(kept * x)
    factor = None if pos_weight is None else stored(stored(stored(pos_weight - 1.0) * target) + 1.0)
    elements = (
        stored(stored(linear + m) + logs) if factor is None else stored(linear + stored(factor * stored(logs + m)))
    )
    if weight is not None:
        elements = stored(elements * weight)
    value, spread = reduced(elements, reduction)

    def transformed_vjp(g: Any) -> dict[str, Any]:
        each = spread(g) if weight is None else stored(spread(g) * weight)
        each = each * np.ones_like(x)
        for_logs = each if factor is None else stored(each * factor)
        for_total = stored(for_logs / total)
        through_first, through_second = stored(for_total * first), stored(for_total * second)
        for_m = stored(stored(for_logs - through_first) - through_second)
        for_x = stored(stored(stored(each * kept) - through_second) - np.where(x <= 0.0, for_m, 0.0))
        for_target = stored(-each * x)
        if factor is not None:
            for_target = for_target + stored(stored(each * stored(logs + m)) * stored(pos_weight - 1.0))
        return {"x": for_x, "target": for_target}

    return value, transformed_vjp


TRANSFORMS = (
    "func.vjp", "func.grad", "func.jvp", "func.jacrev", "func.jacfwd", "vmap:backward", "vmap:forward", "func.double",
    "func.forward-over-reverse", "reverse-over-forward", "forward-over-forward",
)  # fmt: skip
"""The modes that go through ``torch.func``."""


def _logits_elements(x: Any, target: Any, weight: Any, pos_weight: Any) -> Any:
    """The losses, not reduced."""
    log_s = stored(log_expit(x))
    linear = stored(stored(1.0 - target) * x)
    factor = None if pos_weight is None else stored(stored(stored(pos_weight - 1.0) * target) + 1.0)
    elements = linear - (log_s if factor is None else stored(factor * log_s))
    return elements if weight is None else stored(elements) * weight


def _logits_gradients(x: Any, target: Any, weight: Any, pos_weight: Any, g: Any) -> tuple[Any, Any]:
    """Of x and of the target, not reduced."""
    s = stored(expit(x))
    if pos_weight is None:
        for_x = stored(stored(s - target) * g)
        for_target = stored(-x * g)
    else:
        t = stored(pos_weight * target)
        for_x = stored(stored(stored(stored(stored(t + 1.0) - target) * s) - t) * g)
        for_target = stored(stored(stored(log_expit(-x)) - stored(stored(log_expit(x)) * pos_weight)) * g)
    if weight is not None:
        for_x, for_target = stored(for_x * weight), stored(for_target * weight)
    return for_x, for_target


def _with_logits_forward(
    x: Any, target: Any, weight: Any = None, pos_weight: Any = None, *, reduction: str = "mean"
) -> Any:
    """Forward mode takes the formulas of the gradients, and reduces what they give."""

    def along_target(x: Any) -> Any:
        return node(
            lambda target: _logits_elements(x, target, weight, pos_weight),
            lambda y, target, step: _logits_gradients(x, target, weight, pos_weight, step)[1],
            target,
        )

    elements = node(along_target, lambda y, x, dx: _logits_gradients(x, target, weight, pos_weight, dx)[0], x)
    value, _ = reduced(elements, reduction)
    _, vjp = binary_cross_entropy_with_logits(x, target, weight, pos_weight, reduction=reduction)
    return value, vjp


@reference(
    "nn.functional.binary_cross_entropy_with_logits",
    inputs=_bce_logits_inputs,
    constant=("weight", "pos_weight"),
    routes={**dict.fromkeys(TRANSFORMS, _with_logits_transformed), "forward": _with_logits_forward},
)
def binary_cross_entropy_with_logits(
    x: Any, target: Any, weight: Any = None, pos_weight: Any = None, *, reduction: str = "mean"
) -> Any:
    """(1 - target)·x - (1 + (pos_weight - 1)·target)·log sigmoid(x), times weight; target has x's shape.

    weight and pos_weight broadcast to it. A composite of PyTorch: each result is stored.
    """
    value, _ = reduced(_logits_elements(x, target, weight, pos_weight), reduction)

    def with_logits_vjp(g: Any) -> dict[str, Any]:
        for_x, for_target = _logits_gradients(x, target, weight, pos_weight, g)
        if reduction == "mean":
            for_x, for_target = for_x / np.size(x), for_target / np.size(x)
        return {"x": for_x, "target": for_target}

    return value, with_logits_vjp


def _kl_div_inputs(draw: Any) -> dict[str, Any]:
    shape = draw.shape()
    chosen = hyperparameters(draw, reduction=("mean", "batchmean", "sum", "none"), log_target=(False, True))
    target = draw.tame(shape) if chosen["log_target"] else draw.array(shape, ("unit", "positive"))
    return {"x": draw.array(shape), "target": target, **chosen}


@reference(
    "nn.functional.kl_div",
    inputs=_kl_div_inputs,
    kinks=(
        Kink(
            "target = 0",
            "it counts as 0; its own gradient is NaN without log_target",
            {"x": [-1.0], "target": [0.0], "reduction": "sum"},
            {"value": 0.0, "grad[x]": [0.0], "grad[target]": [float("nan")]},
        ),
    ),
)
def kl_div(x: Any, target: Any, *, reduction: str = "mean", log_target: bool = False) -> Any:
    """target·(log target - x), or exp(target)·(target - x) with ``log_target``; x holds log-probabilities.

    ``batchmean`` is the sum over the length of the first axis (Kullback & Leibler 1951). 0·log 0 counts as 0 in the
    value; the gradient of the target there is NaN, as autograd's xlogy has it. A composite: each result is stored.
    """
    if log_target:
        e, gap = stored(np.exp(target)), stored(target - x)
        elements = e * gap
    else:
        positive = target > 0
        entropy = np.where(positive, target * np.log(guarded(target, positive, 1.0)), target * 0.0)
        elements = stored(entropy) - stored(target * x)
    value, spread = reduced(elements, "sum" if reduction == "batchmean" else reduction)
    if reduction == "batchmean" and np.ndim(x):
        value = stored(value) / np.shape(x)[0]

    def kl_div_vjp(g: Any) -> dict[str, Any]:
        each = stored(g / np.shape(x)[0]) if reduction == "batchmean" and np.ndim(x) else spread(g)
        if log_target:
            through_gap = stored(each * e)
            return {"x": -through_gap, "target": stored(stored(each * gap) * e) + through_gap}
        through_log = stored(each * stored(np.log(target))) + stored(stored(each * target) / target)
        for_target = np.where(target == 0, target / target, stored(through_log) + stored(-each * x))
        return {"x": -each * target, "target": for_target}

    return value, kl_div_vjp
