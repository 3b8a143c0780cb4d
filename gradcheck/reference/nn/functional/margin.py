"""Margin losses over classes and labels: multi_margin, multilabel_margin, (multilabel_)soft_margin."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import guarded, number, stored
from gradcheck.reference.domains import REDUCTIONS, hyperparameters
from gradcheck.reference.nn.functional.activation import logsigmoid, logsigmoid_twice
from gradcheck.reference.reduction import reduced
from gradcheck.reference.registry import Kink, reference

__all__ = ["multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss", "soft_margin_loss"]


def _samples(draw: Any, classes: int) -> tuple[int, ...]:
    """(), for one sample without a batch, or (N,)."""
    return draw.choice(((), (draw.side(1, 33),))) if draw.boolean() else (draw.side(1, 33),)


def _share(reduction: str, samples: int, classes: int, like: Any) -> Any:
    """What the kernels multiply each term of the gradient by: 1/C, for the mean 1/(N·C)."""
    return number(1.0, like) / (samples * classes if reduction == "mean" else classes)


def _reduced_rows(sums: Any, reduction: str) -> Any:
    """Sums of rows, one by one, all together, or their mean; 0-dimensional for one row without a batch."""
    if reduction == "none" or np.ndim(sums) == 0:
        return sums
    return np.sum(sums) / np.size(sums) if reduction == "mean" else np.sum(sums)


def _multi_margin_inputs(draw: Any) -> dict[str, Any]:
    classes = draw.side(1, 33)
    rest = _samples(draw, classes)
    chosen = hyperparameters(draw, p=(1, 2), margin=(1.0, 0.5, 0.3, 2.0), reduction=REDUCTIONS)
    near = (0.0, chosen["margin"], -chosen["margin"])
    return {
        "x": draw.array((*rest, classes), near=near),
        "target": draw.indices(rest, classes),
        "weight": draw.optional(draw.array((classes,), ("positive",))),
        **chosen,
    }


@reference(
    "nn.functional.multi_margin_loss",
    inputs=_multi_margin_inputs,
    constant=("target", "weight"),
    kinks=(
        Kink(
            "margin - x_target + x_j = 0",
            "the gradient is 0",
            at={"x": [1.0, 0.0], "target": 0},
            gives={"value": 0.0, "grad[x]": [0.0, 0.0]},
        ),
    ),
)
def multi_margin_loss(
    x: Any, target: Any, weight: Any = None, *, p: int = 1, margin: Any = 1.0, reduction: str = "mean"
) -> Any:
    """Σ_{j≠t} weight_t·max(0, margin - x_t + x_j)^p / C for the class t of each row; p is 1 or 2.

    x: (N, C) or (C,), target: the same without C, weight: (C,) (Crammer & Singer 2001). Where a term is exactly 0 its
    gradient is 0.
    """
    classes, samples = np.shape(x)[-1], max(1, np.size(x) // np.shape(x)[-1])
    here = np.expand_dims(np.asarray(target), -1)
    excess = margin - np.take_along_axis(x, here, -1) + x
    counts = (excess > 0.0) & (np.arange(classes) != here)
    weights = None if weight is None else np.take(weight, here)
    zeros = np.zeros_like(x)
    terms = np.where(counts, excess if p == 1 else excess * excess, zeros)
    sums = np.sum(terms if weights is None else terms * weights, axis=-1) / classes
    share = _share(reduction, samples, classes, x)

    def multi_margin_vjp(g: Any) -> dict[str, Any]:
        slope = np.where(counts, share if p == 1 else 2.0 * share * excess, zeros)
        slope = slope if weights is None else slope * weights
        for_target = np.where(np.arange(classes) == here, -np.sum(slope, axis=-1, keepdims=True), zeros)
        each = np.expand_dims(g, -1) if np.ndim(g) else g
        return {"x": (slope + for_target) * each}

    return _reduced_rows(sums, reduction), multi_margin_vjp


def _multilabel_margin_inputs(draw: Any) -> dict[str, Any]:
    classes = draw.choice((3, 1, 2, 5, 8))  # the terms grow with the square of it
    rest = _samples(draw, classes)
    return {
        "x": draw.array((*rest, classes), near=(0.0, 1.0, -1.0)),
        "target": draw.indices((*rest, classes), classes, draw.choice((-1, None))),
        **hyperparameters(draw, reduction=REDUCTIONS),
    }


@reference(
    "nn.functional.multilabel_margin_loss",
    inputs=_multilabel_margin_inputs,
    constant=("target",),
    kinks=(
        Kink(
            "1 - x_label + x_j = 0",
            "the gradient is 0",
            at={"x": [1.0, 0.0], "target": [0, -1]},
            gives={"value": 0.0, "grad[x]": [0.0, 0.0]},
        ),
        Kink(
            "no label",
            "the loss is 0",
            at={"x": [1.0, 0.0], "target": [-1, 0]},
            gives={"value": 0.0, "grad[x]": [0.0, 0.0]},
        ),
    ),
)
def multilabel_margin_loss(x: Any, target: Any, *, reduction: str = "mean") -> Any:
    """Σ_k Σ_j max(0, 1 - x_{t_k} + x_j) / C over the labels t_k of each row and the classes j that are no label.

    x, target: (N, C) or (C,); the labels of a row end at the first -1, and one that is named twice counts twice. Where
    a term is exactly 0 its gradient is 0.
    """
    target = np.asarray(target)
    classes, samples = np.shape(x)[-1], max(1, np.size(x) // np.shape(x)[-1])
    named = np.logical_and.accumulate(target >= 0, axis=-1)
    label = np.where(named, target, 0)
    one_hot = (label[..., None] == np.arange(classes)) & named[..., None]
    other = ~np.any(one_hot, axis=-2, keepdims=True)
    excess = 1.0 - np.expand_dims(np.take_along_axis(x, label, -1), -1) + np.expand_dims(x, -2)
    counts = (excess > 0.0) & named[..., None] & other
    zeros = np.zeros_like(excess)
    sums = np.sum(np.where(counts, excess, zeros), axis=(-2, -1))
    value = (
        _reduced_rows(sums, reduction) / classes
    )  # divided after all are added, which overflows before the loss does
    share = _share(reduction, samples, classes, x)

    def multilabel_margin_vjp(g: Any) -> dict[str, Any]:
        slope = np.where(counts, share, zeros)
        of_label = np.expand_dims(np.sum(slope, axis=-1), -1)
        for_labels = np.sum(np.where(one_hot, of_label, zeros), axis=-2)
        each = np.expand_dims(g, -1) if np.ndim(g) else g
        return {"x": (np.sum(slope, axis=-2) - for_labels) * each}

    return value, multilabel_margin_vjp


def _multilabel_soft_inputs(draw: Any) -> dict[str, Any]:
    shape = draw.shape(dims=(1, 3), least=1)
    return {
        "x": draw.array(shape),
        "target": draw.array(shape, ("ties", "unit", "ordinary")),
        "weight": draw.choice((None, draw.array(shape[-1:], ("positive",)), draw.array(shape, ("positive",)))),
        **hyperparameters(draw, reduction=REDUCTIONS),
    }


def _multilabel_soft_margin(x: Any, target: Any, weight: Any, reduction: str, log_sigmoid: Any) -> Any:
    """The loss by one of logsigmoid's formulas."""
    inverse = stored(1.0 - target)
    log_is, is_vjp = log_sigmoid(x)
    log_not, not_vjp = log_sigmoid(-x)
    log_is, log_not = stored(log_is), stored(log_not)
    terms = -stored(stored(target * log_is) + stored(inverse * log_not))
    weighted = terms if weight is None else stored(terms * weight)
    classes = np.shape(x)[-1]
    value, spread = reduced(stored(np.sum(weighted, axis=-1)) / classes, reduction)

    def multilabel_soft_margin_vjp(g: Any) -> dict[str, Any]:
        each = np.expand_dims(stored(spread(g) / classes), -1) * np.ones_like(x)
        through = -(each if weight is None else stored(each * weight))
        for_is, for_not = stored(through * target), stored(through * inverse)
        gradients = {
            "x": stored(is_vjp(for_is)["x"]) - stored(not_vjp(for_not)["x"]),
            "target": stored(through * log_is) - stored(through * log_not),
        }
        if weight is not None:
            lead = tuple(range(np.ndim(x) - np.ndim(weight)))
            gradients["weight"] = np.sum(stored(each * terms), axis=lead) if lead else each * terms
        return gradients

    return value, multilabel_soft_margin_vjp


