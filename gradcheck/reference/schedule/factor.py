"""Factors that the user gives: LambdaLR, MultiplicativeLR."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.reference.schedule.functions import FUNCTIONS, values_of
from gradcheck.reference.schedule.schedule import drawn, schedule

__all__ = ["lambda_", "multiplicative"]


def inputs(draw: Any) -> dict[str, Any]:
    arguments = drawn(draw, lr_lambda=tuple(FUNCTIONS))
    groups = len(arguments["lr"])
    if groups > 1 and draw.boolean():
        arguments["lr_lambda"] = tuple(draw.choice(tuple(FUNCTIONS)) for _ in range(groups))
    return arguments


@schedule("optim.lr_scheduler.LambdaLR", inputs=inputs, grouped=("lr_lambda",), functions=("lr_lambda",))
def lambda_(t: Any, lr: Any, *, lr_lambda: str) -> dict[str, Any]:
    """lr·λ(t)."""
    return {"lr": lr * values_of(lr_lambda, t, lr)}


def multiplicative_route(lr: Any, t: int, base: Any, *, lr_lambda: str) -> Any:
    """Another factor λ(t) at every step."""
    return lr * values_of(lr_lambda, t, lr) if t > 0 else lr


@schedule(
    "optim.lr_scheduler.MultiplicativeLR",
    inputs=inputs,
    route=multiplicative_route,
    grouped=("lr_lambda",),
    functions=("lr_lambda",),
)
def multiplicative(t: Any, lr: Any, *, lr_lambda: str) -> dict[str, Any]:
    """lr·λ(1)·λ(2)·…·λ(t), from left to right."""
    rates = [lr]
    for now in range(1, int(max(t)) + 1):
        rates.append(rates[-1] * values_of(lr_lambda, now, lr))
    return {"lr": np.stack([rates[now] for now in t.tolist()])}
