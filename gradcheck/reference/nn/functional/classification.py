"""Losses over classes: negative log-likelihood and cross entropy, by class index or by class probabilities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import number, stored, written_over
from gradcheck.reference.domains import REDUCTIONS, hyperparameters
from gradcheck.reference.nn.functional.softmax import log_softmax
from gradcheck.reference.registry import Kink, reference

__all__ = ["cross_entropy", "nll_loss"]


def _class_shapes(draw: Any) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Shapes of scores and of class indices, and the number of classes: (C,), (N, C) or (N, C, d…)."""
    classes = draw.side(1, 33)
    rest = draw.shape(dims=(0, 3), most=max(1, 600 // classes))
    return ((classes,) if not rest else (rest[0], classes, *rest[1:])), rest, classes


def _by_index(draw: Any) -> dict[str, Any]:
    scores, rest, classes = _class_shapes(draw)
    ignore = draw.choice((-100, 0, classes - 1, -1))
    strewn = draw.choice((None, ignore))
    target = draw.indices(rest, classes, strewn)
    weight = draw.optional(draw.array((classes,), ("positive",)))
    return {
        "x": draw.array(scores),
        "target": target,
        "weight": weight,
        "ignore_index": ignore,
        **hyperparameters(draw, reduction=REDUCTIONS),
    }


@reference(
    "nn.functional.nll_loss",
    inputs=_by_index,
    constant=("target", "weight"),
    kinks=(
        Kink(
            "all targets are ignored",
            "the mean is NaN, the gradient 0",
            {"x": [[-1.0, -2.0]], "target": [1], "ignore_index": 1},
            {"value": float("nan"), "grad[x]": [[0.0, 0.0]]},
        ),
        Kink(
            "all targets are ignored",
            "the sum is 0, the gradient 0",
            {"x": [[-1.0, -2.0]], "target": [1], "ignore_index": 1, "reduction": "sum"},
            {"value": 0.0, "grad[x]": [[0.0, 0.0]]},
        ),
    ),
)
def nll_loss(x: Any, target: Any, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """-weight[t]·x[…, t, …] for the class t of each element; x: (C,), (N, C) or (N, C, d…), target without the C.

    Elements of class ``ignore_index`` count as 0 and get no gradient; ``mean`` divides by the sum of the weights of the
    others, so with all of them ignored it is NaN.
    """
    axis = 0 if np.ndim(x) == 1 else 1
    valid = target != ignore_index
    index = np.where(valid, target, 0)
    here = np.expand_dims(index, axis)
    picked = np.squeeze(np.take_along_axis(x, here, axis), axis)
    weights = np.where(valid, 1.0 if weight is None else np.take(weight, index), np.zeros_like(picked))
    elements = np.where(valid, -(weights * picked) if weight is not None else -picked, np.zeros_like(picked))
    norm = _norm(weights, valid, weight is None)
    total = elements if reduction == "none" else np.sum(elements)
    value = total / norm if reduction == "mean" else total
    one_hot = (_along(np.arange(np.shape(x)[axis]), np.ndim(x), axis) == here) & np.expand_dims(valid, axis)

    def nll_loss_vjp(g: Any) -> dict[str, Any]:
        each = -weights * (g / norm if reduction == "mean" else g)
        return {"x": np.where(one_hot, np.expand_dims(each, axis), np.zeros_like(x))}

    return value, nll_loss_vjp


def _norm(weights: Any, valid: Any, counted: bool) -> Any:
    """Σ of the weights of valid elements; where there are no weights it is a count, and exact."""
    return float(np.sum(valid)) if counted else stored(np.sum(weights))


def _along(vector: Any, dims: int, axis: int) -> Any:
    """A vector shaped to broadcast along one axis."""
    return vector.reshape(tuple(-1 if i == axis else 1 for i in range(dims)))


def _cross_entropy_inputs(draw: Any) -> dict[str, Any]:
    smoothing = draw.choice((0.0, 0.1, 0.5, 0.0))
    if draw.boolean():
        chosen = _by_index(draw)
        # Smoothing reads the weight of an ignored element's class: PyTorch takes class 0 then, as the formula does.
        return {**chosen, "label_smoothing": smoothing}
    scores, _, classes = _class_shapes(draw)
    return {
        "x": draw.array(scores),
        "target": draw.probabilities(scores, 0 if len(scores) == 1 else 1),
        "weight": draw.optional(draw.array((classes,), ("positive",))),
        **hyperparameters(draw, reduction=REDUCTIONS),
        "label_smoothing": smoothing,
    }


@reference(
    "nn.functional.cross_entropy",
    inputs=_cross_entropy_inputs,
    constant=("weight",),
    kinks=(
        Kink(
            "all targets are ignored",
            "the sum is 0, the gradient 0",
            {"x": [[1.0, 1.0]], "target": [1], "ignore_index": 1, "reduction": "sum"},
            {"value": 0.0, "grad[x]": [[0.0, 0.0]]},
        ),
        Kink(
            "all targets are ignored",
            "the mean is NaN",
            {"x": [[1.0, 1.0]], "target": [1], "ignore_index": 1},
            {"value": float("nan")},
        ),
    ),
)
def cross_entropy(
    x: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: Any = 0.0,
) -> Any:
    """-Σ_c q_c·weight_c·log softmax(x)_c; x: (C,), (N, C) or (N, C, d…).

    target: class indices, without the C, or probabilities of x's shape.
    By index, q is 1 at the target; smoothing ε makes it (1 - ε)·q + ε/C (Szegedy et al. 2015). ``mean`` divides by the
    summed weights of the targets that are not ignored (index), by the number of elements (probabilities).
    """
    axis = 0 if np.ndim(x) == 1 else 1
    logs, log_softmax_vjp = log_softmax(x, dim=axis)
    logs = stored(logs)
    weights = 1.0 if weight is None else _along(weight, np.ndim(x), axis)
    if np.ndim(target) < np.ndim(x):
        loss, vjp = nll_loss(logs, target, weight, ignore_index=ignore_index, reduction=reduction)
        if float(label_smoothing) != 0.0:
            uniform, uniform_vjp = _uniform_loss(logs, target, weight, ignore_index, reduction, axis)
            loss, vjp = _mixed(loss, vjp, uniform, uniform_vjp, label_smoothing, label_smoothing / np.shape(x)[axis])
    else:
        loss, vjp = _probability_loss(logs, target, weights, reduction, label_smoothing, axis)

    def cross_entropy_vjp(g: Any) -> dict[str, Any]:
        gradients = vjp(g)
        return {**gradients, "x": log_softmax_vjp(stored(gradients["x"]))["x"]}

    return loss, cross_entropy_vjp


def _uniform_loss(logs: Any, target: Any, weight: Any, ignore_index: int, reduction: str, axis: int) -> Any:
    """-Σ_c weight_c·logs_c of the elements that are not ignored, reduced as nll_loss is."""
    valid = target != ignore_index
    weighted = logs if weight is None else stored(logs * _along(weight, np.ndim(logs), axis))
    sums = stored(np.sum(weighted, axis=axis))
    elements = np.where(valid, -sums, np.zeros_like(sums))
    norm = (
        stored(np.sum(_valid_weights(elements, target, valid, weight))) if weight is not None else float(np.sum(valid))
    )
    total = elements if reduction == "none" else stored(np.sum(elements))
    value = total / norm if reduction == "mean" else total

    def uniform_vjp(g: Any) -> dict[str, Any]:
        each = stored(g / norm) if reduction == "mean" else g
        spread = np.expand_dims(np.where(valid, -each, np.zeros_like(elements)), axis)
        slope = np.ones_like(logs) if weight is None else _along(weight, np.ndim(logs), axis)
        return {"x": spread * slope}

    return value, uniform_vjp


def _valid_weights(like: Any, target: Any, valid: Any, weight: Any) -> Any:
    return np.where(valid, np.take(weight, np.where(valid, target, 0)), np.zeros_like(like))


def _mixed(sharp: Any, sharp_vjp: Any, uniform: Any, uniform_vjp: Any, smoothing: Any, share: Any) -> Any:
    """(1 - ε)·sharp + (ε/C)·uniform."""
    keep = 1.0 - smoothing
    value = stored(stored(sharp) * keep) + stored(stored(uniform) * share)

    def mixed_vjp(g: Any) -> dict[str, Any]:
        through_sharp, through_uniform = sharp_vjp(stored(g * keep))["x"], uniform_vjp(stored(g * share))["x"]
        return {"x": stored(through_sharp) + stored(through_uniform)}

    return value, mixed_vjp


def _probability_loss(logs: Any, target: Any, weights: Any, reduction: str, smoothing: Any, axis: int) -> Any:
    classes = np.shape(logs)[axis]
    keep = 1.0 - smoothing
    smooth = float(smoothing) != 0.0
    q = stored(stored(target * keep) + smoothing / classes) if smooth else target
    terms = stored(stored(logs * q) * weights)
    count = np.size(logs) // classes
    total = -np.sum(terms, axis=axis) if reduction == "none" else -np.sum(terms)
    if reduction != "mean":
        value = total
    else:  # of nothing it is a NaN that PyTorch writes over the sum, whose tangent stays
        value = stored(total) / count if count else written_over(total, number(math.nan, total))

    def probability_vjp(g: Any) -> dict[str, Any]:
        each = np.expand_dims(g, axis) if reduction == "none" else stored(g / count) if reduction == "mean" else g
        weighted = stored(-each * weights * np.ones_like(logs))
        for_target = stored(weighted * logs)
        return {"x": stored(weighted * q), "target": for_target * keep if smooth else for_target}

    return value, probability_vjp
