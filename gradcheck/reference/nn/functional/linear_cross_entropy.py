"""Cross entropy of an affine map: the last layer of a classifier and its loss in one."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import fixed, stored
from gradcheck.reference.domains import REDUCTIONS
from gradcheck.reference.nn.functional.classification import cross_entropy
from gradcheck.reference.nn.functional.linear import linear
from gradcheck.reference.registry import reference

__all__ = ["linear_cross_entropy"]


_OPTIONS = (
    (),
    (("batch_chunk_size", 2), ("acc_policy", "compact")),
    (("batch_chunk_size", 1), ("acc_policy", "accurate")),
    (("chunking_method", "aspect_ratio"), ("acc_policy", "balanced")),
)
"""Fields of ``torch.nn.LinearCrossEntropyOptions``, by name."""


def _inputs(draw: Any) -> dict[str, Any]:
    features, classes = draw.side(1, 17), draw.side(1, 9)
    lead, outer = draw.choice((((2,), ()), ((3,), ()), ((), ()), ((2,), (3,)), ((3,), (2, 2))))
    ignored = draw.choice((None, 0, -100, -1, classes - 1))
    by_class = draw.choice((True, True, False))
    target = (
        draw.indices((*lead, *outer), classes, draw.choice((None, -100 if ignored is None else ignored)))
        if by_class
        else draw.probabilities((*lead, classes, *outer), len(lead))
    )
    return {
        "x": draw.array((*lead, features)),
        "linear_weight": draw.tame((classes, *outer, features)),
        "target": target,
        "linear_bias": draw.optional(draw.tame((classes, *outer))),
        "weight": draw.optional(draw.array((classes,), ("positive",))),
        "reduction": draw.choice(REDUCTIONS),
        "ignore_index": ignored if by_class else None,
        "label_smoothing": draw.choice((0.0, 0.1, 0.5, 0.0)),
        "options": draw.choice((None, None, *_OPTIONS)),
    }


@reference("nn.functional.linear_cross_entropy", inputs=_inputs, constant=("weight",))
def linear_cross_entropy(
    x: Any,
    linear_weight: Any,
    target: Any,
    linear_bias: Any = None,
    weight: Any = None,
    *,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: Any = 0.0,
    options: Any = None,
) -> Any:
    """cross_entropy(x·linear_weightᵀ + linear_bias, target), one loss for each of the outer positions.

    x: (N, F) or (F,), linear_weight: (C, F) or (C, d…, F), linear_bias: (C,) or (C, d…), target: classes (N,), () or
    (N, d…), or probabilities with a dimension C after N, weight: (C,). Without ``ignore_index`` it is -100. Any
    ``options`` (pairs of a field's name and its value) ask for a kernel that works through the batch in chunks; it is
    taken for classes without smoothing and outer positions, and its route is stated by itself.
    """
    ignored = -100 if ignore_index is None else ignore_index
    if options is not None and float(label_smoothing) == 0.0 and np.ndim(linear_weight) == 2 and _by_class(x, target):
        return _chunked(x, linear_weight, target, linear_bias, weight, reduction, ignored)
    classes, *outer, features = np.shape(linear_weight)
    flat, linear_vjp = linear(
        x,
        linear_weight.reshape(classes * prod(outer), features),
        None if linear_bias is None else linear_bias.reshape(classes * prod(outer)),
    )
    logits = stored(flat).reshape(*np.shape(x)[:-1], classes, *outer)
    value, cross_entropy_vjp = cross_entropy(
        logits,
        target,
        weight,
        ignore_index=ignored,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )

    def linear_cross_entropy_vjp(g: Any) -> dict[str, Any]:
        through_loss = cross_entropy_vjp(g)
        through_map = linear_vjp(stored(through_loss["x"]).reshape(np.shape(flat)))
        gradients = {"x": through_map["x"], "linear_weight": through_map["weight"].reshape(np.shape(linear_weight))}
        if linear_bias is not None:
            gradients["linear_bias"] = through_map["bias"].reshape(np.shape(linear_bias))
        return {**gradients, **({"target": through_loss["target"]} if "target" in through_loss else {})}

    return value, linear_cross_entropy_vjp


def _by_class(x: Any, target: Any) -> bool:
    return np.ndim(target) < np.ndim(x)


def _chunked(
    x: Any, linear_weight: Any, target: Any, linear_bias: Any, weight: Any, reduction: str, ignore_index: int
) -> Any:
    """The route of the chunked kernel: logits less their maximum, the log of Σ exp, and the gradients of both.

    For a reduced loss the kernel has the gradients in store before it knows the cotangent, which it multiplies by last.
    """
    classes, features = np.shape(linear_weight)
    rows, classes_of = x.reshape(-1, features), np.reshape(target, -1)
    logits = stored(linear(rows, linear_weight, linear_bias)[0])
    shifted = stored(logits - fixed(np.max(logits, axis=1, keepdims=True)))
    powers = stored(np.exp(shifted))
    total = np.sum(powers, axis=1)
    valid = classes_of != ignore_index
    classes_of = np.where(valid, classes_of, 0)
    each = np.where(valid, 1.0 if weight is None else np.take(weight, classes_of), 0.0)
    if reduction == "mean":
        each = stored(each / np.sum(each))
    picked = np.squeeze(np.take_along_axis(shifted, classes_of[:, None], axis=1), 1)
    if reduction == "none":
        value = ((np.log(total) - picked) * each).reshape(np.shape(target))
    else:
        value = stored(np.sum(each * np.log(total))) - stored(np.sum(each * picked))

    def chunked_vjp(g: Any) -> dict[str, Any]:
        factor = stored(each * g.reshape(-1)) if reduction == "none" else each
        scaled = stored(powers * stored(factor / total)[:, None])
        looked_up = stored(np.take(linear_weight, classes_of, axis=0) * factor[:, None])
        # Chunk by chunk, what the classes' powers give and what the targets take away are added to one sum.
        takes = np.where(classes_of[:, None] == np.arange(classes), -1.0, 0.0)
        pairs = np.concatenate([scaled, takes]), np.concatenate([rows, stored(rows * factor[:, None])])
        gradients = {
            "x": (scaled @ linear_weight - looked_up).reshape(np.shape(x)),
            "linear_weight": pairs[0].T @ pairs[1],
        }
        if linear_bias is not None:
            gradients["linear_bias"] = np.sum(np.concatenate([scaled, takes * factor[:, None]]), axis=0)
        if reduction == "none":
            return gradients
        return {name: stored(gradient) * g for name, gradient in gradients.items()}

    return value, chunked_vjp
