"""Adafactor."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic import stored
from gradcheck.formats import format_named
from gradcheck.reference.optim.histories import RATES, histories
from gradcheck.reference.optim.rule import COMPILED, lerp, nonzero, step_rule
from gradcheck.reference.optim.scalar import item, larger, operand, power, smaller

__all__ = ["AdafactorState", "adafactor"]


class AdafactorState(NamedTuple):
    """Row and column means of the squared gradient, with sides of 1; for vectors and scalars the whole of it."""

    row_var: Any
    col_var: Any
    variance: Any


def start(param: np.ndarray, **options: Any) -> AdafactorState:
    """Zeros."""
    if param.ndim < 2:
        return AdafactorState(None, None, np.zeros(param.shape))
    lead = param.shape[:-2]
    return AdafactorState(np.zeros((*lead, param.shape[-2], 1)), np.zeros((*lead, 1, param.shape[-1])), None)


@step_rule(
    "optim.Adafactor",
    state=AdafactorState,
    start=start,
    modes=("loop", "foreach", *COMPILED),
    tensor_steps=COMPILED,
    inputs=histories(
        (0, 3), least=1, complexes=(), lr=RATES, beta2_decay=(-0.8, -0.5), eps=((None, 1e-3), (1e-5, 0.5)),
        d=(1.0, 2.0), weight_decay=(0.0, 0.1), maximize=(False, True),
    ),
)  # fmt: skip
def adafactor(
    param: Any, grad: Any, state: AdafactorState, t: Any, *, lr: Any = 1e-2, beta2_decay: Any = -0.8,
    eps: Any = (None, 1e-3), d: Any = 1.0, weight_decay: Any = 0.0, maximize: bool = False, route: str = "loop",
) -> Any:  # fmt: skip
    """Adafactor (Shazeer & Stern 2018, algorithms 4 and 5), factored over the last two axes.

    R and C are means of g² along the last axis and the one before, averaged with weight t^beta2_decay of the newest;
    V = R·C/mean(R); U = g/√max(V, ε1²); θ ← θ - α·U/max(1, rms(U)/d), α = max(ε2, rms(θ))·min(lr, 1/√t). Variants: ε1
    (the dtype's epsilon where None) bounds mean(R) and, squared, V from below, where the paper adds it to g²; lr bounds
    the step size where the paper has 0.01; weight decay multiplies θ by 1 - lr·λ, after rms(θ) is taken.
    """
    epsilon = _epsilon(grad) if eps[0] is None else eps[0]
    grad = -grad if maximize else grad
    newest = power(t, beta2_decay)
    size = larger(eps[1], item(_norm(param)) / math.sqrt(param.size)) * smaller(lr, 1.0 / power(t, 0.5))
    if nonzero(weight_decay):
        param = stored(param * (1.0 - lr * weight_decay))
    if grad.ndim > 1:
        row_var = lerp(state.row_var, _mean_square(grad, -1), newest)
        col_var = lerp(state.col_var, _mean_square(grad, -2), newest)
        row, col = stored(row_var), stored(col_var)
        mean = np.maximum(stored(np.mean(row, axis=-2, keepdims=True)), operand(epsilon, grad))
        variance, after = stored(stored(row * col) / mean), AdafactorState(row_var, col_var, None)
    else:
        average = lerp(state.variance, stored(grad * grad), newest)
        variance, after = stored(average), AdafactorState(None, None, average)
    floor = stored(np.maximum(variance, operand(epsilon * epsilon, grad)))
    update = stored(stored(1.0 / np.sqrt(floor)) * grad)
    rate = -size / larger(1.0, item(_norm(update)) / (math.sqrt(param.size) * d))
    return param + (stored(update * rate) if route == "foreach" else rate * update), after


def _epsilon(like: Any) -> float:
    """The gap above 1 in the dtype of the gradient."""
    method = getattr(like, "__gradcheck_dtype__", None)
    return 2.0 * format_named("float64" if method is None else method()).roundoff


def _norm(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return stored(np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims)))


def _mean_square(grad: Any, axis: int) -> Any:
    """(g·g).mean(axis) by way of the norm, as PyTorch takes it."""
    norm = _norm(grad, axis, True)
    return stored(stored(norm * norm) / float(grad.shape[axis]))
