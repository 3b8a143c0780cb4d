"""Micro-batches: the gradient of a whole batch from those of its parts, and by how much the naive sum is off.

A loss reduced by ``mean`` divides by what it counts: elements, rows, or the weights of the targets that are not
ignored. The gradient of the whole is Σ (count of the part / count of the whole)·gradient of the part. Averaging the
parts evenly, weight 1/k, is right only where all parts count the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, stored
from gradcheck.reference.evaluate import float64_outputs
from gradcheck.reference.registry import reference_named

__all__ = ["accumulated", "count_of", "naive_factors", "part_weights"]

BY_TARGET = ("nn.functional.nll_loss", "nn.functional.cross_entropy", "nn.functional.linear_cross_entropy")


def count_of(operation: str, arguments: dict[str, Any]) -> float:
    """What ``mean`` divides by, or an even multiple of it for all parts of a batch.

    The weights of the targets that are not ignored; Σ weight; rows for ``batchmean`` and ctc_loss; for all other losses
    the number of losses that ``none`` gives.
    """
    target: Any = arguments.get("target")
    weight: Any = arguments.get("weight")
    if operation in BY_TARGET and target.dtype.kind == "i":
        valid = target != arguments.get("ignore_index", -100)
        return float(valid.sum() if weight is None else weight[np.where(valid, target, 0)][valid].sum())
    if arguments.get("reduction") == "batchmean":
        return float(len(arguments["x"]))
    if weight is not None and operation in ("nn.functional.mse_loss", "nn.functional.l1_loss"):
        return float(weight.sum())
    each = float64_outputs(
        reference_named(operation), {**arguments, "reduction": "none"}, lambda _, shape: np.ones(shape)
    )
    return float(each["value"].size)


def part_weights(counts: Sequence[float], reduction: str) -> list[float]:
    """The factor of each part's loss: its share of what the mean divides by; 1 for a sum, and for no reduction."""
    total = sum(counts)
    return [1.0 if reduction in ("sum", "none") else count / total if total else float("nan") for count in counts]


def naive_factors(counts: Sequence[float]) -> list[float]:
    """By what factor each part's gradient is off where every part is weighted 1/k: 1 where all count the same."""
    total = sum(counts)
    return [total / (len(counts) * count) if count else float("nan") for count in counts]


def accumulated(gradients: Sequence[Bounded], weights: Sequence[float]) -> Bounded:
    """Σ weight·gradient, added one by one as ``.grad`` does, each partial sum stored.

    Each weight multiplies the loss of its part, so that it reaches every element of the gradient with two roundings:
    its own, and that of the product.
    """
    total: Bounded | None = None
    for gradient, weight in zip(gradients, weights, strict=True):
        part = stored(stored(gradient * weight))
        total = part if total is None else stored(total + part)
    assert total is not None
    return total
