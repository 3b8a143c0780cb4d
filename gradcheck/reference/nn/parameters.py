"""The parameters of a module as one flat array, in the order in which the module has them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["Shapes", "flattened", "size", "unflattened"]

Shapes = dict[str, tuple[int, ...]]
"""Of the parameters by name, in PyTorch's order."""


def size(shapes: Shapes) -> int:
    """Number of all parameters."""
    return sum(math.prod(shape) for shape in shapes.values())


def unflattened(weights: Any, shapes: Shapes) -> dict[str, Any]:
    """The parameters by name, from a flat array that holds them one after the other."""
    parts, start = {}, 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        parts[name] = weights[start:stop].reshape(shape)
        start = stop
    return parts


def flattened(gradients: dict[str, Any], shapes: Shapes) -> Any:
    """The gradient of the flat array from those of its parts, which may be more."""
    return np.concatenate([gradients[name].reshape(math.prod(shape)) for name, shape in shapes.items()])
