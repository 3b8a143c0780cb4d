"""Resilient backpropagation."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic import sgn, stored
from gradcheck.reference.optim.histories import RATES, histories
from gradcheck.reference.optim.rule import COMPILED, step_rule
from gradcheck.reference.optim.scalar import operand

__all__ = ["RpropState", "rprop"]


class RpropState(NamedTuple):
    """The last gradient, zero where its sign had changed, and the step size of every element."""

    prev: Any
    step_size: Any


def start(param: np.ndarray, *, lr: float = 1e-2, **options: Any) -> RpropState:
    """No gradient yet, and steps of size lr."""
    return RpropState(np.zeros(param.shape), np.full(param.shape, lr))


@step_rule(
    "optim.Rprop",
    state=RpropState,
    start=start,
    modes=("loop", "foreach", "differentiable", "capturable", *COMPILED),
    inputs=histories(
        lr=RATES, etas=((0.5, 1.2), (0.3, 1.7)), step_sizes=((1e-6, 50.0), (0.005, 0.02)), maximize=(False, True)
    ),
)
def rprop(
    param: Any, grad: Any, state: RpropState, t: Any, *, lr: Any = 1e-2, etas: Any = (0.5, 1.2),
    step_sizes: Any = (1e-6, 50), maximize: bool = False,
) -> Any:  # fmt: skip
    """Rprop- (Riedmiller & Braun 1993; without weight-backtracking, Igel & Hüsken 2000), shapes as param.

    The step size of an element grows by η⁺ where the gradient keeps its sign, shrinks by η⁻ where it changes, and is
    clamped; θ ← θ - sign(g)·size. Where the sign has changed, nothing is done and g counts as 0 at the next step.
    Variants: whether it has is seen by the sign of the *product* with the last gradient, which underflows; lr is the
    first step size and nothing else; a NaN has the sign 0.
    """
    down, up = (stored(operand(eta, grad)) for eta in etas)
    least, most = (operand(size, grad) for size in step_sizes)
    grad = -grad if maximize else grad
    # A product with zero is zero, whatever the rounding error of others near zero.
    silent = (grad == 0.0) | (state.prev == 0.0)
    agreement = np.where(silent, np.zeros_like(grad), stored(grad * state.prev))
    # Rounded, a product is 0 or has the sign that it has.
    kept_sign = (agreement > 0.0) & (sgn(grad) == sgn(state.prev))
    changed_sign = (agreement < 0.0) & (sgn(grad) != sgn(state.prev))
    factor = np.where(kept_sign, up, np.where(changed_sign, down, np.ones_like(grad)))
    grown = stored(state.step_size * factor)
    # As clamp has it: at the ends the derivative is still that of the inside.
    step_size = np.where(grown < least, least, np.where(grown > most, most, grown))
    kept = np.where(changed_sign, np.zeros_like(grad), grad)
    return param - sgn(kept) * stored(step_size), RpropState(kept, step_size)
