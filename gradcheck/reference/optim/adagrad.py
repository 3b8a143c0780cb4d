"""Adagrad."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic import stored
from gradcheck.reference.optim.histories import RATES, histories
from gradcheck.reference.optim.rule import COMPILED, addcdiv, addcmul, nonzero, step_rule

__all__ = ["AdagradState", "adagrad"]


class AdagradState(NamedTuple):
    """The sum of the squared gradients."""

    sum: Any


def start(param: np.ndarray, *, initial_accumulator_value: float = 0.0, **options: Any) -> AdagradState:
    """The initial value throughout, in both parts of complex numbers."""
    return AdagradState(np.full(param.shape, float(initial_accumulator_value)))


_histories = histories(
    lr=RATES, lr_decay=(0.0, 0.1), weight_decay=(0.0, 0.01, 0.5), initial_accumulator_value=(0.0, 0.1),
    eps=(1e-10, 1e-3), maximize=(False, True), sparse=(False, False, True, False),
)  # fmt: skip


def _inputs(draw: Any) -> dict[str, Any]:
    """Sparse gradients go without weight decay; every group starts from the same sum."""
    arguments = _histories(draw)
    if arguments.get("sparse"):
        arguments["weight_decay"] = 0.0
        arguments.pop("group1", None)
    if "initial_accumulator_value" in dict(arguments.get("group1", ())):
        del arguments["group1"]
    return arguments


@step_rule(
    "optim.Adagrad",
    state=AdagradState,
    start=start,
    modes=("loop", "foreach", "fused", "differentiable", *COMPILED),
    tensor_steps=COMPILED,
    inputs=_inputs,
)
def adagrad(
    param: Any, grad: Any, state: AdagradState, t: Any, *, lr: Any = 1e-2, lr_decay: Any = 0.0,
    weight_decay: Any = 0.0, initial_accumulator_value: Any = 0.0, eps: Any = 1e-10, maximize: bool = False,
    route: str = "loop", rows: Any = None,
) -> Any:  # fmt: skip
    """Adagrad (Duchi, Hazan & Singer 2011, diagonal form), shapes as param.

    s ← s + g², θ ← θ - lr/(1 + (t-1)·δ) · g/(√s + ε), δ = lr_decay. Variants: ε stands outside the root; foreach
    multiplies the gradient by the rate before it divides, and sparse gradients after; weight decay is added to the
    gradient after maximize has negated it. Rows that a sparse gradient has not do not change.
    """
    grad = -grad if maximize else grad
    if nonzero(weight_decay):
        grad = stored(grad + weight_decay * param)
    rate = lr / (1.0 + (t - 1.0) * lr_decay)
    total = addcmul(state.sum, grad, grad) if rows is None else state.sum + stored(grad * grad)
    denominator = stored(stored(np.sqrt(stored(total))) + eps)
    if rows is not None:
        change = -rate * stored(grad / denominator)
        there = rows.reshape(-1, *(1,) * (grad.ndim - 1))
        return np.where(there, param + change, param), AdagradState(total)
    if route == "foreach":
        return param + stored(grad * -rate) / denominator, AdagradState(total)
    return addcdiv(param, grad, denominator, -rate), AdagradState(total)
