"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic import stored
from gradcheck.reference.optim.histories import RATES, histories
from gradcheck.reference.optim.rule import COMPILED, nonzero, step_rule
from gradcheck.reference.optim.scalar import item, larger, one_element, power

__all__ = ["ASGDState", "asgd"]


class ASGDState(NamedTuple):
    """The step size and the weight of the average, one element each in float32; the average."""

    eta: Any
    mu: Any
    ax: Any


def start(param: np.ndarray, *, lr: float = 1e-2, **options: Any) -> ASGDState:
    """A step of size lr, and an average that is the next parameter."""
    return ASGDState(np.asarray(float(lr)), np.ones(()), np.zeros(param.shape))


@step_rule(
    "optim.ASGD",
    state=ASGDState,
    start=start,
    scalars=("eta", "mu"),
    modes=("loop", "foreach", "differentiable", "capturable", *COMPILED),
    tensor_steps=("foreach", "capturable", *COMPILED),
    inputs=histories(
        lr=RATES, lambd=(1e-4, 0.1), alpha=(0.75, 0.5, 1.0), t0=(1e6, 0.0, 3.0), weight_decay=(0.0, 0.01, 0.5),
        maximize=(False, True),
    ),
)  # fmt: skip
def asgd(
    param: Any, grad: Any, state: ASGDState, t: Any, *, lr: Any = 1e-2, lambd: Any = 1e-4, alpha: Any = 0.75,
    t0: Any = 1e6, weight_decay: Any = 0.0, maximize: bool = False, route: str = "loop",
) -> Any:  # fmt: skip
    """Averaged SGD (Polyak & Juditsky 1992; the schedule of Bottou's sgd 2.0 and Xu 2011), shapes as param.

    θ ← θ·(1 - λ·η) - η·g, a ← a + μ·(θ - a), then η ← lr/(1 + λ·lr·t)^α and μ ← 1/max(1, t - t0). Variants: η and μ
    are kept in float32 whatever the parameter's dtype, η is lr at the first step, and for μ = 1 the average is copied;
    foreach steps by η·(g + λ·θ) and computes η in float32; it never copies, nor do capturable or compiled steps. Weight
    decay is added to the gradient, after maximize has negated it, besides λ.
    """
    grad = -grad if maximize else grad
    if nonzero(weight_decay):
        grad = stored(grad + weight_decay * param)
    eta, mu = (item if route in ("loop", "differentiable") else one_element)(state.eta), one_element(state.mu)
    if route == "foreach":
        param = param - stored(grad + lambd * param) * eta
        ax = state.ax + stored(stored(param) - state.ax) * mu
    else:
        param = stored(param * (1.0 - lambd * eta)) + -eta * grad
        copies = float(mu) == 1.0 and route in ("loop", "differentiable")
        ax = stored(param) if copies else state.ax + stored(stored(stored(param) - state.ax) * mu)
    eta = lr / power(1.0 + lambd * lr * t, alpha)
    mu = 1.0 / larger(1.0, t - t0)
    return param, ASGDState(_single(eta, state.eta), _single(mu, state.mu), ax)


def _single(scalar: Any, like: Any) -> Any:
    """As the tensor of one element that it is copied to."""
    return scalar.as_operand(like) if hasattr(scalar, "as_operand") else scalar
