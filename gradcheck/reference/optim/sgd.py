"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic import stored
from gradcheck.reference.optim.histories import RATES, histories
from gradcheck.reference.optim.rule import COMPILED, nonzero, step_rule

__all__ = ["SGDState", "sgd"]


class SGDState(NamedTuple):
    """The momentum buffer; None before the first step, and without momentum."""

    momentum_buffer: Any


def start(param: np.ndarray, **options: Any) -> SGDState:
    """No buffer."""
    return SGDState(None)


def _inputs(draw: Any) -> dict[str, Any]:
    """Nesterov needs momentum and no dampening; PyTorch adds no weight decay to a sparse gradient (it raises)."""
    arguments = _histories(draw)
    if arguments.get("sparse"):
        arguments["weight_decay"] = 0.0
        if "weight_decay" in dict(arguments.get("group1", ())):
            del arguments["group1"]
    style = arguments.pop("momentum")
    group = dict(arguments.get("group1", ()))
    if "momentum" in group:
        del arguments["group1"]
    return {**arguments, **dict(style)}


_histories = histories(
    lr=RATES,
    momentum=(
        (("momentum", 0.0),),
        (("momentum", 0.9),),
        (("momentum", 0.9), ("nesterov", True)),
        (("momentum", 0.5), ("dampening", 0.1)),
        (("momentum", 0.7), ("dampening", 0.9)),
        (("momentum", 0.3), ("nesterov", True)),
    ),
    weight_decay=(0.0, 0.01, 0.5),
    maximize=(False, True),
    sparse=(False, False, True, False),
    tensors=("weight_decay",),
)


@step_rule(
    "optim.SGD",
    state=SGDState,
    start=start,
    counts=False,
    pairs=False,
    modes=("loop", "foreach", "fused", "differentiable", *COMPILED),
    inputs=_inputs,
)
def sgd(
    param: Any, grad: Any, state: SGDState, t: Any, *, lr: Any = 1e-3, momentum: Any = 0.0, dampening: Any = 0.0,
    weight_decay: Any = 0.0, nesterov: bool = False, maximize: bool = False,
    rows: Any = None,
) -> Any:  # fmt: skip
    """Gradient descent with momentum (Polyak 1964; Sutskever, Martens, Dahl & Hinton 2013), shapes as param.

    b ← μ·b + (1-τ)·g, θ ← θ - α·b. Variants: the rate multiplies the buffer when it is applied and not when it grows;
    the first buffer is g itself, without dampening τ; Nesterov's step takes g + μ·b with the new b and requires τ = 0;
    weight decay λ·θ is added to the gradient after maximize has negated it. Without momentum a row that a sparse
    gradient names twice is added twice; with it gradients name no row twice, and the sparse buffer is as a dense one.
    """
    grad = -grad if maximize else grad
    if nonzero(weight_decay):
        grad = stored(grad + weight_decay * param)
    if rows is not None and not nonzero(momentum):
        # A row that the gradient names twice is added twice.
        return stored(param + -lr * (0.5 * grad)) + -lr * (0.5 * grad), SGDState(None)
    if not nonzero(momentum):
        return param + -lr * grad, SGDState(None)
    buffer = grad
    if state.momentum_buffer is not None:
        buffer = stored(state.momentum_buffer * momentum) + (1.0 - dampening) * grad
    direction = stored(grad + momentum * stored(buffer)) if nesterov else stored(buffer)
    return param + -lr * direction, SGDState(buffer)
