"""Windows over the last dimensions of a tensor: which elements each output looks at, and sums along that relation.

Every dimension has a table of positions, (windows, elements of a window); a position outside the dimension is padding.
Tensors are worked on as planes, (batch and channels, elements), in which places are flat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Windows", "adaptive", "joined", "per_dimension", "planes_of", "sliding", "spread_sum", "vjp_of_x"]


@dataclass(frozen=True)
class Windows:
    """places: (…, outputs, elements) in the plane, 0 where there is none; inside: where there is one.

    The dimensions in front, if any, are those of the planes: windows may lie elsewhere in each. sides: of the output.
    """

    places: np.ndarray
    inside: np.ndarray
    sides: tuple[int, ...]


def per_dimension(value: Any, dims: int) -> tuple[Any, ...]:
    """A hyperparameter of each dimension: one for all may be given as a number or as the only element of a tuple."""
    if not isinstance(value, tuple | list):
        return (value,) * dims
    return tuple(value) * dims if len(value) == 1 else tuple(value)


def planes_of(x: Any, dims: int) -> Any:
    """x with the last ``dims`` dimensions as one and all others as another."""
    return x.reshape(-1, int(np.prod(np.shape(x)[-dims:])))


def sliding(
    side: int, kernel: int, stride: int, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
) -> np.ndarray:
    """Positions of windows that slide along a dimension, (windows, kernel).

    With ``ceil_mode`` a last window may reach beyond the padding, if it starts before the padding behind.
    """
    room = side + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (count - 1) * stride >= side + padding:
        count -= 1
    starts = np.arange(count) * stride - padding
    return starts[:, None] + np.arange(kernel) * dilation


def adaptive(side: int, count: int) -> np.ndarray:
    """Positions of ``count`` windows from floor(i·side/count) up to ceil((i + 1)·side/count), -1 beyond the end."""
    i = np.arange(count)
    starts, ends = i * side // count, -(-(i + 1) * side // count)
    positions = starts[:, None] + np.arange(int((ends - starts).max()))
    return np.where(positions < ends[:, None], positions, -1)


def joined(positions: Sequence[np.ndarray], sides: Sequence[int]) -> Windows:
    """The windows whose sides along each dimension (of length ``sides``) are these; row-major, as PyTorch counts."""
    dims = len(sides)
    places, inside = np.zeros((1,) * 2 * dims, dtype=np.int64), np.ones((1,) * 2 * dims, dtype=bool)
    for axis, (table, side) in enumerate(zip(positions, sides, strict=True)):
        lead, (outputs, elements) = table.shape[:-2], table.shape[-2:]
        shape = [1] * 2 * dims
        shape[axis], shape[dims + axis] = outputs, elements
        along = table.reshape(*lead, *shape)
        places = places * side + along
        inside = inside & (along >= 0) & (along < side)
    output = tuple(table.shape[-2] for table in positions)
    elements = int(np.prod([table.shape[-1] for table in positions]))
    rows = (*positions[0].shape[:-2], int(np.prod(output)), elements)
    return Windows(np.where(inside, places, 0).reshape(rows), inside.reshape(rows), output)


def spread_sum(terms: Any, targets: np.ndarray, size: int) -> Any:
    """Σ of the terms that go to each of ``size`` targets; terms: (planes, n), targets: (n,), result: (planes, size).

    Targets that get equally many terms are summed together, so that a bound counts the terms that are there.
    """
    counts = np.bincount(targets, minlength=size)
    order = np.argsort(targets, kind="stable")
    starts = np.cumsum(counts) - counts
    sums, places = [], []
    for count in np.unique(counts):
        here = np.flatnonzero(counts == count)
        chosen = order[starts[here][:, None] + np.arange(count)]
        sums.append(np.sum(terms[:, chosen], axis=-1))
        places.append(here)
    if not sums:
        return np.zeros_like(terms)
    back = np.argsort(np.concatenate(places))
    return np.take(np.concatenate(sums, axis=1), back, axis=1)


def vjp_of_x(vjp: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    """The vjp of an operation whose only gradient is that of x, from the vjp for x alone."""

    def x_vjp(g: Any) -> dict[str, Any]:
        return {"x": vjp(g)}

    return x_vjp
