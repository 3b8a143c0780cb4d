"""Adaptive pooling: as many windows as asked for, which together cover each side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.reference.nn.functional.pooling.average import divided_sums
from gradcheck.reference.nn.functional.pooling.draws import MOST, leading
from gradcheck.reference.nn.functional.pooling.maximum import kinks_of, with_indices, won
from gradcheck.reference.nn.functional.pooling.windows import Windows, adaptive, joined, per_dimension, vjp_of_x
from gradcheck.reference.registry import reference

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
    "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
]  # fmt: skip


def _windows(x: Any, dims: int, output_size: Any) -> tuple[Windows, list[np.ndarray]]:
    """The windows, and along each dimension how many elements the window of each output has."""
    sides = np.shape(x)[-dims:]
    counts = [
        side if count is None else count for side, count in zip(sides, per_dimension(output_size, dims), strict=True)
    ]
    positions = [adaptive(side, count) for side, count in zip(sides, counts, strict=True)]
    lengths = [(table >= 0).sum(axis=-1) for table in positions]
    grid = np.meshgrid(*lengths, indexing="ij")
    return joined(positions, sides), [length.reshape(-1) for length in grid]


def _average(x: Any, dims: int, output_size: Any) -> Any:
    windows, lengths = _windows(x, dims, output_size)
    value, vjp = divided_sums(x, windows, lengths)
    return value, vjp_of_x(vjp)


def _inputs(dims: int, indexed: bool) -> Callable[[Any], dict[str, Any]]:
    sizes = (2, 3, 4, 7, 1) if dims == 1 else (2, 3, None, 4, 7, 1)

    def inputs(draw: Any) -> dict[str, Any]:
        sides = tuple(draw.side(1, MOST[dims]) for _ in range(dims))
        size = draw.choice(sizes)
        alone = size if size is not None or dims == 1 else 5
        forms = (alone, (size, *(draw.choice(sizes) for _ in sides[1:])))
        arguments = {"x": draw.array((*leading(draw), *sides)), "output_size": draw.choice(forms)}
        return {**arguments, "return_indices": draw.choice((False, True))} if indexed else arguments

    return inputs


@reference("nn.functional.adaptive_avg_pool1d", inputs=_inputs(1, False))
def adaptive_avg_pool1d(x: Any, *, output_size: Any) -> Any:
    """Mean of each of ``output_size`` windows; x: (N, C, L) or (C, L). Windows as for adaptive_avg_pool2d."""
    return _average(x, 1, output_size)


@reference("nn.functional.adaptive_avg_pool2d", inputs=_inputs(2, False))
def adaptive_avg_pool2d(x: Any, *, output_size: Any) -> Any:
    """Mean of each window (He et al. 2015, spatial pyramid pooling); x: (N, C, H, W) or (C, H, W).

    Of n windows along a side of length s, window i reaches from floor(i·s/n) up to, not including, ceil((i + 1)·s/n);
    they may overlap by one element. None keeps the side. Sums are divided by each side of the window in turn.
    """
    return _average(x, 2, output_size)


@reference("nn.functional.adaptive_avg_pool3d", inputs=_inputs(3, False))
def adaptive_avg_pool3d(x: Any, *, output_size: Any) -> Any:
    """Mean of each window; x: (N, C, D, H, W) or (C, D, H, W). Windows as for adaptive_avg_pool2d."""
    return _average(x, 3, output_size)


def _maximum(x: Any, dims: int, output_size: Any, return_indices: bool) -> Any:
    return with_indices(*won(x, _windows(x, dims, output_size)[0]), return_indices)


@reference(
    "nn.functional.adaptive_max_pool1d", inputs=_inputs(1, True), aux=("indices",), kinks=kinks_of((4,), output_size=1)
)
def adaptive_max_pool1d(x: Any, *, output_size: Any, return_indices: bool = False) -> Any:
    """Maximum of each of ``output_size`` windows; x: (N, C, L) or (C, L). Conventions as for adaptive_max_pool2d."""
    return _maximum(x, 1, output_size, return_indices)


@reference(
    "nn.functional.adaptive_max_pool2d",
    inputs=_inputs(2, True),
    aux=("indices",),
    kinks=kinks_of((1, 4), output_size=1),
)
def adaptive_max_pool2d(x: Any, *, output_size: Any, return_indices: bool = False) -> Any:
    """Maximum of each window; x: (N, C, H, W) or (C, H, W). Windows as for adaptive_avg_pool2d.

    Of several maxima the first wins and gets the whole gradient; of several NaN the last, as for max_pool2d.
    """
    return _maximum(x, 2, output_size, return_indices)


@reference(
    "nn.functional.adaptive_max_pool3d",
    inputs=_inputs(3, True),
    aux=("indices",),
    kinks=kinks_of((1, 1, 4), output_size=1),
)
def adaptive_max_pool3d(x: Any, *, output_size: Any, return_indices: bool = False) -> Any:
    """Maximum of each window; x: (N, C, D, H, W) or (C, D, H, W). Conventions as for adaptive_max_pool2d."""
    return _maximum(x, 3, output_size, return_indices)
