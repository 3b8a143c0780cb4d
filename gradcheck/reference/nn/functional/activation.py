"""Smooth activations: sigmoids, exponentials and what is built of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import erf, expit, log_expit

from gradcheck.arithmetic.functions import expit_slope, guarded, node, number, pi, routed, stored
from gradcheck.reference.domains import POSITIVE, elementwise, hyperparameters, kink, rows_of_x
from gradcheck.reference.registry import reference

__all__ = [
    "celu", "elu", "gelu", "glu", "logsigmoid", "logsigmoid_twice", "mish", "selu", "sigmoid", "silu", "softplus",
    "softsign", "tanh", "tanhshrink",
]  # fmt: skip


@reference("nn.functional.sigmoid", inputs=elementwise(), elementwise=True, rows=rows_of_x)
def sigmoid(x: Any) -> Any:
    """1/(1 + exp(-x)); same shape as x. The gradient uses the stored result y: g·(1 - y)·y."""
    y = expit(x)
    saved = stored(y)

    def sigmoid_vjp(g: Any) -> dict[str, Any]:
        return {"x": expit_slope(g, saved)}

    return y, sigmoid_vjp


@reference("nn.functional.tanh", inputs=elementwise(), elementwise=True, rows=rows_of_x)
def tanh(x: Any) -> Any:
    """tanh(x); same shape as x. The gradient uses the stored result y: g·(1 - y²)."""
    y = np.tanh(x)
    saved = stored(y)

    def tanh_vjp(g: Any) -> dict[str, Any]:
        return {"x": g * (1.0 - saved * saved)}

    return y, tanh_vjp


@reference("nn.functional.tanhshrink", inputs=elementwise(), elementwise=True, rows=rows_of_x)
def tanhshrink(x: Any) -> Any:
    """x - tanh(x); same shape as x. A composite: both paths of the gradient are stored and then added."""
    y = stored(np.tanh(x))
    value = x - y

    def tanhshrink_vjp(g: Any) -> dict[str, Any]:
        return {"x": g + stored(-g * (1.0 - y * y))}

    return value, tanhshrink_vjp


@reference("nn.functional.softsign", inputs=elementwise(), elementwise=True, rows=rows_of_x)
def softsign(x: Any) -> Any:
    """x/(1 + |x|); same shape as x. The gradient of |x| at 0 is 0.

    A composite: autograd adds the paths through numerator and denominator, g/d - sign(x)·g·(x/d)/d with d = 1 + |x|,
    which cancel for large |x|; the textbook form g/d² would promise more than PyTorch computes. At ±inf it is NaN.
    """
    d = stored(np.abs(x) + 1.0)
    value = x / d

    def softsign_vjp(g: Any) -> dict[str, Any]:
        through_denominator = stored(-g * stored(stored(x / d) / d))
        return {"x": stored(g / d) + stored(through_denominator * np.sign(x))}

    return value, softsign_vjp


@reference("nn.functional.silu", inputs=elementwise(), elementwise=True, rows=rows_of_x)
def silu(x: Any) -> Any:
    """x·sigmoid(x); same shape as x (Elfwing et al. 2017; Ramachandran et al. 2017). At -inf it is NaN."""

    s = expit(x)

    def sloped(x: Any, s: Any, along: Any) -> Any:
        return along * s * (1.0 + x * (1.0 - s))

    # Forward mode takes the formula of the backward.
    value = node(
        lambda part: part * (s if part is x else expit(part)), lambda y, part, dx: sloped(part, expit(part), dx), x
    )

    def silu_vjp(g: Any) -> dict[str, Any]:
        return {"x": sloped(x, s, g)}

    return value, silu_vjp


@reference("nn.functional.mish", inputs=elementwise(), elementwise=True, rows=rows_of_x)
def mish(x: Any) -> Any:
    """x·tanh(softplus(x)); same shape as x (Misra 2019)."""
    s = expit(x)
    t = np.tanh(-log_expit(-x))
    value = x * t

    def mish_vjp(g: Any) -> dict[str, Any]:
        return {"x": g * (t + x * s * (1.0 - t * t))}

    return value, mish_vjp


@reference(
    "nn.functional.gelu",
    inputs=elementwise(lambda approximate: (0.0,), approximate=("none", "tanh")),
    elementwise=True,
    rows=rows_of_x,
)
def gelu(x: Any, *, approximate: str = "none") -> Any:
    """x·Φ(x), Φ the normal distribution function; same shape as x (Hendrycks & Gimpel 2016).

    approximate="none": Φ(x) = (1 + erf(x/√2))/2; "tanh": Φ(x) ≈ (1 + tanh(√(2/π)·(x + 0.044715·x³)))/2.
    """
    if approximate == "tanh":
        return _gelu_tanh(x)
    cdf = 0.5 * (1.0 + erf(x * np.sqrt(number(0.5, x))))
    value = x * cdf

    def gelu_vjp(g: Any) -> dict[str, Any]:
        pdf = np.exp(-0.5 * (x * x)) / np.sqrt(2.0 * pi(x))
        return {"x": g * (cdf + x * pdf)}

    return value, gelu_vjp


def _gelu_tanh(x: Any) -> Any:
    slope, cubic = np.sqrt(2.0 / pi(x)), number(0.044715, x)
    t = np.tanh(slope * (x + cubic * (x * x * x)))
    value = 0.5 * x * (1.0 + t)

    def gelu_tanh_vjp(g: Any) -> dict[str, Any]:
        inner = slope * (1.0 + 3.0 * cubic * (x * x))
        return {"x": g * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner)}

    return value, gelu_tanh_vjp


def _softplus_inputs(draw: Any) -> dict[str, Any]:
    """Some of the large numbers are those whose exponentials are subnormal."""
    chosen = hyperparameters(draw, beta=POSITIVE, threshold=(20.0, 2.0, 8.5, 40.0))
    x = draw.array(draw.shape(), near=(chosen["threshold"] / chosen["beta"],))
    if x.kind == "large" and draw.boolean():
        x = draw.scaled(draw.array(x.shape, ("faint",)), 1.0 / chosen["beta"])
    return {"x": x, **chosen}


def softplus_twice(x: Any, *, beta: Any = 1.0, threshold: Any = 20.0) -> Any:
    """As second derivatives have it: that of g·sigmoid(beta·x)."""
    z = beta * x
    linear = z > threshold
    smooth = node(
        lambda x: np.log1p(np.exp(guarded(beta * x, ~linear))) / beta,
        lambda y, x, dx: dx * expit(guarded(beta * x, ~linear)),
        x,
    )
    value = np.where(linear, x, smooth)

    def softplus_twice_vjp(g: Any) -> dict[str, Any]:
        return {"x": np.where(linear, g, g * expit(z))}

    return value, softplus_twice_vjp


@reference(
    "nn.functional.softplus",
    inputs=_softplus_inputs,
    elementwise=True,
    rows=rows_of_x,
    kinks=(
        kink(
            "beta·x = threshold",
            "the smooth branch holds",
            [2.0],
            [2.1269280110429727],
            [0.8807970779778823],
            threshold=2.0,
        ),
    ),
    routes={"hvp": softplus_twice, "second tangent": softplus_twice},
)
def softplus(x: Any, *, beta: Any = 1.0, threshold: Any = 20.0) -> Any:
    """log(1 + exp(beta·x))/beta, and x itself where beta·x > threshold; same shape as x (Dugas et al. 2001).

    At beta·x = threshold the smooth branch holds. The kernel has g·e/(1 + e) with e = exp(beta·x) for the gradient.
    """
    value, softplus_twice_vjp = softplus_twice(x, beta=beta, threshold=threshold)

    def softplus_vjp(g: Any) -> dict[str, Any]:
        z = beta * x
        linear = z > threshold
        e = np.exp(guarded(z, ~linear))
        return {"x": routed(softplus_twice_vjp(g)["x"], np.where(linear, g, g * e / (1.0 + e)))}

    return value, softplus_vjp


def logsigmoid_twice(x: Any) -> Any:
    """As second derivatives have it: that of 1 - sigmoid(x), which is g·(s - 1)·s with the stored sigmoid s."""
    s = stored(expit(x))
    value = x + log_expit(-x)  # whose derivative is 1 - s

    def logsigmoid_twice_vjp(g: Any) -> dict[str, Any]:
        return {"x": g * (1.0 - s)}

    return value, logsigmoid_twice_vjp


@reference(
    "nn.functional.logsigmoid",
    inputs=elementwise(),
    elementwise=True,
    rows=rows_of_x,
    routes={"hvp": logsigmoid_twice, "second tangent": logsigmoid_twice},
)
def logsigmoid(x: Any) -> Any:
    """log(1/(1 + exp(-x))); same shape as x.

    The gradient uses z = exp(-|x|), which the kernel stores: g·(1 - z/(1 + z)) for x < 0, g·z/(1 + z) elsewhere.
    """
    value = log_expit(x)
    negative = x < 0
    z = stored(np.exp(np.where(negative, x, -x)))

    def logsigmoid_vjp(g: Any) -> dict[str, Any]:
        share = z / (1.0 + z)
        return {"x": g * np.where(negative, 1.0 - share, share)}

    return value, logsigmoid_vjp


@reference(
    "nn.functional.elu",
    inputs=elementwise(lambda alpha: (0.0,), alpha=POSITIVE),
    elementwise=True,
    rows=rows_of_x,
    routes={"inplace": lambda x, *, alpha=1.0: _elu_of_result(elu(x, alpha=alpha)[0], alpha, number(1.0, x), 1.0)},
    kinks=(kink("x = 0", "the negative side holds", [0.0], [0.0], [2.0], alpha=2.0),),
)
def elu(x: Any, *, alpha: Any = 1.0) -> Any:
    """x for x > 0, alpha·(exp(x) - 1) elsewhere; same shape as x. At 0 the gradient is alpha (Clevert et al. 2015)."""
    return _scaled_elu(x, alpha, number(1.0, x), number(1.0, x))


def _selu_in_place(x: Any) -> Any:
    scale = number(1.0507009873554805, x)
    return _elu_of_result(selu(x)[0], number(1.6732632423543772, x) * scale, scale, 1.0)


@reference(
    "nn.functional.selu",
    inputs=elementwise(),
    elementwise=True,
    rows=rows_of_x,
    routes={"inplace": _selu_in_place},
    kinks=(kink("x = 0", "the negative side holds: scale·alpha", [0.0], [0.0], [1.7580993408473766]),),
)
def selu(x: Any) -> Any:
    """scale·elu(x, alpha), alpha = 1.6732632423543772, scale = 1.0507009873554805; same shape as x.

    The two constants are those of Klambauer et al. 2017, to double precision. At 0 the negative side holds.
    """
    scale = number(1.0507009873554804934193349852946, x)
    return _scaled_elu(x, number(1.6732632423543772848170429916717, x) * scale, scale, number(1.0, x))


@reference(
    "nn.functional.celu",
    inputs=elementwise(lambda alpha: (0.0,), alpha=POSITIVE),
    elementwise=True,
    rows=rows_of_x,
    routes={
        "inplace": lambda x, *, alpha=1.0: _elu_of_result(celu(x, alpha=alpha)[0], alpha, number(1.0, x), 1.0 / alpha)
    },
    kinks=(kink("x = 0", "both sides have the gradient 1", [0.0], [0.0], [1.0], alpha=2.0),),
)
def celu(x: Any, *, alpha: Any = 1.0) -> Any:
    """x for x > 0, alpha·(exp(x/alpha) - 1) elsewhere; same shape as x. At 0 the gradient is 1 (Barron 2017)."""
    return _scaled_elu(x, alpha, number(1.0, x), 1.0 / alpha)


def _scaled_elu(x: Any, negative_scale: Any, positive_scale: Any, input_scale: Any) -> Any:
    negative = x <= 0
    z = guarded(x * input_scale, negative)
    value = np.where(negative, np.expm1(z) * negative_scale, x * positive_scale)

    def elu_vjp(g: Any) -> dict[str, Any]:
        return {"x": np.where(negative, g * input_scale * negative_scale * np.exp(z), g * positive_scale)}

    return value, elu_vjp


def _elu_of_result(value: Any, negative_scale: Any, positive_scale: Any, input_scale: Any) -> Any:
    """The in-place variant keeps its result alone: the gradient of the negative side is (y + negative_scale)·scale.

    Far down that sum cancels.
    """
    y = stored(value)

    def elu_of_result_vjp(g: Any) -> dict[str, Any]:
        return {"x": np.where(y <= 0, g * input_scale * (y + negative_scale), g * positive_scale)}

    return value, elu_of_result_vjp


def _glu_inputs(draw: Any) -> dict[str, Any]:
    shape = list(draw.shape(dims=(1, 3)))
    dim = draw.choice(range(-len(shape), len(shape)))
    shape[dim] = 2 * draw.side(0, 33)
    return {"x": draw.array(tuple(shape)), "dim": dim}


def _glu(x: Any, dim: int, gate_of: Callable[[Any], Any], of_gated: Callable[[Any, Any, Any], Any]) -> Any:
    """gate_of: from b to its sigmoid; of_gated: from a, the gate and the cotangent to the gradient for b."""
    half = np.shape(x)[dim] // 2
    axis = dim % np.ndim(x)
    lead = (slice(None),) * axis
    front, back = (*lead, slice(None, half)), (*lead, slice(half, None))
    a, b = x[front], x[back]
    s = gate_of(b)
    value = a * s
    gate = stored(s)

    def glu_vjp(g: Any) -> dict[str, Any]:
        return {"x": np.concatenate([gate * g, of_gated(a, gate, g)], axis=axis)}

    return value, glu_vjp


def _glu_forward_over_reverse(x: Any, *, dim: int = -1) -> Any:
    """Forward mode over the backward (``glu_backward_jvp``) has 1 - s only within differences: a - a·s, db - db·s."""
    return _glu(
        x,
        dim,
        lambda b: node(expit, lambda s, _, db: s * (db - db * s), b),
        lambda a, gate, g: gate * g * (a - a * gate),
    )


@reference(
    "nn.functional.glu",
    inputs=_glu_inputs,
    routes=dict.fromkeys(("forward-over-reverse", "func.forward-over-reverse"), _glu_forward_over_reverse),
)
def glu(x: Any, *, dim: int = -1) -> Any:
    """a·sigmoid(b), a and b the two halves of x along ``dim``; half as long there as x (Dauphin et al. 2016).

    The gradient uses the gate sigmoid(b) as the kernel stores it.
    """
    return _glu(x, dim, expit, lambda a, gate, g: (1.0 - gate) * gate * a * g)
