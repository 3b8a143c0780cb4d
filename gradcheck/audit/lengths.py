"""How many additions follow one another on the way from the inputs of a formula to each of its outputs.

A rounding error grows with the longest chain of roundings that a result comes through: k of them give γ_k at most, and
λ·√k·u with a stated probability (Higham 2002, §3.1; Higham & Mary 2019). So the length n of a reduction, which a
sensitivity is measured by, is counted along the chain: a sum of n terms has n - 1 additions one after another, and what
it goes into has its own after them. The gradient of softmax adds up n exponentials, then n products with their
quotients: 2n - 1. Each of the n terms of batch_norm's weight gradient carries the mean of the batch, a sum of as many:
2n - 1; their factor, which comes through the mean and the variance, is as long and beside it. Two sums with a + or -
between them are one sum, of one addition more than the longer: the gates of a recurrent cell are a sum over input and
hidden state, written as two, and a state goes on through such a + at each step. Where one side comes through no sum it
is an operation like the others (x - mean). Other roundings than those of sums do not count.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from gradcheck.arithmetic.protocol import Composite
from gradcheck.reference.evaluate import Cotangent, evaluate_all
from gradcheck.reference.registry import Reference

__all__ = ["lengths"]


def lengths(operation: Reference, arguments: dict[str, Any], cotangent: Cotangent) -> dict[str, int]:
    """By output, the number of terms of one sum with as many additions as its longest chain; 1 where it has none."""
    with np.errstate(all="ignore"):
        outputs = evaluate_all(operation, arguments, cotangent, lambda array: Counted(array, 0), np.float64)
    return {name: 1 + _additions(output) for name, output in outputs.items()}


class Counted(Composite):
    """value: float64 array, as the formula gives it; additions: in the longest chain that led to it."""

    __slots__ = ("additions", "value")
    ufuncs: ClassVar[dict[Any, Any]] = {}
    functions: ClassVar[dict[Any, Any]] = {}
    priority = 1
    rules_file = "gradcheck/audit/lengths.py"

    def __init__(self, value: Any, additions: int) -> None:
        self.value = np.asarray(value)
        self.additions = additions

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def __float__(self) -> float:
        return float(self.value)

    def _map(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        return Counted(function(self.value), self.additions)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        more, before = 0, _additions(inputs)
        if ufunc is np.matmul:
            more = max(np.shape(inputs[0])[-1] - 1, 0)
        elif ufunc in (np.add, np.subtract):
            more = int(all(map(_additions, inputs)))
        return _counted(ufunc(*_plain(inputs)), before + more)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        value = function(*_plain(args), **_plain(kwargs))
        if function in (np.zeros_like, np.ones_like):
            return Counted(value, 0)
        return _counted(value, _additions([args, list(kwargs.values())]) + _own(function, args, value))


def _counted(value: Any, additions: int) -> Any:
    """What is no float (a mask, a place, a shape) takes part in no addition."""
    return Counted(value, additions) if getattr(value, "dtype", np.dtype(bool)).kind == "f" else value


def _own(function: Any, args: Any, value: Any) -> int:
    """The additions of the function itself, one after another."""
    if function in (np.sum, np.mean):
        return max(np.size(args[0]) // max(np.size(value), 1) - 1, 0)
    if function is np.einsum:
        inputs, output = args[0].replace(" ", "").split("->")
        sides: dict[str, int] = {}
        for letters, array in zip(inputs.split(","), args[1:], strict=True):
            sides |= dict(zip(letters, np.shape(array), strict=True))
        return max(math.prod(side for letter, side in sides.items() if letter not in output) - 1, 0)
    return 0


def _additions(parts: Any) -> int:
    if isinstance(parts, Counted):
        return parts.additions
    return max(map(_additions, parts), default=0) if isinstance(parts, list | tuple) else 0


def _plain(parts: Any) -> Any:
    if isinstance(parts, Counted):
        return parts.value
    if isinstance(parts, list | tuple):
        return [_plain(part) for part in parts] if isinstance(parts, list) else tuple(map(_plain, parts))
    return {name: _plain(part) for name, part in parts.items()} if isinstance(parts, dict) else parts
