"""Adam for sparse gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic import stored
from gradcheck.reference.optim.histories import BETAS, RATES, histories
from gradcheck.reference.optim.rule import COMPILED, step_rule
from gradcheck.reference.optim.scalar import power

__all__ = ["SparseAdamState", "sparse_adam"]


class SparseAdamState(NamedTuple):
    """Running averages of the gradient and of its square, dense."""

    exp_avg: Any
    exp_avg_sq: Any


_histories = histories(
    (1, 2), complexes=(), lr=RATES, betas=BETAS, eps=(1e-8, 1e-3), maximize=(False, True), sparse=(True,)
)


@step_rule("optim.SparseAdam", state=SparseAdamState, modes=("loop", *COMPILED), inputs=_histories)
def sparse_adam(
    param: Any, grad: Any, state: SparseAdamState, t: Any, *, lr: Any = 1e-3, betas: Any = (0.9, 0.999),
    eps: Any = 1e-8, maximize: bool = False, rows: Any = None,
) -> Any:  # fmt: skip
    """Adam (Kingma & Ba 2015) on the rows that the gradient has; all else stays as it is. Shapes as param.

    m ← m + (1-β1)·(g - m), v ← v + (1-β2)·(g² - v), θ ← θ - α·√(1-β2^t)/(1-β1^t) · m/(√v + ε), t counting every step.
    Variants: the bias corrections stand in the step size, so ε is not corrected (the paper's remark in section 2, not
    the Adam of torch.optim); a row counts as there if it is written, whatever its values.
    """
    beta1, beta2 = betas
    grad = -grad if maximize else grad
    change = stored(stored(grad - state.exp_avg) * (1.0 - beta1))
    change_sq = stored(stored(stored(grad * grad) - state.exp_avg_sq) * (1.0 - beta2))
    numerator = stored(change + state.exp_avg)
    denominator = stored(stored(np.sqrt(stored(change_sq + state.exp_avg_sq))) + eps)
    step_size = lr * power(1.0 - power(beta2, t), 0.5) / (1.0 - power(beta1, t))
    there = np.asarray(True) if rows is None else rows.reshape(-1, *(1,) * (grad.ndim - 1))
    after = SparseAdamState(
        np.where(there, state.exp_avg + change, state.exp_avg),
        np.where(there, state.exp_avg_sq + change_sq, state.exp_avg_sq),
    )
    return np.where(there, param + stored(-step_size * stored(numerator / denominator)), param), after
