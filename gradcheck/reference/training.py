"""One step of a training run in NumPy: prediction, loss, gradient and plain gradient descent, composed of references.

Each model is one function from parameters and inputs to a prediction with its vjp. It is evaluated in float64 or, like
every reference, under running error; nothing here is entered into the table of operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import number, stored
from gradcheck.errors import UsageError, choices
from gradcheck.reference.nn.functional.activation import logsigmoid, tanh
from gradcheck.reference.nn.functional.linear import linear
from gradcheck.reference.nn.functional.probability import binary_cross_entropy_with_logits
from gradcheck.reference.nn.functional.regression import mse_loss
from gradcheck.reference.reduction import reduced

__all__ = [
    "MODELS", "MicroBatch", "Model", "accumulated", "descended", "line", "loss_and_gradients", "model_named",
    "two_layers",
]  # fmt: skip

Parameters = dict[str, Any]
Vjp = Callable[[Any], dict[str, Any]]


@dataclass(frozen=True)
class MicroBatch:
    """What one backward pass sees: indices of the samples, how their losses are reduced, and what multiplies the loss.

    The weight is 1 unless gradients are accumulated: then it is the share of the samples of the step, so that the sum
    of the gradients of the means is the gradient of the mean.
    """

    indices: tuple[int, ...]
    weight: float = 1.0
    reduction: str = "mean"


@dataclass(frozen=True)
class Model:
    """predict: (parameters, x) to (prediction, vjp); losses: by route, as of a loss's reference; shapes: of parameters.

    Routes: ``fused`` is PyTorch's own loss, ``by hand`` the loss written out in tensors, whose autograd is another
    chain of roundings.
    """

    name: str
    predict: Callable[[Parameters, Any], tuple[Any, Vjp]]
    losses: Mapping[str, Callable[..., Any]]
    shapes: Mapping[str, tuple[int, ...]]


def line(parameters: Parameters, x: Any) -> tuple[Any, Vjp]:
    """x·weightᵀ + bias; x: (N, I), weight: (O, I) or (I,), bias: (O,), () or not there."""
    value, linear_vjp = linear(x, parameters["weight"], parameters.get("bias"))

    def line_vjp(g: Any) -> dict[str, Any]:
        gradients = linear_vjp(g)
        return {name: gradients[name] for name in parameters}

    return value, line_vjp


def two_layers(parameters: Parameters, x: Any) -> tuple[Any, Vjp]:
    """weight2·tanh(weight1·x + bias1) + bias2 for each row of x: (N, I); weight1: (H, I), weight2: (O, H)."""
    before, first_vjp = linear(x, parameters["weight1"], parameters["bias1"])
    hidden, tanh_vjp = tanh(stored(before))
    value, second_vjp = linear(stored(hidden), parameters["weight2"], parameters["bias2"])

    def two_layers_vjp(g: Any) -> dict[str, Any]:
        second = second_vjp(g)
        first = first_vjp(stored(tanh_vjp(stored(second["x"]))["x"]))
        gradients = {"weight1": first["weight"], "bias1": first["bias"]}
        return {**gradients, "weight2": second["weight"], "bias2": second["bias"]}

    return value, two_layers_vjp


def _logistic_by_hand(x: Any, target: Any, *, reduction: str = "mean") -> Any:
    """(1 - target)·x - log sigmoid(x): the value of the fused loss, but its gradient is the sum of two stored paths.

    Autograd adds (1 - target)·g and -g·(1 - sigmoid(x)), which cancel where the fused loss has sigmoid(x) - target.
    """
    log_s, logsigmoid_vjp = logsigmoid(x)
    rest = stored(1.0 - target)
    value, spread = reduced(stored(stored(rest * x) - stored(log_s)), reduction)

    def by_hand_vjp(g: Any) -> dict[str, Any]:
        each = stored(spread(g))
        return {"x": stored(each * rest) + stored(logsigmoid_vjp(-each)["x"])}

    return value, by_hand_vjp


_SQUARES = {"fused": mse_loss, "by hand": mse_loss}
_LOGISTIC = {"fused": binary_cross_entropy_with_logits, "by hand": _logistic_by_hand}

MODELS = {
    model.name: model
    for model in (
        Model("linear_regression", line, _SQUARES, {"weight": (1, 3), "bias": (1,)}),
        Model("logistic_regression", line, _LOGISTIC, {"weight": (1, 3), "bias": (1,)}),
        Model(
            "two_layer_network",
            two_layers,
            _SQUARES,
            {"weight1": (4, 3), "bias1": (4,), "weight2": (1, 4), "bias2": (1,)},
        ),
    )
}
"""The models that the ladder is climbed with: three inputs, one output."""


def model_named(name: str) -> Model:
    """The model called ``name``; raises UsageError for any other name."""
    if name not in MODELS:
        raise UsageError(f"model {name!r} is not known; expected {choices(MODELS)}.")
    return MODELS[name]


def loss_and_gradients(
    model: Model, parameters: Parameters, x: Any, y: Any, *, route: str = "fused", reduction: str = "mean",
    weight: float = 1.0,
) -> tuple[Any, dict[str, Any]]:  # fmt: skip
    """The loss of predictions of x (N, I) against y (N, O), and the gradients of weight·loss by parameter."""
    prediction, prediction_vjp = model.predict(parameters, x)
    loss, loss_vjp = model.losses[route](stored(prediction), y, reduction=reduction)
    cotangent = number(weight, prediction) * np.ones_like(loss)
    return loss, prediction_vjp(stored(loss_vjp(stored(cotangent))["x"]))


def accumulated(
    model: Model, parameters: Parameters, x: Any, y: Any, batches: Sequence[MicroBatch], route: str = "fused"
) -> tuple[list[Any], dict[str, Any]]:
    """The loss of each micro-batch, and the gradients added up over them from nothing; x: (N, I), y: (N, O)."""
    losses: list[Any] = []
    gradients: dict[str, Any] = {}
    for batch in batches:
        rows = list(batch.indices)
        loss, found = loss_and_gradients(
            model, parameters, x[rows], y[rows], route=route, reduction=batch.reduction, weight=batch.weight
        )
        losses.append(loss)
        gradients = {name: stored(gradients[name] + g) if name in gradients else g for name, g in found.items()}
    return losses, gradients


def descended(parameters: Parameters, gradients: dict[str, Any], rate: Any) -> Parameters:
    """parameter - rate·gradient for each: one step of plain stochastic gradient descent (Robbins & Monro 1951).

    ``torch.optim.SGD`` without momentum and weight decay.
    """
    return {name: parameter - rate * gradients[name] for name, parameter in parameters.items()}
