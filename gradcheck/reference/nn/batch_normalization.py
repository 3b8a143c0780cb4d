"""Batch normalisation as a layer: which statistics it takes, and how it counts the batches it has seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import number
from gradcheck.reference.nn.functional.batch_normalization import batch_norm, batch_norm_twice
from gradcheck.reference.registry import reference

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d"]

STATISTICS = ("running_mean", "running_var")


def _inputs(dims: tuple[int, ...], longest: int) -> Callable[[Any], dict[str, Any]]:
    """dims: how many dimensions there may be after batch and channels; longest: their largest side."""

    def inputs(draw: Any) -> dict[str, Any]:
        training, tracked = draw.choice((True, False)), draw.choice((True, False))
        by_batch = training or not tracked
        channels = draw.side(1, 9)
        rest = tuple(draw.side(1, longest) for _ in range(draw.choice(dims)))
        batch = draw.side(2 if by_batch else 1, 9)  # one number of a channel alone has no variance
        affine = draw.choice((True, False))
        return {
            "x": draw.array((batch, channels, *rest)),
            "running_mean": draw.tame((channels,)) if tracked else None,
            "running_var": draw.array((channels,), ("positive",)) if tracked else None,
            "weight": draw.tame((channels,)) if affine else None,
            "bias": draw.tame((channels,)) if affine else None,
            "num_batches_tracked": draw.choice((0, 1, 2, 6, 100)) if tracked else None,
            "momentum": draw.choice((None, 0.1, 0.5)),
            "eps": draw.choice((1e-5, 1e-3, 0.5)),
            "training": training,
        }

    return inputs


def _layer(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any,
    bias: Any,
    num_batches_tracked: int | None,
    momentum: Any,
    eps: Any,
    training: bool,
    formula: Callable[..., Any] = batch_norm,
) -> Any:
    """batch_norm with the statistics and the momentum that the layer chooses."""
    seen = None if num_batches_tracked is None else num_batches_tracked + int(training)
    if momentum is None:  # the cumulative average: the latest batch counts one in so many
        momentum = number(1.0, x) / float(seen) if seen else number(0.0, x)
    outputs, batch_norm_vjp = formula(
        x, running_mean, running_var, weight, bias, training=training or seen is None, momentum=momentum, eps=eps
    )
    if seen is not None:
        outputs["num_batches_tracked"] = np.asarray(seen)
    return outputs, batch_norm_vjp


def _layer_twice(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    *,
    num_batches_tracked: int | None = None,
    momentum: Any = 0.1,
    eps: Any = 1e-5,
    training: bool = True,
) -> Any:
    """The layer as the second backward of batch_norm has it."""
    return _layer(
        x, running_mean, running_var, weight, bias, num_batches_tracked, momentum, eps, training, batch_norm_twice
    )


COUNTED = (*STATISTICS, "num_batches_tracked")
TWICE = dict.fromkeys(("double", "func.double"), _layer_twice)


@reference("nn.BatchNorm1d", inputs=_inputs((1, 0), 16), constant=STATISTICS, aux=COUNTED, routes=TWICE)
def BatchNorm1d(  # noqa: N802 - PyTorch's own name
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    *,
    num_batches_tracked: int | None = None,
    momentum: Any = 0.1,
    eps: Any = 1e-5,
    training: bool = True,
) -> Any:
    """batch_norm of x: (N, C) or (N, C, L), by the state of the layer (Ioffe & Szegedy 2015).

    ``num_batches_tracked`` None: the layer keeps no running statistics (track_running_stats=False) and takes those of
    the batch, in evaluation as well. Else training counts it up by one, and with ``momentum`` None the running
    statistics become the mean over all batches: 1/(number of batches) is the momentum.
    """
    return _layer(x, running_mean, running_var, weight, bias, num_batches_tracked, momentum, eps, training)


@reference("nn.BatchNorm2d", inputs=_inputs((2,), 8), constant=STATISTICS, aux=COUNTED, routes=TWICE)
def BatchNorm2d(  # noqa: N802 - PyTorch's own name
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    *,
    num_batches_tracked: int | None = None,
    momentum: Any = 0.1,
    eps: Any = 1e-5,
    training: bool = True,
) -> Any:
    """BatchNorm1d of x: (N, C, H, W)."""
    return _layer(x, running_mean, running_var, weight, bias, num_batches_tracked, momentum, eps, training)


@reference("nn.BatchNorm3d", inputs=_inputs((3,), 4), constant=STATISTICS, aux=COUNTED, routes=TWICE)
def BatchNorm3d(  # noqa: N802 - PyTorch's own name
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    *,
    num_batches_tracked: int | None = None,
    momentum: Any = 0.1,
    eps: Any = 1e-5,
    training: bool = True,
) -> Any:
    """BatchNorm1d of x: (N, C, D, H, W)."""
    return _layer(x, running_mean, running_var, weight, bias, num_batches_tracked, momentum, eps, training)
