"""Fractional max pooling: windows whose steps vary, as random samples have it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic.functions import dtype_of
from gradcheck.errors import UsageError
from gradcheck.formats import Format, format_named
from gradcheck.reference.nn.functional.pooling.draws import leading
from gradcheck.reference.nn.functional.pooling.maximum import kinks_of, with_indices, won
from gradcheck.reference.nn.functional.pooling.windows import joined, per_dimension
from gradcheck.reference.registry import Kink, reference

__all__ = ["fractional_max_pool2d", "fractional_max_pool3d"]


def _starts(samples: np.ndarray, side: int, count: int, kernel: int, form: Format) -> np.ndarray:
    """Where the windows of each plane start along a side: floor((i + u)·α) - floor(u·α), the last at side - kernel.

    α = (side - kernel)/(count - 1). PyTorch computes this in the dtype of the input, which decides the floors.
    samples: u of each plane; result: (planes, count).
    """
    last = np.full((len(samples), 1), side - kernel)
    if count <= 1:
        return last[:, :count]
    alpha = form.round(form.round(np.float64(side - kernel)) / form.round(np.float64(count - 1)))
    u = samples[:, None]
    reached = form.round(form.round(form.round(np.arange(count - 1.0)) + u) * alpha)
    starts = np.floor(reached) - np.floor(form.round(u * alpha))
    return np.concatenate([starts.astype(np.int64), last], axis=1)


def _fractional(
    x: Any,
    random_samples: Any,
    dims: int,
    kernel_size: Any,
    output_size: Any,
    output_ratio: Any,
    return_indices: bool,
    order: tuple[int, ...],
) -> Any:
    """order: for each dimension, which of the samples is its own."""
    if random_samples is None:
        raise UsageError(f"_random_samples has to be given for fractional_max_pool{dims}d: it is random otherwise.")
    sides = np.shape(x)[-dims:]
    kernels = per_dimension(kernel_size, dims)
    if output_size is not None:
        counts = per_dimension(output_size, dims)
    else:
        ratios = per_dimension(output_ratio, dims)
        counts = tuple(int(side * float(ratio)) for side, ratio in zip(sides, ratios, strict=True))
    samples = np.array([float(sample) for sample in random_samples.reshape(-1)]).reshape(-1, dims)
    form = format_named(dtype_of(x))
    positions = []
    for side, count, kernel, own in zip(sides, counts, kernels, order, strict=True):
        starts = _starts(samples[:, own], side, count, kernel, form)
        positions.append(starts[:, :, None] + np.arange(kernel))
    return with_indices(*won(x, joined(positions, sides)), return_indices)


def _inputs(dims: int) -> Callable[[Any], dict[str, Any]]:
    least_step = 1 if dims == 3 else 0  # in three dimensions a window more than strictly fits is refused

    def inputs(draw: Any) -> dict[str, Any]:
        kernels = tuple(draw.choice((2, 1, 3)) for _ in range(dims))
        sides = tuple(draw.side(2 * kernel, 17 if dims == 2 else 7) for kernel in kernels)
        most = tuple(side - kernel + 1 - least_step for side, kernel in zip(sides, kernels, strict=True))
        counts = tuple(max(1, room * draw.choice((2, 4, 3, 1)) // 4) for room in most)
        alone = draw.choice((False, True))
        if alone:
            kernels, counts = (min(kernels),) * dims, (min(counts),) * dims
        ratio = draw.choice((None, 0.5, tuple(draw.choice((0.5, 0.3, 0.25)) for _ in kernels)))
        lead = leading(draw)
        planes = lead if len(lead) == 2 else (1, *lead)
        return {
            "x": draw.array((*lead, *sides)),
            "_random_samples": draw.array((*planes, dims), ("inner", "unit")),
            "kernel_size": kernels[0] if alone else kernels,
            "output_size": None if ratio is not None else counts[0] if alone else counts,
            "output_ratio": ratio,
            "return_indices": draw.choice((False, True)),
        }

    return inputs


def _kinks(*shape: int) -> tuple[Kink, ...]:
    dims = len(shape)
    row = (1,) * (dims - 1) + (4,)
    return kinks_of(shape, _random_samples=[[[0.5] * dims]], kernel_size=row, output_size=(1,) * dims)


@reference(
    "nn.functional.fractional_max_pool2d",
    inputs=_inputs(2),
    constant=("_random_samples",),
    aux=("indices",),
    kinks=_kinks(1, 4),
)
def fractional_max_pool2d(
    x: Any,
    _random_samples: Any = None,
    *,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
) -> Any:
    """Maximum of each window (Graham 2014); x: (N, C, H, W) or (C, H, W), _random_samples u: (N, C, 2), in [0, 1).

    Of the n windows along a side of length s, number i starts at floor((i + u)·α) - floor(u·α) with
    α = (s - kernel)/(n - 1), the last at s - kernel; computed in the dtype of x. The first sample is that of the width,
    the second that of the height. n: ``output_size``, or floor(s·output_ratio). Raises UsageError without samples.
    Of several maxima the first wins and gets the whole gradient; of several NaN the last, as for max_pool2d.
    """
    return _fractional(x, _random_samples, 2, kernel_size, output_size, output_ratio, return_indices, (1, 0))


@reference(
    "nn.functional.fractional_max_pool3d",
    inputs=_inputs(3),
    constant=("_random_samples",),
    aux=("indices",),
    kinks=_kinks(2, 2, 5),
)
def fractional_max_pool3d(
    x: Any,
    _random_samples: Any = None,
    *,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
) -> Any:
    """Maximum of each window; x: (N, C, D, H, W) or (C, D, H, W), _random_samples: (N, C, 3), for D, H and W in turn.

    Conventions as for fractional_max_pool2d. PyTorch refuses as many windows as would just fit along a side.
    """
    return _fractional(x, _random_samples, 3, kernel_size, output_size, output_ratio, return_indices, (0, 1, 2))
