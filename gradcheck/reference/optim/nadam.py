"""Adam with Nesterov momentum, and with a rectified variance: NAdam, RAdam."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic import stored
from gradcheck.reference.optim.histories import BETAS, RATES, histories
from gradcheck.reference.optim.rule import COMPILED, addcdiv, addcmul, lerp, never_negative, nonzero, step_rule
from gradcheck.reference.optim.scalar import item, one_element, power

__all__ = ["NAdamState", "RAdamState", "nadam", "radam"]

FLAGS = (False, True)
MODES = ("loop", "foreach", "differentiable", "capturable", *COMPILED)


class NAdamState(NamedTuple):
    """Running averages of the gradient and its square; the product of all μ so far, one element in float32."""

    exp_avg: Any
    exp_avg_sq: Any
    mu_product: Any


def start(param: np.ndarray, **options: Any) -> NAdamState:
    """Zeros, and the empty product."""
    return NAdamState(np.zeros(param.shape), np.zeros(param.shape), np.ones(()))


@step_rule(
    "optim.NAdam",
    state=NAdamState,
    start=start,
    scalars=("mu_product",),
    modes=MODES,
    tensor_steps=("capturable", *COMPILED),
    inputs=histories(
        lr=RATES, betas=BETAS, eps=(1e-8, 1e-3), weight_decay=(0.0, 0.01, 0.5), momentum_decay=(0.004, 0.5, 0.0),
        decoupled_weight_decay=FLAGS, maximize=FLAGS,
    ),
)  # fmt: skip
def nadam(
    param: Any, grad: Any, state: NAdamState, t: Any, *, lr: Any = 2e-3, betas: Any = (0.9, 0.999), eps: Any = 1e-8,
    weight_decay: Any = 0.0, momentum_decay: Any = 4e-3, decoupled_weight_decay: bool = False, maximize: bool = False,
    route: str = "loop", kept: Any = None,
) -> Any:  # fmt: skip
    """NAdam (Dozat 2016, "Incorporating Nesterov momentum into Adam", algorithm 2), shapes as param.

    With μ_t = β1·(1 - 0.96^(t·ψ)/2) and P_t = μ_1···μ_t, m and v as in Adam:
    θ ← θ - α·(1-μ_t)/(1-P_t)·g/(√(v/(1-β2^t)) + ε) - α·μ_{t+1}/(1-P_t·μ_{t+1})·m/(same). Variants: P is kept in float32
    whatever the parameter's dtype, and the step goes on from what was stored, an output like any other; foreach takes
    the roots of v and of 1-β2^t apart; weight decay is added to the gradient after maximize has negated it, or
    decoupled, θ·(1 - α·λ) before the step.
    """
    beta1, beta2 = betas
    grad = -grad if maximize else grad
    if nonzero(weight_decay):
        if decoupled_weight_decay:
            param = stored(param * (1.0 - lr * weight_decay))
        else:
            grad = stored(grad + weight_decay * param)
    correction = never_negative(1.0 - power(beta2, t))
    mu = beta1 * (1.0 - 0.5 * power(0.96, t * momentum_decay))
    mu_next = beta1 * (1.0 - 0.5 * power(0.96, (t + 1.0) * momentum_decay))
    mu_product = state.mu_product * mu
    exp_avg = lerp(state.exp_avg, grad, 1.0 - beta1)
    exp_avg_sq = addcmul(stored(state.exp_avg_sq * beta2), grad, grad, 1.0 - beta2)
    after = NAdamState(exp_avg, exp_avg_sq, mu_product)
    if route == "foreach":
        denominator = stored(stored(np.sqrt(stored(exp_avg_sq))) / power(correction, 0.5))
    else:
        denominator = stored(np.sqrt(stored(stored(exp_avg_sq) / correction)))
    denominator = stored(denominator + eps)
    stored_product = mu_product if not kept or "mu_product" not in kept else kept["mu_product"]
    if route in ("differentiable", "capturable"):
        product = one_element(stored_product)
        first = stored(grad * (-lr * (1.0 - mu) / (1.0 - product)))
        second = stored(stored(exp_avg) * (-lr * mu_next / (1.0 - product * mu_next)))
        return addcdiv(stored(addcdiv(param, first, denominator)), second, denominator), after
    product = item(stored_product)
    param = stored(addcdiv(param, grad, denominator, -lr * (1.0 - mu) / (1.0 - product)))
    return addcdiv(param, stored(exp_avg), denominator, -lr * mu_next / (1.0 - product * mu_next)), after


class RAdamState(NamedTuple):
    """Running averages of the gradient and of its square."""

    exp_avg: Any
    exp_avg_sq: Any


@step_rule(
    "optim.RAdam",
    state=RAdamState,
    modes=MODES,
    tensor_steps=("capturable", *COMPILED),
    inputs=histories(
        lr=RATES, betas=((0.9, 0.999), (0.5, 0.75), (0.8, 0.99), (0.0, 0.9)), eps=(1e-8, 1e-3, 0.0),
        weight_decay=(0.0, 0.01, 0.5), decoupled_weight_decay=FLAGS, maximize=FLAGS,
    ),
)  # fmt: skip
def radam(
    param: Any, grad: Any, state: RAdamState, t: Any, *, lr: Any = 1e-3, betas: Any = (0.9, 0.999), eps: Any = 1e-8,
    weight_decay: Any = 0.0, decoupled_weight_decay: bool = False, maximize: bool = False, route: str = "loop",
) -> Any:  # fmt: skip
    """RAdam (Liu, Jiang, He, Chen, Liu, Gao & Han 2020, algorithm 2), shapes as param.

    m and v as in Adam, ρ∞ = 2/(1-β2) - 1, ρ_t = ρ∞ - 2·t·β2^t/(1-β2^t). Where ρ_t > 5 (the paper: 4) the step is
    α·m/(1-β1^t) · r·√(1-β2^t)/(√v + ε), with r² = (ρ_t-4)(ρ_t-2)ρ∞ / ((ρ∞-4)(ρ∞-2)ρ_t); else α·m/(1-β1^t). Variants:
    ε is added before the bias correction of v; foreach folds all scalars into one and multiplies by the reciprocal.
    """
    beta1, beta2 = betas
    grad = -grad if maximize else grad
    if nonzero(weight_decay):
        if decoupled_weight_decay:
            param = stored(param * (1.0 - lr * weight_decay))
        else:
            grad = stored(grad + weight_decay * param)
    exp_avg = lerp(state.exp_avg, grad, 1.0 - beta1)
    exp_avg_sq = addcmul(stored(state.exp_avg_sq * beta2), grad, grad, 1.0 - beta2)
    after = RAdamState(exp_avg, exp_avg_sq)
    correction1, correction2 = 1.0 - power(beta1, t), 1.0 - power(beta2, t)
    limit = 2.0 / (1.0 - beta2) - 1.0
    length = limit - 2.0 * t * power(beta2, t) / correction2
    rectified = float(length) > 5.0
    if not rectified:
        if route == "foreach":
            return param + stored(exp_avg) * -(lr / correction1), after
        return param - stored(stored(stored(exp_avg) / correction1) * lr), after
    rectification = power((length - 4.0) * (length - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * length), 0.5)
    denominator = stored(stored(np.sqrt(stored(exp_avg_sq))) + eps)
    if route == "foreach":
        size = power(correction2, 0.5) * (lr * rectification / correction1)
        return param + stored(exp_avg) * stored(-1.0 / stored(denominator / size)), after
    direction = stored(stored(stored(exp_avg) / correction1) * lr)
    adaptive = stored(power(correction2, 0.5) / denominator)
    return param - stored(stored(direction * adaptive) * rectification), after
