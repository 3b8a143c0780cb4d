"""Wrong references: each a textbook formula with one mistake that people make.

Most are the right formula with a part replaced: called otherwise (`called`, `ignoring`), with another value (`valued`)
or with other gradients (`pulled_back`). functools.wraps keeps the signature, which says what the arrays are.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import expit

from gradcheck.arithmetic.functions import number, stored
from tests.planted.plant import named

Formula = Callable[..., Any]
When = Callable[[dict[str, Any]], bool]


def _function(name: str) -> Formula:
    return named(name).function


def called(name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Formula:
    """The right formula called with other arguments: ``change`` maps the arguments to those that it replaces."""
    right = _function(name)

    @functools.wraps(right)
    def wrong(*arrays: Any, **words: Any) -> Any:
        arguments = _bound(right, arrays, words)
        return right(**{**arguments, **change(arguments)})

    return wrong


def always(arguments: dict[str, Any]) -> bool:
    return True


def valued(name: str, change: Callable[[Any, dict[str, Any]], Any], when: When = always) -> Formula:
    """The right gradients with another value: ``change(value, arguments)``, for arguments of which ``when`` holds."""
    right = _function(name)

    @functools.wraps(right)
    def wrong(*arrays: Any, **words: Any) -> Any:
        value, vjp = right(*arrays, **words)
        arguments = _bound(right, arrays, words)
        return change(value, arguments) if when(arguments) else value, vjp

    return wrong


def pulled_back(name: str, change: Callable[[Any, dict[str, Any], dict[str, Any]], dict[str, Any]]) -> Formula:
    """The right value with other gradients: ``change(g, gradients, arguments)`` gives those that it replaces."""
    right = _function(name)

    @functools.wraps(right)
    def wrong(*arrays: Any, **words: Any) -> Any:
        value, vjp = right(*arrays, **words)
        arguments = _bound(right, arrays, words)

        def wrong_vjp(g: Any) -> dict[str, Any]:
            gradients = vjp(g)
            return {**gradients, **change(g, gradients, arguments)}

        return value, wrong_vjp

    return wrong


def _bound(function: Formula, arrays: tuple[Any, ...], words: dict[str, Any]) -> dict[str, Any]:
    bound = inspect.signature(function).bind(*arrays, **words)
    bound.apply_defaults()
    return dict(bound.arguments)


def ignoring(name: str, **defaults: Any) -> Formula:
    """Keywords are taken and not looked at."""
    return called(name, lambda arguments: defaults)


# Kinks: the gradient of the other branch where two meet.

relu_one_at_zero = pulled_back("relu", lambda g, _, a: {"x": np.where(a["x"] < 0, 0.0, g)})
leaky_relu_one_at_zero = pulled_back(
    "leaky_relu", lambda g, _, a: {"x": np.where(a["x"] < 0, a["negative_slope"] * g, g)}
)
hardtanh_one_at_the_ends = pulled_back(
    "hardtanh", lambda g, _, a: {"x": np.where((a["x"] < a["min_val"]) | (a["x"] > a["max_val"]), 0.0, g)}
)
relu6_one_at_six = pulled_back("relu6", lambda g, _, a: {"x": np.where((a["x"] <= 0) | (a["x"] > 6.0), 0.0, g)})
hardshrink_one_at_lambd = pulled_back(
    "hardshrink", lambda g, _, a: {"x": np.where((a["x"] > -a["lambd"]) & (a["x"] < a["lambd"]), 0.0, g)}
)
softshrink_one_at_lambd = pulled_back(
    "softshrink", lambda g, _, a: {"x": np.where((a["x"] > -a["lambd"]) & (a["x"] < a["lambd"]), 0.0, g)}
)
threshold_one_at_it = pulled_back("threshold", lambda g, _, a: {"x": np.where(a["x"] < a["threshold"], 0.0, g)})
hardsigmoid_sixth_at_the_ends = pulled_back(
    "hardsigmoid", lambda g, _, a: {"x": np.where((a["x"] >= -3.0) & (a["x"] <= 3.0), g / 6.0, 0.0)}
)
hardswish_slope_at_minus_three = pulled_back(
    "hardswish", lambda g, right, a: {"x": np.where(a["x"] == -3.0, g * -0.5, right["x"])}
)
elu_one_at_zero = pulled_back("elu", lambda g, right, a: {"x": np.where(a["x"] == 0.0, g, right["x"])})
l1_one_at_zero = pulled_back(
    "l1_loss", lambda g, right, a: {"x": np.where(a["x"] == a["target"], np.ones_like(a["x"]) * g, right["x"])}
)


def softplus_linear_at_threshold(x: Any, *, beta: Any = 1.0, threshold: Any = 20.0) -> Any:
    right, right_vjp = _function("softplus")(x, beta=beta, threshold=threshold)
    linear = beta * x >= threshold

    def softplus_vjp(g: Any) -> dict[str, Any]:
        return {"x": np.where(linear, g, right_vjp(g)["x"])}

    return np.where(linear, x, right), softplus_vjp


# Terms forgotten, constants cut short, functions mistaken.

silu_without_second_term = pulled_back("silu", lambda g, _, a: {"x": g * expit(a["x"])})
tanh_not_squared = pulled_back("tanh", lambda g, _, a: {"x": g * (1.0 - stored(np.tanh(a["x"])))})
softsign_not_squared = pulled_back("softsign", lambda g, _, a: {"x": g / (1.0 + np.abs(a["x"]))})
tanhshrink_as_tanh = pulled_back("tanhshrink", lambda g, right, a: {"x": g - right["x"]})
logsigmoid_as_sigmoid = pulled_back("logsigmoid", lambda g, _, a: {"x": g * expit(a["x"])})
softmin_sign = pulled_back("softmin", lambda g, right, a: {"x": -right["x"]})
sigmoid_sign = valued("sigmoid", lambda value, a: expit(-a["x"]))
selu_short_constants = valued("selu", lambda value, a: np.where(a["x"] > 0, a["x"] * number(1.0507, a["x"]), value))
celu_alpha_outside_only = valued(
    "celu",
    lambda value, a: np.where(
        a["x"] > 0, a["x"], a["alpha"] * np.expm1(np.where(a["x"] > 0, np.zeros_like(a["x"]), a["x"]))
    ),
)
rrelu_lower_slope = called("rrelu", lambda a: {"upper": a["lower"]})
glu_halves_swapped = valued("glu", lambda value, a: _function("glu")(_rolled(a["x"], a["dim"]), dim=a["dim"])[0])
prelu_weight_on_both_sides = pulled_back(
    "prelu", lambda g, right, a: {"weight": np.sum(a["x"] * g).reshape(1)} if np.size(a["weight"]) == 1 else {}
)


def _rolled(x: Any, axis: int) -> Any:
    half = np.shape(x)[axis] // 2
    lead = (slice(None),) * (axis % np.ndim(x))
    return np.concatenate([x[(*lead, slice(half, None))], x[(*lead, slice(None, half))]], axis=axis)


# Reductions and weights.


def _scaled(name: str, factor: Callable[[dict[str, Any]], float]) -> Formula:
    """Gradients times a factor that follows from the arguments."""
    return pulled_back(name, lambda g, right, a: {key: gradient * factor(a) for key, gradient in right.items()})


def _count(a: dict[str, Any]) -> float:
    return float(np.size(a["x"])) if a["reduction"] == "mean" else 1.0


mse_half = _scaled("mse_loss", lambda a: 0.5)
mse_without_n = _scaled("mse_loss", _count)
mse_sum_for_mean = called("mse_loss", lambda a: {"reduction": "sum" if a["reduction"] == "mean" else a["reduction"]})
l1_mean_for_sum = called("l1_loss", lambda a: {"reduction": "mean" if a["reduction"] == "sum" else a["reduction"]})
kl_div_batchmean_as_mean = called(
    "kl_div", lambda a: {"reduction": "mean" if a["reduction"] == "batchmean" else a["reduction"]}
)
kl_div_target_taken_for_logs = called("kl_div", lambda a: {"log_target": not a["log_target"]})
kl_div_nan_at_zero = valued(
    "kl_div",
    lambda value, a: np.where(a["target"] == 0, np.nan * np.ones_like(a["x"]), value),
    when=lambda a: a["reduction"] == "none" and not a["log_target"],
)


def _weighted_mean(a: dict[str, Any]) -> bool:
    return a["weight"] is not None and a["reduction"] == "mean"


mse_weighted_mean_by_count = valued(
    "mse_loss", lambda value, a: value * np.sum(a["weight"]) / float(np.size(a["x"])), when=_weighted_mean
)
huber_weighted_mean_by_weights = valued(
    "huber_loss", lambda value, a: value * float(np.size(a["x"])) / np.sum(a["weight"]), when=_weighted_mean
)
bce_gradient_times_variance = pulled_back(
    "binary_cross_entropy",
    lambda g, right, a: {"x": right["x"] * (a["x"] * (1.0 - a["x"])) * (a["x"] * (1.0 - a["x"]))},
)
bce_logs_not_cut = valued(
    "binary_cross_entropy",
    lambda value, a: (a["target"] - 1.0) * np.log1p(-a["x"]) - a["target"] * np.log(a["x"]),
    when=lambda a: a["reduction"] == "none" and a["weight"] is None,
)
bce_logits_gradient_without_pos_weight = pulled_back(
    "binary_cross_entropy_with_logits",
    lambda g, _, a: _function("binary_cross_entropy_with_logits")(**{**a, "pos_weight": None})[1](g),
)
smooth_l1_beta_ignored = ignoring("smooth_l1_loss", beta=1.0)


# Classes.

cross_entropy_gradient_without_smoothing = pulled_back(
    "cross_entropy", lambda g, _, a: {"x": _function("cross_entropy")(**{**a, "label_smoothing": 0.0})[1](g)["x"]}
)
cross_entropy_smoothing_without_share = called(
    "cross_entropy", lambda a: {"label_smoothing": a["label_smoothing"] / np.shape(a["x"])[min(np.ndim(a["x"]) - 1, 1)]}
)
nll_ignored_counted = called("nll_loss", lambda a: {"ignore_index": -12345} if np.all(a["target"] >= 0) else {})
nll_weight_forgotten_in_the_norm = valued(
    "nll_loss",
    lambda value, a: (
        _function("nll_loss")(**{**a, "reduction": "sum"})[0] / float(np.sum(a["target"] != a["ignore_index"]))
    ),
    when=_weighted_mean,
)


# Rows and normalisation.


def _batch_axes(a: dict[str, Any]) -> tuple[int, ...]:
    return tuple(range(np.ndim(a["x"]) - len(a["normalized_shape"])))


def layer_norm_eps_outside(
    x: Any, weight: Any = None, bias: Any = None, *, normalized_shape: tuple[int, ...], eps: Any = 1e-5
) -> Any:
    """(x - mean)/(√variance + eps)·weight + bias."""
    _, vjp = _function("layer_norm")(x, weight, bias, normalized_shape=normalized_shape, eps=eps)
    axes = tuple(range(np.ndim(x) - len(normalized_shape), np.ndim(x)))
    centred = x - np.mean(x, axis=axes, keepdims=True)
    value = centred / (np.sqrt(np.mean(centred * centred, axis=axes, keepdims=True)) + eps)
    value = value if weight is None else value * weight
    return value if bias is None else value + bias, vjp


layer_norm_default_eps = ignoring("layer_norm", eps=1e-5)
layer_norm_weight_gradient_of_x = pulled_back(
    "layer_norm",
    lambda g, right, a: {"weight": np.sum(g * a["x"], axis=_batch_axes(a))} if a["weight"] is not None else {},
)
layer_norm_mean_held_fixed = pulled_back(
    "layer_norm",
    lambda g, right, a: {"x": right["x"] + np.mean(g if a["weight"] is None else g * a["weight"]) * 1.0},
)
softmax_wrong_axis = called("softmax", lambda a: {"dim": (a["dim"] + 1) % max(np.ndim(a["x"]), 1)})
softmax_gradient_without_sum = pulled_back(
    "softmax", lambda g, right, a: {"x": g * _function("softmax")(**{**a, "dtype": None})[0]}
)
log_softmax_gradient_of_softmax = pulled_back(
    "log_softmax", lambda g, right, a: _function("softmax")(**a)[1](g) if a["dtype"] is None else {}
)
gelu_approximate_ignored = ignoring("gelu", approximate="none")


# Contractions.

linear_bias_twice = valued("linear", lambda value, a: value if a["bias"] is None else value + a["bias"])
linear_weight_gradient_of_mean = pulled_back(
    "linear", lambda g, right, a: {"weight": right["weight"] / float(max(np.size(g), 1))}
)
conv2d_kernel_turned = called("conv2d", lambda a: {"weight": np.flip(a["weight"], axis=(2, 3))})
conv2d_padding_for_dilation = called(
    "conv2d", lambda a: {"padding": a["dilation"], "dilation": a["padding"]} if a["padding"] in (1, (2, 1)) else {}
)
