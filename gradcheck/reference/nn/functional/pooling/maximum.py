"""Max pooling: the element that wins a window, and where it lies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.reference.nn.functional.pooling.draws import leading, sliding_options
from gradcheck.reference.nn.functional.pooling.windows import (
    Windows,
    joined,
    per_dimension,
    planes_of,
    sliding,
    spread_sum,
    vjp_of_x,
)
from gradcheck.reference.registry import Kink, reference

__all__ = ["kinks_of", "max_pool", "max_pool1d", "max_pool2d", "max_pool3d", "with_indices", "won"]


def won(x: Any, windows: Windows) -> tuple[Any, np.ndarray, Callable[[Any], Any]]:
    """The element that wins each window, its place in its plane, and the vjp for x.

    The first of the largest elements wins, in row-major order; where there is NaN, the last NaN.
    """
    dims = len(windows.sides)
    planes = planes_of(x, dims)
    count, size = np.shape(planes)
    flat = planes.reshape(-1)
    shift = np.arange(count)[:, None]
    winners = _winners(flat, windows.places + shift[:, :, None] * size, windows.inside)
    shape = (*np.shape(x)[: np.ndim(x) - dims], *windows.sides)

    def won_vjp(g: Any) -> Any:
        return spread_sum(g.reshape(1, -1), winners.reshape(-1), count * size).reshape(np.shape(x))

    return flat[winners].reshape(shape), (winners - shift * size).reshape(shape), won_vjp


def _winners(flat: Any, places: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The winner of each row of places, neighbours against neighbours until one is left: the order does not matter."""
    inside = np.broadcast_to(inside, places.shape)
    while places.shape[-1] > 1:
        left, right = places[..., :-1:2], places[..., 1::2]
        here, there = inside[..., :-1:2], inside[..., 1::2]
        ahead = (flat[right] > flat[left]) | np.isnan(flat[right])
        alone = places[..., places.shape[-1] // 2 * 2 :]
        places = np.concatenate([np.where(there & (ahead | ~here), right, left), alone], axis=-1)
        inside = np.concatenate([here | there, inside[..., inside.shape[-1] // 2 * 2 :]], axis=-1)
    return places[..., 0]


def with_indices(
    value: Any, indices: np.ndarray, vjp: Callable[[Any], Any], return_indices: bool
) -> tuple[Any, Callable[[Any], dict[str, Any]]]:
    """What a reference returns: the value alone, or with the indices."""
    return {"value": value, "indices": indices} if return_indices else value, vjp_of_x(vjp)


def max_pool(
    x: Any,
    dims: int,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> tuple[Any, np.ndarray, Callable[[Any], Any]]:
    """The maximum of each window over the last ``dims`` dimensions, its place, and the vjp for x."""
    sides = np.shape(x)[-dims:]
    kernels = per_dimension(kernel_size, dims)
    steps = kernels if stride is None else per_dimension(stride, dims)
    rest = (per_dimension(padding, dims), per_dimension(dilation, dims))
    positions = [sliding(*each, ceil_mode) for each in zip(sides, kernels, steps, *rest, strict=True)]
    return won(x, joined(positions, sides))


def _inputs(dims: int) -> Callable[[Any], dict[str, Any]]:
    def inputs(draw: Any) -> dict[str, Any]:
        options, sides = sliding_options(draw, dims, padded=True, dilated=True)
        return {
            "x": draw.array((*leading(draw), *sides)),
            **options,
            "ceil_mode": draw.boolean(),
            "return_indices": draw.choice((False, True)),
        }

    return inputs


def _placed(row: list[float], shape: tuple[int, ...]) -> list[Any]:
    """One channel of that shape with the row in its last corner, and zeros elsewhere."""
    block = np.zeros((1, *shape))
    corner: tuple[Any, ...] = (0, *(-1,) * (len(shape) - 1), slice(-len(row), None))
    block[corner] = row
    nested: list[Any] = block.tolist()
    return nested


def kinks_of(shape: tuple[int, ...], **options: Any) -> tuple[Kink, ...]:
    """The conventions of a max pooling whose ``options`` make one window of the last four elements of that shape."""
    examples = (
        (
            "several elements of a window are its maximum",
            "the first of them, in row-major order, gets the whole gradient",
            [1.0, 3.0, 3.0, 3.0],
            1,
        ),
        (
            "NaN among the elements of a window",
            "the value is NaN, and the last NaN gets the whole gradient",
            [np.nan, 3.0, np.nan, np.inf],
            2,
        ),
        ("all elements of a window are -inf", "the first of them gets the whole gradient", [-np.inf] * 4, 0),
    )
    return tuple(
        Kink(
            where,
            what,
            at={"x": _placed(row, shape), **options},
            gives={
                "value": _placed([row[winner]], (1,) * len(shape)),
                "grad[x]": _placed([float(place == winner) for place in range(4)], shape),
            },
        )
        for where, what, row, winner in examples
    )


def _kinks(dims: int) -> tuple[Kink, ...]:
    row = (1,) * (dims - 1) + (4,)
    return kinks_of(row, kernel_size=row)


@reference("nn.functional.max_pool1d", inputs=_inputs(1), aux=("indices",), kinks=_kinks(1))
def max_pool1d(
    x: Any,
    *,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Maximum of each window; x: (N, C, L) or (C, L). Conventions as for max_pool2d."""
    return with_indices(*max_pool(x, 1, kernel_size, stride, padding, dilation, ceil_mode), return_indices)


@reference("nn.functional.max_pool2d", inputs=_inputs(2), aux=("indices",), kinks=_kinks(2))
def max_pool2d(
    x: Any,
    *,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Maximum of each window (Riesenhuber & Poggio 1999); x: (N, C, H, W) or (C, H, W); stride: kernel_size if None.

    The padding holds no element; indices count the elements of a plane in row-major order. Of several maxima the first
    wins and gets the whole gradient; of several NaN the last. Every window has to hold an element: where none does
    (a dilation larger than a padded side), PyTorch gives -inf and an index outside the plane.
    """
    return with_indices(*max_pool(x, 2, kernel_size, stride, padding, dilation, ceil_mode), return_indices)


@reference("nn.functional.max_pool3d", inputs=_inputs(3), aux=("indices",), kinks=_kinks(3))
def max_pool3d(
    x: Any,
    *,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Maximum of each window; x: (N, C, D, H, W) or (C, D, H, W). Conventions as for max_pool2d."""
    return with_indices(*max_pool(x, 3, kernel_size, stride, padding, dilation, ceil_mode), return_indices)
