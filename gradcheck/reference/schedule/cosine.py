"""Half cosines: CosineAnnealingLR, CosineAnnealingWarmRestarts (Loshchilov & Hutter 2017, equation 5)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic import number, pi
from gradcheck.reference.schedule.schedule import RARELY, drawn, schedule

__all__ = ["cosine_annealing", "warm_restarts"]

# T_max, T_0 and T_mult are PyTorch's names, hence N803 below.
FLOORS = (0.0, 0.001, 0.05)


def _raised_cosine(share: Any) -> Any:
    """1 + cos(π·share)."""
    return 1.0 + np.cos(pi(share) * share)


def cosine_annealing_route(lr: Any, t: int, base: Any, *, T_max: int, eta_min: Any = 0.0) -> Any:  # noqa: N803
    """(lr - η)·(1 + cos(πt/T))/(1 + cos(π(t-1)/T)) + η; where that divides by 0, at the trough, a rise is added."""
    if t == 0:
        return lr
    one = number(1.0, lr)
    if (t - 1 - T_max) % (2 * T_max) == 0:
        return lr + (base - eta_min) * (1.0 - np.cos(pi(lr) / T_max)) / 2.0
    quotient = _raised_cosine(one * t / T_max) / _raised_cosine(one * (t - 1) / T_max)
    return quotient * (lr - eta_min) + eta_min


@schedule(
    "optim.lr_scheduler.CosineAnnealingLR",
    route=cosine_annealing_route,
    inputs=lambda draw: drawn(draw, T_max=(4, 5, 1, 12, 30), eta_min=FLOORS),
)
def cosine_annealing(t: Any, lr: Any, *, T_max: int, eta_min: Any = 0.0) -> dict[str, Any]:  # noqa: N803
    """η + (lr - η)·(1 + cos(πt/T))/2, η = eta_min, T = T_max: up again after T, a period being 2T."""
    return {"lr": eta_min + (lr - eta_min) * _raised_cosine(number(1.0, lr) * t / T_max) / 2.0}


def warm_restarts_inputs(draw: Any) -> dict[str, Any]:
    """Rarely as far as the restart that ``step(epoch)`` misses: in float64 log_3(243) is less than 5."""
    arguments = drawn(draw, T_0=(3, 4, 1, 7), T_mult=(1, 2, 3), eta_min=FLOORS)
    return arguments | ({"T_0": 1, "T_mult": 3, "steps": 121} if draw.choice(RARELY) else {})


@schedule("optim.lr_scheduler.CosineAnnealingWarmRestarts", inputs=warm_restarts_inputs)
def warm_restarts(t: Any, lr: Any, *, T_0: int, T_mult: int = 1, eta_min: Any = 0.0) -> dict[str, Any]:  # noqa: N803
    """η + (lr - η)·(1 + cos(π·c/P))/2, c being the steps since the last restart and P the length of this run.

    Runs are T_0, T_0·T_mult, T_0·T_mult², … steps long. A run never reaches η: at c = P the next one starts.
    """
    pairs = [_place(now, T_0, T_mult) for now in t.tolist()]
    since, length = (np.array(column) for column in zip(*pairs, strict=True))
    return {"lr": eta_min + (lr - eta_min) * _raised_cosine(number(1.0, lr) * since / length) / 2.0}


def _place(t: int, first: int, factor: int) -> tuple[int, int]:
    """Steps since the last restart, and the length of that run."""
    length = first
    for _ in range(t):  # no run is shorter than a step
        if t < length:
            break
        t, length = t - length, length * factor
    return t, length
