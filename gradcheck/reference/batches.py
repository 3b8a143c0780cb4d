"""What takes many evaluations of one formula: Jacobians, by rows or by columns, and calls in a batch.

The unit cotangents, unit directions or calls go through the formula together (see ``arithmetic/batched.py``).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, Dual, RoundingModel
from gradcheck.arithmetic.batched import Batched
from gradcheck.arithmetic.dual import tangent_of
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.errors import MissingRuleError
from gradcheck.reference.derivatives import (
    Direction,
    Outputs,
    added,
    argument_of,
    bounded_tangents,
    jacobian_name,
    lifted_number,
    one_by_one,
    tangents_of,
)
from gradcheck.reference.evaluate import Cotangent, bounded_outputs, evaluate
from gradcheck.reference.registry import Reference

__all__ = ["Row", "bounded_columns", "bounded_jacobians", "rows_of", "stacked"]


def bounded_jacobians(operation: Reference, arguments: dict[str, Any], model: RoundingModel) -> Outputs:
    """All rows of the Jacobians: the vjp of every unit cotangent."""
    with np.errstate(all="ignore"):
        values, pullback = evaluate(operation, arguments, lambda array: lift_array(array, model), lifted_number(model))
        ends = {name: lift(value, model) for name, value in values.items() if name not in operation.aux}

        def pulled(name: str, units: np.ndarray) -> Outputs:
            """The rows of some unit cotangents of one output; those of the other outputs are 0."""
            zeros = {other: lift_array(np.zeros(end.shape), end.model) for other, end in ends.items()}
            unit = _batch(units, ends[name].model)
            return _contents(pullback(zeros | {name: unit}), len(units), model)

        found: Outputs = {}
        for name, end in ends.items():
            for gradient, rows in _by_units(end.shape, functools.partial(pulled, name)).items():
                found[jacobian_name(name, argument_of(gradient))] = rows
    return found


def bounded_columns(operation: Reference, arguments: dict[str, Any], model: RoundingModel) -> Outputs:
    """All columns of the Jacobians: the tangent along every unit direction."""

    def moved_along(moved: str, units: np.ndarray) -> Outputs:
        here, step = arguments[moved], _batch(units, model)

        def dual(array: np.ndarray) -> Any:
            number = lift_array(array, model)
            return Dual(number, step) if array is here else number

        values, _ = evaluate(operation, arguments, dual, lifted_number(model))
        ends = {name: tangent_of(value) for name, value in values.items() if name not in operation.aux}
        return _contents(ends, len(units), model)

    found: Outputs = {}
    with np.errstate(all="ignore"):
        for moved in one_by_one(operation, arguments):
            shape = arguments[moved].shape
            for name, columns in _by_units(shape, functools.partial(moved_along, moved)).items():
                order = (*range(len(shape), len(columns.shape)), *range(len(shape)))
                found[jacobian_name(name, moved)] = columns._map(np.transpose, columns, order)
    return found


UNITS = 64
"""Unit vectors that go through a formula together at most."""


def _by_units(shape: tuple[int, ...], evaluated: Callable[[np.ndarray], Outputs]) -> Outputs:
    """What is evaluated of every array of the shape with one 1 among zeros, the axes of the shape before its own."""
    size = math.prod(shape)
    units = np.eye(max(size, 1))[:, :size].reshape(max(size, 1), *shape)
    parts = [part for start in range(0, len(units), UNITS) for part in _parts(units[start : start + UNITS], evaluated)]
    joined = {name: _joined([part[name] for part in parts]) for name in parts[0]}
    # Of a shape without elements one was evaluated, to see the shapes of the others, and none is left.
    return {name: rows[:size].reshape((*shape, *rows.shape[1:])) for name, rows in joined.items()}


def _parts(units: np.ndarray, evaluated: Callable[[np.ndarray], Outputs]) -> list[Outputs]:
    """What is evaluated of all units together; of one after the other where a batch has no rule for it."""
    try:
        return [evaluated(units)]
    except MissingRuleError:
        if len(units) == 1:
            raise
        return [evaluated(unit[None]) for unit in units]


def _joined(parts: list[Bounded]) -> Bounded:
    return parts[0] if len(parts) == 1 else parts[0]._map(np.concatenate, parts)


def _batch(arrays: np.ndarray, model: RoundingModel) -> Any:
    """Several arrays that go through a formula together; those that are all the same as one."""
    same = all(array.tobytes() == arrays[0].tobytes() for array in arrays[1:])
    return lift_array(arrays[0], model) if same else Batched(lift_array(arrays, model))


def _contents(numbers: dict[str, Any], length: int, model: RoundingModel) -> Outputs:
    """What came out of a batch, stacked; of what is the same for all of it, so many copies."""
    return {
        name: lift(number.content, model) if isinstance(number, Batched) else stacked([lift(number, model)] * length)
        for name, number in numbers.items()
    }


def stacked(parts: list[Bounded]) -> Bounded:
    """Bounded numbers of one shape along a new first axis."""
    return Bounded(
        np.stack([part.value for part in parts]), np.stack([part.full_bound() for part in parts]), parts[0].model
    )


Row = tuple[dict[str, Any], Cotangent, Direction]
"""A call of a batch: its arguments, cotangents and directions."""


def rows_of(operation: Reference, rows: list[Row], model: RoundingModel, forward: bool) -> Outputs:
    """Values with vjps (``forward``: with tangents) of several calls, stacked output by output."""
    if _go_together([arguments for arguments, *_ in rows]):
        try:
            with np.errstate(all="ignore"):
                return _rows_together(operation, rows, model, forward)
        except MissingRuleError:  # places that follow from the numbers are each row's own
            pass
    found = [
        bounded_tangents(operation, arguments, direction, model)
        if forward
        else bounded_outputs(operation, arguments, cotangent, model)
        for arguments, cotangent, direction in rows
    ]
    return {name: stacked([row[name] for row in found]) for name in found[0]}


def _go_together(calls: list[dict[str, Any]]) -> bool:
    """Whether calls differ in small arrays of floats alone."""
    first, *others = calls
    for name, value in first.items():
        if isinstance(value, np.ndarray):
            if value.size > ROW_ELEMENTS:
                return False
            if value.dtype.kind != "f" and any(value.tobytes() != call[name].tobytes() for call in others):
                return False
    return True


ROW_ELEMENTS = 1 << 12
"""Elements of the largest array of a row that is evaluated together with others: beyond, the rules cost nothing."""


def _rows_together(operation: Reference, rows: list[Row], model: RoundingModel, forward: bool) -> Outputs:
    calls, arguments = [call for call, *_ in rows], rows[0][0]
    here = {id(value): name for name, value in arguments.items()}

    def batch(array: np.ndarray) -> Any:
        name = here.get(id(array))
        return lift_array(array, model) if name is None else _batch(np.stack([call[name] for call in calls]), model)

    def along(name: str, shape: tuple[int, ...]) -> Any:
        return _batch(np.stack([direction(name, shape) for *_, direction in rows]), model)

    def against(name: str, end: Any) -> Any:
        inner = lift(end.content if isinstance(end, Batched) else end, model).model
        return _batch(np.stack([cotangent(name, np.shape(end)) for _, cotangent, _ in rows]), inner)

    if forward:
        outputs, tangents = tangents_of(operation, arguments, batch, along, model)
        parts = [_contents(part, len(rows), model) for part in tangents]
        return _contents(outputs, len(rows), model) | added(parts)
    values, pullback = evaluate(operation, arguments, batch, lifted_number(model))
    cotangents = {name: against(name, end) for name, end in values.items() if name not in operation.aux}
    return _contents(values | pullback(cotangents), len(rows), model)
