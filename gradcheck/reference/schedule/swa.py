"""SWALR: annealing to the constant rate of stochastic weight averaging (Izmailov et al. 2018)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic import number, pi
from gradcheck.reference.schedule.schedule import drawn, schedule

__all__ = ["swa"]


def inputs(draw: Any) -> dict[str, Any]:
    arguments = drawn(draw, swa_lr=(0.05, 0.5), anneal_epochs=(4, 10, 1, 0, 30), anneal_strategy=("cos", "linear"))
    groups = len(arguments["lr"])
    if groups > 1 and draw.boolean():
        arguments["swa_lr"] = tuple(0.01 * (i + 1) for i in range(groups))
    return arguments


def _share(t: Any, like: Any, epochs: int, strategy: str) -> Any:
    """How much of swa_lr there is after t steps: 1 from ``epochs`` on."""
    done = number(1.0, like) * np.minimum(t, epochs) / epochs if epochs else number(1.0, like) * np.minimum(t, 0) + 1.0
    return done if strategy == "linear" else (1.0 - np.cos(pi(like) * done)) / 2.0


def route(lr: Any, t: int, base: Any, *, swa_lr: Any, anneal_epochs: int = 10, anneal_strategy: str = "cos") -> Any:
    """The starting rate recovered from the rate before, (lr - α'·swa)/(1 - α'), and mixed anew; swa_lr at the end."""
    if t >= anneal_epochs:
        return swa_lr
    if t == 0:
        return lr
    before, now = (_share(np.asarray(s), lr, anneal_epochs, anneal_strategy) for s in (t - 1, t))
    start = (lr - before * swa_lr) / (1.0 - before)
    return swa_lr * now + start * (1.0 - now)


@schedule("optim.swa_utils.SWALR", inputs=inputs, route=route, grouped=("swa_lr",))
def swa(t: Any, lr: Any, *, swa_lr: Any, anneal_epochs: int = 10, anneal_strategy: str = "cos") -> dict[str, Any]:
    """lr·(1 - α) + swa_lr·α, α from 0 to 1 in ``anneal_epochs`` steps along a line or half a cosine; at once for 0."""
    share = _share(t, lr, anneal_epochs, anneal_strategy)
    return {"lr": swa_lr * share + lr * (1.0 - share)}
