"""Muon: momentum, orthogonalised."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic import as_dtype, as_dtype_of, stored
from gradcheck.errors import ContractError
from gradcheck.reference.optim.histories import RATES, histories
from gradcheck.reference.optim.rule import COMPILED, lerp, step_rule
from gradcheck.reference.optim.scalar import operand, snapped

__all__ = ["MuonState", "muon"]


SHAPES = ((2, 2), (3, 2), (2, 3), (4, 5), (17, 2), (3, 16))
"""Of one row or column G is the number 1, and hardly anything of the iteration shows: most have more."""


NESTEROV = (True, True, True, False)
"""Without it PyTorch overwrites the buffer in bfloat16, which hides all else there."""


class MuonState(NamedTuple):
    """The momentum buffer."""

    momentum_buffer: Any


@step_rule(
    "optim.Muon",
    state=MuonState,
    counts=False,
    modes=("loop", *COMPILED),
    inputs=histories(
        (2, 2), least=1, shapes=SHAPES, complexes=(), lr=RATES, ns_steps=(1, 2, 5, 0), weight_decay=(0.1, 0.0),
        momentum=(0.95, 0.5), nesterov=NESTEROV, adjust_lr_fn=(None, "original", "match_rms_adamw"),
        ns_coefficients=((3.4445, -4.775, 2.0315), (1.5, -0.5, 0.0), (1.875, -1.25, 0.375)), eps=(1e-7, 0.5),
    ),
)  # fmt: skip
def muon(
    param: Any, grad: Any, state: MuonState, t: Any, *, lr: Any = 1e-3, weight_decay: Any = 0.1, momentum: Any = 0.95,
    nesterov: bool = True, ns_coefficients: Any = (3.4445, -4.775, 2.0315), eps: Any = 1e-7, ns_steps: int = 5,
    adjust_lr_fn: str | None = None, kept: Any = None,
) -> Any:  # fmt: skip
    """Muon (Jordan 2024, "Muon: an optimizer for hidden layers"), for matrices A×B; buffer of the same shape.

    b ← b + (1-μ)·(g - b); u = g + μ·(b - g) with Nesterov's look ahead, else b; θ ← θ·(1 - lr·λ) - lr·r·O(u). O is
    ns_steps of the quintic Newton-Schulz iteration X ← a·X + (b·G + c·G²)·X, G = X·Xᵀ, from X = u/max(‖u‖_F, ε), of the
    transpose if A > B, in bfloat16 whatever the dtype; r = √max(1, A/B), or 0.2·√max(A, B) for match_rms_adamw (Liu et
    al. 2025, "Muon is scalable for LLM training"). Variant: momentum is an average, (1-μ) times Jordan's sum.
    Any direction in bfloat16 within its own bound is accepted; the step along it is judged in the parameter's dtype.
    """
    buffer = lerp(state.momentum_buffer, grad, 1.0 - momentum)
    update = stored(lerp(grad, stored(buffer), momentum)) if nesterov else stored(buffer)
    rows, columns = param.shape
    direction = as_dtype(update, "bfloat16")
    direction = _orthogonal(direction.T if rows > columns else direction, ns_coefficients, eps, ns_steps)
    direction = as_dtype_of(direction.T if rows > columns else direction, param)
    param = stored(param * (1.0 - lr * weight_decay))
    change = -(lr * _ratio(adjust_lr_fn, rows, columns))
    if kept:  # the direction is one in bfloat16, whichever: with it the step is as exact as the parameter's dtype
        direction = snapped(direction, lambda: (kept["param"].value - param.value) / float(change), "bfloat16")
    return param + change * direction, MuonState(buffer)


def _orthogonal(x: Any, coefficients: Any, eps: Any, steps: int) -> Any:
    """The Newton-Schulz iteration of an A×B matrix, A ≤ B; every product is stored."""
    a, b, c = coefficients
    norm = stored(np.sqrt(np.sum(x * x)))
    x = stored(x / stored(np.maximum(norm, operand(eps, x))))
    for _ in range(steps):
        gram = stored(np.matmul(x, x.T))
        polynomial = stored(b * gram + c * np.matmul(gram, gram))
        x = stored(a * x + np.matmul(polynomial, x))
    return x


def _ratio(adjust: str | None, rows: int, columns: int) -> float:
    if adjust in (None, "original"):
        return math.sqrt(max(1.0, rows / columns))
    if adjust == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    raise ContractError(f"optim.Muon: adjust_lr_fn={adjust!r} is not known; expected None, original, match_rms_adamw.")
