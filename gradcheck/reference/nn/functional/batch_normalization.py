"""Normalisation of each channel by statistics of the batch or by running ones: batch_norm, instance_norm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import routed, stored
from gradcheck.reference.registry import reference

__all__ = ["batch_norm", "batch_norm_twice", "instance_norm"]

MOMENTA = (0.1, 0.5, 1.0, 0.0, 0.3)
EPSILONS = (1e-5, 1e-3, 0.5)


def _image(draw: Any, least: int, most: int) -> tuple[int, int, tuple[int, ...]]:
    """Batch, channels, and the sides of the rest; at least ``least`` elements in batch and rest together."""
    channels = draw.side(1, 9)
    rest = draw.shape(dims=(0, 3), least=1, most=most)
    return draw.side(least if int(np.prod(rest)) < least else 1, 9), channels, rest


def _affine(draw: Any, channels: int) -> dict[str, Any]:
    affine = draw.choice(("both", "none", "weight"))
    return {
        "weight": None if affine == "none" else draw.tame((channels,)),
        "bias": draw.tame((channels,)) if affine == "both" else None,
    }


def _running(draw: Any, channels: int, needed: bool) -> dict[str, Any]:
    tracked = needed or draw.choice((True, False))
    return {
        "running_mean": draw.tame((channels,)) if tracked else None,
        "running_var": draw.array((channels,), ("positive",)) if tracked else None,
    }


def _batch_inputs(draw: Any) -> dict[str, Any]:
    training = draw.choice((True, False))
    batch, channels, rest = _image(draw, 2, 60)
    return {
        "x": draw.array((batch, channels, *rest)),
        **_running(draw, channels, needed=not training),
        **_affine(draw, channels),
        "training": training,
        "momentum": draw.choice(MOMENTA),
        "eps": draw.choice(EPSILONS),
    }


def _batch_norm_under_vmap(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    training: bool = False,
    momentum: Any = 0.1,
    eps: Any = 1e-5,
) -> Any:
    """batch_norm as its batching rule computes it: the kernel normalises alone, weight and bias meet what it stored,
    and the weight meets the cotangent before the kernel does: rounded once more."""
    outputs, normalised_vjp = batch_norm(x, running_mean, running_var, training=training, momentum=momentum, eps=eps)
    normal = stored(outputs["value"])
    value = normal if weight is None else normal * _along_channels(weight, x)
    outputs["value"] = value if bias is None else stored(value) + _along_channels(bias, x)
    axes = _axes(x)

    def batch_norm_under_vmap_vjp(g: Any) -> dict[str, Any]:
        gradients = normalised_vjp(g if weight is None else stored(g * _along_channels(weight, x)))
        if weight is not None:
            gradients["weight"] = np.sum(stored(g * normal), axis=axes)
        if bias is not None:
            gradients["bias"] = np.sum(g, axis=axes)
        return gradients

    return outputs, batch_norm_under_vmap_vjp


def batch_norm_twice(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    training: bool = False,
    momentum: Any = 0.1,
    eps: Any = 1e-5,
) -> Any:
    """batch_norm as its second backward has it: in training the reciprocal deviation meets each term of the gradient
    before they are added up, so that they cancel with the rounding of both."""
    outputs, once_vjp = batch_norm(
        x, running_mean, running_var, weight, bias, training=training, momentum=momentum, eps=eps
    )
    axes, n = _axes(x), np.size(x) // np.shape(x)[1]

    def batch_norm_twice_vjp(g: Any) -> dict[str, Any]:
        gradients: dict[str, Any] = once_vjp(g)
        if training:
            _, centred, _, rstd = _statistics(x, eps)
            slope = np.sum(centred * g, axis=axes) * (rstd * rstd * rstd) / n
            constant = rstd * np.sum(g, axis=axes) / n
            along = g * _along_channels(rstd, x) - _along_channels(constant, x) - centred * _along_channels(slope, x)
            gradients["x"] = along if weight is None else along * _along_channels(weight, x)
        return gradients

    return outputs, batch_norm_twice_vjp


@reference(
    "nn.functional.batch_norm",
    inputs=_batch_inputs,
    constant=("running_mean", "running_var"),
    aux=("running_mean", "running_var"),
    routes={"vjp of rows": _batch_norm_under_vmap, **dict.fromkeys(("double", "func.double"), batch_norm_twice)},
)
def batch_norm(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    training: bool = False,
    momentum: Any = 0.1,
    eps: Any = 1e-5,
) -> Any:
    """(x - mean)/√(variance + eps)·weight + bias for each channel of x: (N, C, …) (Ioffe & Szegedy 2015).

    In training mean and variance are those of the batch, the variance biased, and depend on x; the running ones, (C,),
    become momentum·new + (1 - momentum)·old, where the new variance is the unbiased one. Otherwise the running ones
    are used and stay. The kernel stores the mean, the sum of squares and the reciprocal standard deviation, and its
    value is affine in x with coefficients of the channel, x·alpha + (bias - mean·alpha), which cancels where |mean| is
    large; x that is not contiguous goes by the formula as it stands. Both routes count.
    """
    axes, n = _axes(x), np.size(x) // np.shape(x)[1]
    if training:
        mean, centred, squares, rstd = _statistics(x, eps)
        new_var = squares / (n - 1)
    else:
        mean, rstd = running_mean, _reciprocal_deviation(running_var, eps)
        centred = x - _along_channels(mean, x)
    normal = centred * _along_channels(rstd, x)
    scaled = normal if weight is None else normal * _along_channels(weight, x)
    shifted = scaled if bias is None else scaled + _along_channels(bias, x)
    outputs = {"value": routed(_affine_in_x(x, mean, rstd, weight, bias), shifted)}
    if running_mean is not None:
        outputs["running_mean"] = momentum * mean + (1.0 - momentum) * running_mean if training else running_mean
        outputs["running_var"] = momentum * new_var + (1.0 - momentum) * running_var if training else running_var

    def batch_norm_vjp(g: Any) -> dict[str, Any]:
        along_one = np.sum(g, axis=axes)
        along_x = np.sum(centred * g, axis=axes)
        if training:
            slope = along_x * rstd * rstd / n
            through = g - _along_channels(along_one / n, x) - centred * _along_channels(slope, x)
        else:
            through = g
        for_x = through * _along_channels(rstd, x)
        gradients = {"x": for_x if weight is None else for_x * _along_channels(weight, x)}
        if weight is not None:
            gradients["weight"] = along_x * rstd
        if bias is not None:
            gradients["bias"] = along_one
        return gradients

    return outputs, batch_norm_vjp


def _axes(x: Any) -> tuple[int, ...]:
    """All but that of the channels."""
    return (0, *range(2, np.ndim(x)))


def _statistics(x: Any, eps: Any) -> tuple[Any, Any, Any, Any]:
    """Mean, x - mean, the sum of its squares and the reciprocal deviation of each channel, as the kernel stores."""
    axes, n = _axes(x), np.size(x) // np.shape(x)[1]
    mean = stored(np.sum(x, axis=axes) / n)
    centred = x - _along_channels(mean, x)
    squares = stored(np.sum(centred * centred, axis=axes))
    return mean, centred, squares, stored(1.0 / np.sqrt(squares / n + eps))


def _along_channels(vector: Any, x: Any) -> Any:
    """(C,) shaped to broadcast along axis 1 of x."""
    return vector.reshape((-1, *(1,) * (np.ndim(x) - 2)))


def _reciprocal_deviation(variance: Any, eps: Any) -> Any:
    return 1.0 / np.sqrt(variance + eps)


def _affine_in_x(x: Any, mean: Any, rstd: Any, weight: Any, bias: Any) -> Any:
    alpha = rstd if weight is None else rstd * weight
    offset = -(mean * alpha) if bias is None else bias - mean * alpha
    return x * _along_channels(alpha, x) + _along_channels(offset, x)


def _instance_inputs(draw: Any) -> dict[str, Any]:
    use_input_stats = draw.choice((True, False))
    channels, batch = draw.side(1, 5), draw.side(1, 5)
    rest = draw.shape(dims=(1, 3), least=2 if use_input_stats else 1, most=60)
    return {
        "x": draw.array((batch, channels, *rest)),
        **_running(draw, channels, needed=not use_input_stats),
        **_affine(draw, channels),
        "use_input_stats": use_input_stats,
        "momentum": draw.choice(MOMENTA),
        "eps": draw.choice(EPSILONS),
    }


def _of_samples(
    formula: Callable[..., Any], x: Any, vectors: tuple[Any, ...], use_input_stats: bool, momentum: Any, eps: Any
) -> Any:
    """A formula of batch_norm on samples and channels as the channels of one batch."""
    batch, channels = np.shape(x)[:2]
    outputs, batch_norm_vjp = formula(
        x.reshape((1, batch * channels, *np.shape(x)[2:])),
        *(_copies(vector, batch) for vector in vectors),
        training=use_input_stats,
        momentum=momentum,
        eps=eps,
    )
    outputs = {
        name: output.reshape(np.shape(x)) if name == "value" else _mean_of_copies(output, batch, channels)
        for name, output in outputs.items()
    }

    def instance_norm_vjp(g: Any) -> dict[str, Any]:
        gradients = batch_norm_vjp(g.reshape((1, batch * channels, *np.shape(x)[2:])))
        return {
            name: gradient.reshape(np.shape(x))
            if name == "x"
            else np.sum(stored(gradient).reshape((batch, channels)), axis=0)
            for name, gradient in gradients.items()
        }

    return outputs, instance_norm_vjp


def _instance_norm_twice(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    *,
    use_input_stats: bool = True,
    momentum: Any = 0.1,
    eps: Any = 1e-5,
) -> Any:
    """instance_norm as the second backward of batch_norm has it."""
    vectors = (running_mean, running_var, weight, bias)
    return _of_samples(batch_norm_twice, x, vectors, use_input_stats, momentum, eps)


@reference(
    "nn.functional.instance_norm",
    inputs=_instance_inputs,
    constant=("running_mean", "running_var"),
    aux=("running_mean", "running_var"),
    routes=dict.fromkeys(("double", "func.double"), _instance_norm_twice),
)
def instance_norm(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    *,
    use_input_stats: bool = True,
    momentum: Any = 0.1,
    eps: Any = 1e-5,
) -> Any:
    """batch_norm of each sample by itself; x: (N, C, L…) (Ulyanov et al. 2016).

    PyTorch's route is stated: samples and channels count as N·C channels of one batch, with N copies of weight, bias
    and running statistics; afterwards the running statistics are the mean of their copies. With ``use_input_stats``
    off they change by that mean's rounding alone.
    """
    return _of_samples(batch_norm, x, (running_mean, running_var, weight, bias), use_input_stats, momentum, eps)


def _copies(vector: Any, times: int) -> Any:
    return None if vector is None else np.concatenate([vector] * times)


def _mean_of_copies(statistic: Any, batch: int, channels: int) -> Any:
    return np.sum(stored(statistic).reshape((batch, channels)), axis=0) / batch
