"""Decay by a factor: StepLR, MultiStepLR, ExponentialLR; and to zero along a power: PolynomialLR."""

from __future__ import annotations

import bisect
from typing import Any

import numpy as np

from gradcheck.arithmetic import number
from gradcheck.reference.schedule.schedule import drawn, schedule

__all__ = ["exponential", "multi_step", "polynomial", "step"]

GAMMAS = (0.5, 0.1, 0.97, 1.0, 1.25)


def step_route(lr: Any, t: int, base: Any, *, step_size: int, gamma: Any = 0.1) -> Any:
    """Another factor gamma every ``step_size`` steps."""
    return lr * gamma if t > 0 and t % step_size == 0 else lr


@schedule(
    "optim.lr_scheduler.StepLR",
    route=step_route,
    inputs=lambda draw: drawn(draw, step_size=(2, 3, 1, 7), gamma=GAMMAS),
)
def step(t: Any, lr: Any, *, step_size: int, gamma: Any = 0.1) -> dict[str, Any]:
    """lr·γ^⌊t/step_size⌋."""
    return {"lr": lr * gamma ** (t // step_size)}


def multi_step_route(lr: Any, t: int, base: Any, *, milestones: tuple[int, ...], gamma: Any = 0.1) -> Any:
    """At a milestone, a factor gamma for each time that it is named."""
    return lr * gamma ** milestones.count(t) if t in milestones else lr


@schedule(
    "optim.lr_scheduler.MultiStepLR",
    route=multi_step_route,
    inputs=lambda draw: drawn(draw, milestones=((2, 5), (1,), (3, 4, 11), (0, 2), (2, 2, 7)), gamma=GAMMAS),
)
def multi_step(t: Any, lr: Any, *, milestones: tuple[int, ...], gamma: Any = 0.1) -> dict[str, Any]:
    """lr·γ^n, n being how many milestones are at most t; one that is named twice counts twice."""
    passed = [bisect.bisect_right(sorted(milestones), now) for now in t.tolist()]
    return {"lr": lr * gamma ** np.array(passed)}


def exponential_route(lr: Any, t: int, base: Any, *, gamma: Any) -> Any:
    """Another factor gamma at every step."""
    return lr * gamma if t > 0 else lr


@schedule(
    "optim.lr_scheduler.ExponentialLR",
    route=exponential_route,
    inputs=lambda draw: drawn(draw, gamma=GAMMAS),
)
def exponential(t: Any, lr: Any, *, gamma: Any) -> dict[str, Any]:
    """lr·γ^t."""
    return {"lr": lr * gamma**t}


def polynomial_route(lr: Any, t: int, base: Any, *, total_iters: int = 5, power: Any = 1.0) -> Any:
    """The quotient of the closed form at t and at t - 1, written (1 - t/T)/(1 - (t-1)/T); 0 at T, where 1 - T/T is."""
    if t == 0 or t > total_iters:
        return lr
    if t == total_iters:
        return lr * number(0.0, lr) ** power
    now, before = (1.0 - number(float(s), lr) / total_iters for s in (t, t - 1))
    return lr * (now / before) ** power


@schedule(
    "optim.lr_scheduler.PolynomialLR",
    route=polynomial_route,
    inputs=lambda draw: drawn(draw, total_iters=(4, 5, 1, 12, 30), power=(1.0, 2.0, 0.5, 0.9, 3.3)),
)
def polynomial(t: Any, lr: Any, *, total_iters: int = 5, power: Any = 1.0) -> dict[str, Any]:
    """lr·(1 - min(t, T)/T)^power, T = total_iters."""
    share = number(1.0, lr) * np.maximum(total_iters - t, 1) / total_iters
    return {"lr": lr * np.where(t < total_iters, share**power, number(0.0, lr) ** power)}
