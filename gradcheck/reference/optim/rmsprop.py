"""RMSprop, plain and centered, with momentum."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic import stored
from gradcheck.reference.optim.histories import RATES, histories
from gradcheck.reference.optim.rule import COMPILED, addcdiv, addcmul, lerp, nonzero, step_rule

__all__ = ["RMSpropState", "rmsprop"]


class RMSpropState(NamedTuple):
    """Running averages of the squared gradient and, if centered, of the gradient; the buffer, if there is momentum."""

    square_avg: Any
    momentum_buffer: Any
    grad_avg: Any


def start(param: np.ndarray, *, momentum: float = 0.0, centered: bool = False, **options: Any) -> RMSpropState:
    """Zeros."""
    zero = np.zeros(param.shape)
    return RMSpropState(zero, zero if momentum > 0.0 else None, zero if centered else None)


@step_rule(
    "optim.RMSprop",
    state=RMSpropState,
    start=start,
    modes=("loop", "foreach", "differentiable", "capturable", *COMPILED),
    inputs=histories(
        lr=RATES, alpha=(0.99, 0.5, 0.9), eps=(1e-8, 1e-3), weight_decay=(0.0, 0.01, 0.5), momentum=(0.0, 0.9, 0.5),
        centered=(False, True), maximize=(False, True),
    ),
)  # fmt: skip
def rmsprop(
    param: Any, grad: Any, state: RMSpropState, t: Any, *, lr: Any = 1e-2, alpha: Any = 0.99, eps: Any = 1e-8,
    weight_decay: Any = 0.0, momentum: Any = 0.0, centered: bool = False, maximize: bool = False,
) -> Any:  # fmt: skip
    """RMSprop (Tieleman & Hinton 2012, lecture 6.5), centered (Graves 2013, equations 38 to 45), shapes as param.

    v ← α·v + (1-α)·g², θ ← θ - lr·g/(√v + ε). Variants: ε stands outside the root (Graves: inside); centered subtracts
    the square of the averaged gradient from v under the root; with momentum, b ← μ·b + g/(√v + ε) and θ ← θ - lr·b, so
    that the rate multiplies the whole buffer; weight decay is added to the gradient after maximize has negated it.
    """
    grad = -grad if maximize else grad
    if nonzero(weight_decay):
        grad = stored(grad + weight_decay * param)
    square_avg = addcmul(stored(state.square_avg * alpha), grad, grad, 1.0 - alpha)
    grad_avg, variance = None, stored(square_avg)
    if centered:
        grad_avg = lerp(state.grad_avg, grad, 1.0 - alpha)
        variance = stored(variance - stored(grad_avg) * stored(grad_avg))
    denominator = stored(stored(np.sqrt(variance)) + eps)
    if nonzero(momentum):
        buffer = addcdiv(stored(state.momentum_buffer * momentum), grad, denominator)
        return param + -lr * stored(buffer), RMSpropState(square_avg, buffer, grad_avg)
    return addcdiv(param, grad, denominator, -lr), RMSpropState(square_avg, None, grad_avg)
