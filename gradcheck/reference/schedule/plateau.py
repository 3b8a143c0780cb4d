"""ReduceLROnPlateau: a factor when a metric has stopped improving."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradcheck.reference.schedule.schedule import drawn, schedule

__all__ = ["plateau"]


def inputs(draw: Any) -> dict[str, Any]:
    arguments = drawn(
        draw,
        array="metrics",
        kinds=("ordinary", "integers", "ties", "wide", "special", "rare"),
        mode=("min", "max"),
        factor=(0.5, 0.1, 0.9),
        patience=(1, 0, 2, 10),
        threshold=(1e-4, 0.25, 0.0),
        threshold_mode=("rel", "abs"),
        cooldown=(0, 1, 3),
        min_lr=(0.0, 0.01),
        eps=(1e-8, 0.003),
    )
    groups = len(arguments["lr"])
    if groups > 1 and draw.boolean():
        arguments["min_lr"] = tuple(0.002 * i for i in range(groups))
    return arguments


def improves(metric: float, best: float, mode: str, threshold: float, threshold_mode: str) -> bool:
    """Whether the metric is better than the best so far by more than the threshold; NaN never is.

    Decided in float64 as it is documented: the best times 1 ∓ threshold, or the best ∓ threshold.
    """
    if mode == "min":
        return metric < (best * (1.0 - threshold) if threshold_mode == "rel" else best - threshold)
    return metric > (best * (1.0 + threshold) if threshold_mode == "rel" else best + threshold)


@schedule("optim.lr_scheduler.ReduceLROnPlateau", inputs=inputs, modes=("step", "tensor"), grouped=("min_lr",))
def plateau(
    t: Any, lr: Any, metrics: Any, *, mode: str = "min", factor: Any = 0.1, patience: int = 10, threshold: Any = 1e-4,
    threshold_mode: str = "rel", cooldown: int = 0, min_lr: Any = 0, eps: Any = 1e-8,
) -> dict[str, Any]:  # fmt: skip
    """lr ← max(lr·factor, min_lr) when more than ``patience`` metrics in a row did not improve on the best.

    For ``cooldown`` steps after a reduction bad metrics are not counted; a change of at most eps is left out. metrics:
    one for each step; the rate at t follows from the first t of them.
    """
    best, bad, rest = (math.inf if mode == "min" else -math.inf), 0, 0
    rates = [lr]
    for now in range(int(max(t))):
        metric = float(metrics[now])
        if improves(metric, best, mode, float(threshold), threshold_mode):
            best, bad = metric, 0
        else:
            bad += 1
        if rest > 0:
            rest, bad = rest - 1, 0
        lr = rates[-1]
        if bad > patience:
            smaller = np.maximum(lr * factor, min_lr)
            lr = np.where(lr - smaller > eps, smaller, lr)
            rest, bad = cooldown, 0
        rates.append(lr)
    return {"lr": np.stack([rates[now] for now in t.tolist()])}