def _multilabel_soft_margin_twice(x: Any, target: Any, weight: Any = None, *, reduction: str = "mean") -> Any:
    """As second derivatives have it: by those of logsigmoid."""
    return _multilabel_soft_margin(x, target, weight, reduction, logsigmoid_twice)


@reference(
    "nn.functional.multilabel_soft_margin_loss",
    inputs=_multilabel_soft_inputs,
    routes={"hvp": _multilabel_soft_margin_twice, "second tangent": _multilabel_soft_margin_twice},
)
def multilabel_soft_margin_loss(x: Any, target: Any, weight: Any = None, *, reduction: str = "mean") -> Any:
    """-Σ_c weight_c·(target·log sigmoid(x) + (1 - target)·log sigmoid(-x)) / C along the last axis; shapes alike.

    weight broadcasts to x. A composite written in Python: each result is stored.
    """
    return _multilabel_soft_margin(x, target, weight, reduction, logsigmoid)


def _soft_inputs(draw: Any) -> dict[str, Any]:
    shape = draw.shape()
    return {
        "x": draw.array(shape, near=(0.0, 14.0, -14.0, 20.0, -20.0)),
        "target": draw.array(shape, ("signs", "ties", "ordinary")),
        **hyperparameters(draw, reduction=REDUCTIONS),
    }


LARGE_EXPONENT = 11.0
"""exp of it is a number of every format; beyond it log(1 + exp(z)) is written z + log(1 + exp(-z)): no overflow."""


@reference("nn.functional.soft_margin_loss", inputs=_soft_inputs, constant=("target",))
def soft_margin_loss(x: Any, target: Any, *, reduction: str = "mean") -> Any:
    """log(1 + exp(-target·x)); shapes alike. A composite: each result is stored.

    Finite for any finite x: where PyTorch's exp overflows, that is its own doing.
    """
    z = stored(-x * target)
    large = z > LARGE_EXPONENT
    e = stored(np.exp(guarded(z, ~large)))
    small = stored(np.exp(-guarded(z, large)))
    value, _ = reduced(np.where(large, z + np.log1p(small), np.log1p(e)), reduction)
    norm = number(1.0, x) / np.size(x) if reduction == "mean" else number(1.0, x)

    def soft_margin_vjp(g: Any) -> dict[str, Any]:
        share = np.where(large, target * -norm / (1.0 + small), stored(stored(target * e) * -norm) / stored(e + 1.0))
        return {"x": stored(share) * g}

    return value, soft_margin_vjp
