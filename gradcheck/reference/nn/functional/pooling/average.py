"""Average pooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from gradcheck.reference.registry import reference

__all__ = ["avg_pool", "avg_pool1d", "avg_pool2d", "avg_pool3d", "divided_sums"]


def divided_sums(x: Any, windows: Windows, divisors: Sequence[np.ndarray]) -> tuple[Any, Callable[[Any], Any]]:
    """The sum of each window, divided by one divisor of each output after the other; and its vjp for x."""
    planes = planes_of(x, len(windows.sides))
    outputs, _ = np.nonzero(windows.inside)
    places = windows.places[windows.inside]
    divisors = [_as_number(divisor) for divisor in divisors]
    value = _divided(spread_sum(planes[:, places], outputs, len(windows.places)), divisors)
    lead = np.shape(x)[: np.ndim(x) - len(windows.sides)]

    def divided_sums_vjp(g: Any) -> Any:
        shares = _divided(planes_of(g, len(windows.sides)), divisors)
        return spread_sum(shares[:, outputs], places, np.shape(planes)[1]).reshape(np.shape(x))

    return value.reshape(*lead, *windows.sides), divided_sums_vjp


def _as_number(divisor: np.ndarray) -> Any:
    """The divisor as one number where all are equal: division by a power of two is exact, and bounded as such."""
    return int(divisor.flat[0]) if np.all(divisor == divisor.flat[0]) else divisor.astype(np.float64)


def _divided(x: Any, divisors: Sequence[Any]) -> Any:
    for divisor in divisors:
        x = x / divisor
    return x


def avg_pool(
    x: Any,
    dims: int,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> tuple[Any, Callable[[Any], Any]]:
    """Mean of each window over the last ``dims`` dimensions, and its vjp for x."""
    sides = np.shape(x)[-dims:]
    kernels, pads = per_dimension(kernel_size, dims), per_dimension(padding, dims)
    steps = kernels if stride is None else per_dimension(stride, dims)
    positions = [sliding(*each, 1, ceil_mode) for each in zip(sides, kernels, steps, pads, strict=True)]
    windows = joined(positions, sides)
    if divisor_override is not None:
        divisor = np.full(len(windows.places), divisor_override)
    elif count_include_pad:
        # What a last window has beyond the padding is not counted.
        counted = [table < side + pad for table, side, pad in zip(positions, sides, pads, strict=True)]
        reach = [np.where(there, 0, -1) for there in counted]
        divisor = joined(reach, (1,) * dims).inside.sum(axis=-1)
    else:
        divisor = windows.inside.sum(axis=-1)
    return divided_sums(x, windows, [divisor])


def _inputs(dims: int) -> Callable[[Any], dict[str, Any]]:
    def inputs(draw: Any) -> dict[str, Any]:
        options, sides = sliding_options(draw, dims, padded=True, whole=dims == 3)
        arguments = {
            "x": draw.array((*leading(draw), *sides)),
            **options,
            "ceil_mode": draw.boolean(),
            "count_include_pad": draw.choice((True, False)),
        }
        return arguments if dims == 1 else {**arguments, "divisor_override": draw.choice((None, 3, 1, 4, -7))}

    return inputs


@reference("nn.functional.avg_pool1d", inputs=_inputs(1))
def avg_pool1d(
    x: Any,
    *,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """Mean of each window; x: (N, C, L) or (C, L). Conventions as for avg_pool2d."""
    value, vjp = avg_pool(x, 1, kernel_size, stride, padding, ceil_mode, count_include_pad)
    return value, vjp_of_x(vjp)


@reference("nn.functional.avg_pool2d", inputs=_inputs(2))
def avg_pool2d(
    x: Any,
    *,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """Σ over the window / divisor (LeCun et al. 1989); x: (N, C, H, W) or (C, H, W); stride: kernel_size if None.

    The divisor is ``divisor_override``, or the number of elements of the window: those in the padding among them with
    ``count_include_pad``, but never what the last window of ``ceil_mode`` has beyond the padding.
    """
    value, vjp = avg_pool(x, 2, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return value, vjp_of_x(vjp)


@reference("nn.functional.avg_pool3d", inputs=_inputs(3))
def avg_pool3d(
    x: Any,
    *,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """Σ over the window / divisor; x: (N, C, D, H, W) or (C, D, H, W). Conventions as for avg_pool2d.

    PyTorch refuses an input smaller than the window, padded or not, which it takes in one and two dimensions.
    """
    value, vjp = avg_pool(x, 3, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return value, vjp_of_x(vjp)
