"""A smaller rate at the start: ConstantLR, LinearLR."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic import number
from gradcheck.reference.schedule.schedule import RARELY, drawn, schedule

__all__ = ["constant", "linear"]

ITERATIONS = (3, 5, 1, 12, 30)


def constant_inputs(draw: Any) -> dict[str, Any]:
    arguments = drawn(draw, factor=(0.5, 1.0 / 3, 0.1, 1.0), total_iters=ITERATIONS)
    return arguments | (draw.choice(({"factor": 0.0}, {"total_iters": 0})) if draw.choice(RARELY) else {})


def constant_route(lr: Any, t: int, base: Any, *, factor: Any = 1.0 / 3, total_iters: int = 5) -> Any:
    """Times the factor at the start, and times its reciprocal when it is over; a factor of 0 has none."""
    if t == 0:
        return lr * factor if total_iters else lr
    if t != total_iters:
        return lr
    return lr * (1.0 / factor) if float(factor) else base


@schedule("optim.lr_scheduler.ConstantLR", route=constant_route, inputs=constant_inputs)
def constant(t: Any, lr: Any, *, factor: Any = 1.0 / 3, total_iters: int = 5) -> dict[str, Any]:
    """lr·factor while t < total_iters, lr from then on."""
    return {"lr": np.where(t < total_iters, lr * factor, lr)}


def linear_route(
    lr: Any, t: int, base: Any, *, start_factor: Any = 1.0 / 3, end_factor: Any = 1.0, total_iters: int = 5
) -> Any:
    """The quotient of the closed form at t and at t - 1, written 1 + Δ/(T·start + (t-1)·Δ), Δ = end - start."""
    if t == 0:
        return lr * start_factor
    if t > total_iters:
        return lr
    rise = end_factor - start_factor
    return lr * (1.0 + rise / (total_iters * start_factor + (t - 1) * rise))


@schedule(
    "optim.lr_scheduler.LinearLR",
    route=linear_route,
    inputs=lambda draw: drawn(
        draw, start_factor=(0.5, 1.0 / 3, 0.001, 1.0), end_factor=(1.0, 0.25, 0.0, 0.7), total_iters=ITERATIONS
    ),
)
def linear(
    t: Any, lr: Any, *, start_factor: Any = 1.0 / 3, end_factor: Any = 1.0, total_iters: int = 5
) -> dict[str, Any]:
    """lr·(start + (end - start)·min(t, T)/T), T = total_iters."""
    done = number(1.0, lr) * np.minimum(t, total_iters)
    return {"lr": lr * (start_factor + (end_factor - start_factor) * done / total_iters)}
