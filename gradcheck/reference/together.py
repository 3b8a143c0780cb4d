"""Several arrays that go through a formula together, and what comes out of it taken apart again.

Of small arrays, calling the rules of an arithmetic is what takes the time, and a batch (``arithmetic/batched.py``)
calls them once. Derivatives along several arrays go together as well: each of them is a row, in which one array moves
and the others stand still, so that they are rounded apart, as where they are evaluated one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel
from gradcheck.arithmetic.along import Along
from gradcheck.arithmetic.batched import Batched
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.errors import MissingRuleError

__all__ = [
    "UNITS",
    "Moves",
    "Outputs",
    "added",
    "added_along",
    "batch",
    "contents",
    "stacked",
    "step",
]

Outputs = dict[str, Bounded]

Moves = Sequence[tuple[str, ...]]
"""Rows of a batch: in each the array that moves, of second derivatives the two that do, one for each derivative."""

UNITS = 64
"""Rows that go through a formula together at most."""

ELEMENTS = 1 << 14
"""Elements that all rows of the largest array have together at most: beyond, nothing is gained."""


def batch(arrays: np.ndarray, model: RoundingModel) -> Any:
    """Several arrays that go through a formula together; those that are all the same as one."""
    same = all(array.tobytes() == arrays[0].tobytes() for array in arrays[1:])
    return lift_array(arrays[0], model) if same else Batched(lift_array(arrays, model))


def step(arrays: Sequence[np.ndarray], rows: tuple[int, ...], length: int, model: RoundingModel) -> Any:
    """The directions in which an array moves in some rows of a batch, and stands still in the others."""
    return lift_array(arrays[0], model) if length == 1 else Along(lift_array(np.stack(arrays), model), rows, length)


def contents(numbers: dict[str, Any], length: int, model: RoundingModel) -> Outputs:
    """What came out of a batch, stacked; of what is the same for all of it, so many copies."""
    return {name: _content(number, length, model) for name, number in numbers.items()}


def _content(number: Any, length: int, model: RoundingModel) -> Bounded:
    if isinstance(number, Along):
        filled: Bounded = number.filled(tuple(range(length)))
        return filled
    return lift(number.content, model) if isinstance(number, Batched) else stacked([lift(number, model)] * length)


def stacked(parts: list[Bounded]) -> Bounded:
    """Bounded numbers of one shape along a new first axis."""
    return Bounded(
        np.stack([part.value for part in parts]), np.stack([part.full_bound() for part in parts]), parts[0].model
    )


def added(parts: Iterable[Outputs]) -> Outputs:
    """Output by output."""
    total: Outputs = {}
    for part in parts:
        for name, output in part.items():
            total[name] = total[name] + output if name in total else output
    return total


def added_along(evaluated: Callable[[Moves], dict[str, Any]], moves: Moves, size: int, model: RoundingModel) -> Outputs:
    """The sum of what is evaluated of every move, as automatic differentiation adds it up.

    Moved at once, what cancels between them would cancel before it is rounded. size: elements of the largest array.
    """
    return added(one for part in _in_parts(moves, size) for one in _one_by_one(evaluated, part, model))


def _in_parts(moves: Moves, size: int) -> Iterator[Moves]:
    """The moves in groups that go together."""
    rows = max(1, min(UNITS, ELEMENTS // max(size, 1)))
    for start in range(0, len(moves), rows):
        yield moves[start : start + rows]


def _one_by_one(evaluated: Callable[[Moves], dict[str, Any]], moves: Moves, model: RoundingModel) -> Iterator[Outputs]:
    """What is evaluated of each move: of all together, or where that is not possible of one after the other."""
    if len(moves) > 1:
        try:
            together = contents(evaluated(moves), len(moves), model)
        except (MissingRuleError, TypeError, ValueError):  # what is wrong with the formula itself shows again
            together = None
        if together is not None:
            yield from ({name: number[row] for name, number in together.items()} for row in range(len(moves)))
            return
        half = len(moves) // 2
        yield from _one_by_one(evaluated, moves[:half], model)
        yield from _one_by_one(evaluated, moves[half:], model)
    else:
        yield {name: lift(number, model) for name, number in evaluated(moves).items()}
