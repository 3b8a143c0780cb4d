"""Adadelta."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic import stored
from gradcheck.reference.optim.histories import RATES, histories
from gradcheck.reference.optim.rule import COMPILED, addcmul, nonzero, step_rule

__all__ = ["AdadeltaState", "adadelta"]


class AdadeltaState(NamedTuple):
    """Running averages of the squared gradient and of the squared change."""

    square_avg: Any
    acc_delta: Any


@step_rule(
    "optim.Adadelta",
    state=AdadeltaState,
    modes=("loop", "foreach", "differentiable", "capturable", *COMPILED),
    inputs=histories(
        lr=(1.0, *RATES), rho=(0.9, 0.5), eps=(1e-6, 1e-3), weight_decay=(0.0, 0.01, 0.5), maximize=(False, True)
    ),
)
def adadelta(
    param: Any, grad: Any, state: AdadeltaState, t: Any, *, lr: Any = 1.0, rho: Any = 0.9, eps: Any = 1e-6,
    weight_decay: Any = 0.0, maximize: bool = False,
) -> Any:  # fmt: skip
    """Adadelta (Zeiler 2012, algorithm 1), shapes as param.

    v ← ρ·v + (1-ρ)·g², Δ = √(d + ε)/√(v + ε)·g, d ← ρ·d + (1-ρ)·Δ², θ ← θ - lr·Δ. ε stands inside both roots; the
    paper has no lr. Weight decay is added to the gradient after maximize has negated it.
    """
    grad = -grad if maximize else grad
    if nonzero(weight_decay):
        grad = stored(grad + weight_decay * param)
    square_avg = addcmul(stored(state.square_avg * rho), grad, grad, 1.0 - rho)
    spread = stored(np.sqrt(stored(stored(square_avg) + eps)))
    delta = stored(stored(stored(np.sqrt(stored(state.acc_delta + eps))) / spread) * grad)
    acc_delta = addcmul(stored(state.acc_delta * rho), delta, delta, 1.0 - rho)
    return param + -lr * delta, AdadeltaState(square_avg, acc_delta)
