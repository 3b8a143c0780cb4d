"""Adam and its direct kin: Adam, AdamW, Adamax."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic import stored
from gradcheck.reference.optim.histories import BETAS, RATES, histories
from gradcheck.reference.optim.rule import COMPILED, MODES, addcdiv, addcmul, lerp, never_negative, nonzero, step_rule
from gradcheck.reference.optim.scalar import power

__all__ = ["AdamState", "AdamaxState", "adam", "adamax", "adamw"]

FLAGS = (False, True)
EPS = (1e-8, 1e-3, 0.0)


class AdamState(NamedTuple):
    """Running averages of the gradient and of its square, and the largest of the latter where amsgrad asks for it."""

    exp_avg: Any
    exp_avg_sq: Any
    max_exp_avg_sq: Any


def start(param: np.ndarray, *, amsgrad: bool = False, **options: Any) -> AdamState:
    """Zeros."""
    zero = np.zeros(param.shape)
    return AdamState(zero, zero, zero if amsgrad else None)


@step_rule(
    "optim.Adam",
    state=AdamState,
    start=start,
    modes=MODES,
    tensor_steps=("differentiable", "capturable", *COMPILED),
    inputs=histories(
        lr=RATES, betas=BETAS, eps=EPS, weight_decay=(0.0, 0.01, 0.5), amsgrad=FLAGS, maximize=FLAGS,
        decoupled_weight_decay=FLAGS, tensors=("betas",),
    ),
)  # fmt: skip
def adam(
    param: Any, grad: Any, state: AdamState, t: Any, *, lr: Any = 1e-3, betas: Any = (0.9, 0.999), eps: Any = 1e-8,
    weight_decay: Any = 0.0, amsgrad: bool = False, maximize: bool = False, decoupled_weight_decay: bool = False,
    route: str = "loop", weight: Any = None,
) -> Any:  # fmt: skip
    """Adam (Kingma & Ba 2015, algorithm 1), with amsgrad (Reddi, Kale & Kumar 2018), shapes as param.

    m ← β1·m + (1-β1)·g, v ← β2·v + (1-β2)·g², θ ← θ - α/(1-β1^t) · m / (√(v/(1-β2^t)) + ε). Variants: eps stands
    outside the root and after the bias correction; amsgrad takes the maximum of v *before* the bias correction, which
    divides that maximum; weight decay λ·θ is added to the gradient, after maximize has negated it, or, decoupled
    (Loshchilov & Hutter 2019), θ is multiplied by 1 - α·λ before the step, α being the rate of this step without bias
    correction. Differentiable and capturable steps fold -α/(1-β1^t) into the denominator. Where β1 is a tensor, m takes
    ``weight``·g, 1-β1 in the parameter's dtype (in bfloat16 0.1016 for 0.1), and its bias is corrected by β1 itself;
    fused kernels take the number.
    """
    beta1, beta2 = betas
    weight = 1.0 - beta1 if weight is None else weight
    grad = -grad if maximize else grad
    if nonzero(weight_decay):
        if decoupled_weight_decay:
            param = stored(param * (1.0 - lr * weight_decay))
        else:
            grad = stored(grad + weight_decay * param)
    exp_avg = lerp(state.exp_avg, grad, weight)
    exp_avg_sq = addcmul(stored(state.exp_avg_sq * beta2), grad, grad, 1.0 - beta2)
    largest = never_negative(np.maximum(state.max_exp_avg_sq, stored(exp_avg_sq))) if amsgrad else None
    after = AdamState(exp_avg, exp_avg_sq, largest)
    root = stored(np.sqrt(stored(exp_avg_sq if largest is None else largest)))
    step_size = lr / (1.0 - power(beta1, t))
    correction = power(1.0 - power(beta2, t), 0.5)
    if route in ("differentiable", "capturable"):
        denominator = stored(stored(root / (correction * -step_size)) + eps / -step_size)
        return addcdiv(param, stored(exp_avg), denominator), after
    denominator = stored(stored(root / correction) + eps)
    return addcdiv(param, stored(exp_avg), denominator, -step_size), after


@step_rule(
    "optim.AdamW",
    state=AdamState,
    start=start,
    modes=MODES,
    tensor_steps=("differentiable", "capturable", *COMPILED),
    inputs=histories(
        lr=RATES, betas=BETAS, eps=EPS, weight_decay=(0.01, 0.5, 0.0), amsgrad=FLAGS, maximize=FLAGS,
        tensors=("betas",),
    ),
)  # fmt: skip
def adamw(
    param: Any, grad: Any, state: AdamState, t: Any, *, lr: Any = 1e-3, betas: Any = (0.9, 0.999), eps: Any = 1e-8,
    weight_decay: Any = 1e-2, amsgrad: bool = False, maximize: bool = False, route: str = "loop",
    weight: Any = None,
) -> Any:  # fmt: skip
    """AdamW (Loshchilov & Hutter 2019, algorithm 2, schedule multiplier 1): Adam with decoupled weight decay.

    θ is multiplied by 1 - α·λ before the step; maximize does not touch it.
    """
    return adam(
        param, grad, state, t, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad,
        maximize=maximize, decoupled_weight_decay=True, route=route, weight=weight,
    )  # fmt: skip


class AdamaxState(NamedTuple):
    """Running average of the gradient, and its exponentially weighted infinity norm."""

    exp_avg: Any
    exp_inf: Any


@step_rule(
    "optim.Adamax",
    state=AdamaxState,
    modes=("loop", "foreach", "differentiable", "capturable", *COMPILED),
    tensor_steps=("capturable", *COMPILED),
    inputs=histories(lr=RATES, betas=BETAS, eps=EPS, weight_decay=(0.0, 0.01, 0.5), maximize=FLAGS),
)
def adamax(
    param: Any, grad: Any, state: AdamaxState, t: Any, *, lr: Any = 2e-3, betas: Any = (0.9, 0.999), eps: Any = 1e-8,
    weight_decay: Any = 0.0, maximize: bool = False, route: str = "loop",
) -> Any:  # fmt: skip
    """Adamax (Kingma & Ba 2015, algorithm 2), shapes as param.

    m ← β1·m + (1-β1)·g, u ← max(β2·u, |g| + ε), θ ← θ - α/(1-β1^t) · m/u. Variant: ε is added to |g| inside the
    maximum (the paper has none). Weight decay λ·θ is added to the gradient after maximize has negated it.
    """
    beta1, beta2 = betas
    grad = -grad if maximize else grad
    if nonzero(weight_decay):
        grad = stored(grad + weight_decay * param)
    exp_avg = lerp(state.exp_avg, grad, 1.0 - beta1)
    exp_inf = np.maximum(stored(state.exp_inf * beta2), stored(np.abs(grad) + eps))
    after = AdamaxState(exp_avg, exp_inf)
    correction = 1.0 - power(beta1, t)
    if route == "capturable":
        return addcdiv(param, stored(exp_avg), stored(stored(exp_inf) * (-correction / lr))), after
    return addcdiv(param, stored(exp_avg), stored(exp_inf), -(lr / correction)), after
