"""Max unpooling: the partial inverse of max pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.reference.nn.functional.pooling.draws import MOST, leading
from gradcheck.reference.nn.functional.pooling.windows import per_dimension, planes_of
from gradcheck.reference.registry import reference

__all__ = ["max_unpool1d", "max_unpool2d", "max_unpool3d"]


def _sides(
    sides: tuple[int, ...], kernel_size: Any, stride: Any, padding: Any, output_size: tuple[int, ...] | None = None
) -> tuple[int, ...]:
    """The output's: as asked for, or (side - 1)·stride + kernel - 2·padding."""
    dims = len(sides)
    if output_size is not None:
        return tuple(output_size[-dims:])
    kernels, pads = per_dimension(kernel_size, dims), per_dimension(padding, dims)
    steps = kernels if stride is None else per_dimension(stride, dims)
    each = zip(sides, kernels, steps, pads, strict=True)
    return tuple((side - 1) * step + kernel - 2 * pad for side, kernel, step, pad in each)


def _unpooled(x: Any, indices: np.ndarray, sides: tuple[int, ...]) -> Any:
    """Each element of x at its index in a plane of zeros."""
    dims = len(sides)
    planes, places = planes_of(x, dims), planes_of(indices, dims)
    shift = np.arange(len(places))[:, None] * int(np.prod(sides))
    sources = np.full(len(places) * int(np.prod(sides)), -1)
    sources[places + shift] = np.arange(places.size).reshape(places.shape)
    taken = np.take(planes.reshape(-1), np.maximum(sources, 0)) if places.size else np.zeros_like(planes.reshape(-1))
    value = np.where(sources >= 0, taken, 0.0).reshape(*np.shape(x)[: np.ndim(x) - dims], *sides)

    def unpooled_vjp(g: Any) -> dict[str, Any]:
        return {"x": g.reshape(-1)[places + shift].reshape(np.shape(x))}

    return value, unpooled_vjp


def _inputs(dims: int) -> Callable[[Any], dict[str, Any]]:
    def inputs(draw: Any) -> dict[str, Any]:
        # A padding below half of the kernel: the output is then never smaller than x, and indices can be distinct.
        kernels = tuple(draw.choice((2, 3, 1)) for _ in range(dims))
        options: dict[str, Any] = {
            "kernel_size": kernels,
            "stride": draw.choice((None, tuple(draw.choice((2, 1, 3)) for _ in kernels))),
            "padding": tuple(draw.choice(range((kernel - 1) // 2 + 1)) for kernel in kernels),
        }
        if draw.boolean():
            options = {name: value and (value[0] if name != "padding" else 0) for name, value in options.items()}
        sides = tuple(draw.side(1, MOST[dims]) for _ in range(dims))
        output, lead = _sides(sides, **options), leading(draw)
        steps = per_dimension(options["kernel_size"] if options["stride"] is None else options["stride"], dims)
        asked = tuple(side + draw.choice(range(step)) for side, step in zip(output, steps, strict=True))
        size = draw.choice((None, asked, (1, 1, *asked)))
        return {
            "x": draw.array((*lead, *sides)),
            "indices": draw.distinct((*lead, *sides), int(np.prod(output if size is None else asked)), dims),
            **options,
            "output_size": size,
        }

    return inputs


@reference("nn.functional.max_unpool1d", inputs=_inputs(1), constant=("indices",))
def max_unpool1d(
    x: Any, indices: Any, *, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """x at its indices in rows of zeros; x, indices: (N, C, L) or (C, L). Conventions as for max_unpool2d."""
    return _unpooled(x, indices, _sides(np.shape(x)[-1:], kernel_size, stride, padding, output_size))


@reference("nn.functional.max_unpool2d", inputs=_inputs(2), constant=("indices",))
def max_unpool2d(
    x: Any, indices: Any, *, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """x at its indices in planes of zeros (Zeiler & Fergus 2014); x, indices: (N, C, H, W) or (C, H, W).

    Indices count the elements of an output plane in row-major order; those of one plane have to be distinct, else the
    result is not determined. The output is the smallest input that max_pool2d maps to x's sides, unless ``output_size``
    (its sides, with batch and channels in front or without) says otherwise.
    """
    return _unpooled(x, indices, _sides(np.shape(x)[-2:], kernel_size, stride, padding, output_size))


@reference("nn.functional.max_unpool3d", inputs=_inputs(3), constant=("indices",))
def max_unpool3d(
    x: Any, indices: Any, *, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """x at its indices in blocks of zeros; x, indices: (N, C, D, H, W) or (C, D, H, W). As max_unpool2d."""
    return _unpooled(x, indices, _sides(np.shape(x)[-3:], kernel_size, stride, padding, output_size))
