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
from gradcheck.arithmetic.dual import primal_of, tangent_of
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.errors import MissingRuleError
from gradcheck.reference.derivatives import (
    Direction,
    argument_of,
    bounded_tangents,
    jacobian_name,
    lifted_number,
    moving,
    tangent_name,
)
from gradcheck.reference.evaluate import Cotangent, bounded_outputs, evaluate
from gradcheck.reference.registry import Reference
from gradcheck.reference.together import UNITS, Outputs, added, batch, contents, stacked, step

__all__ = ["Row", "bounded_columns", "bounded_jacobians", "rows_of"]


def bounded_jacobians(operation: Reference, arguments: dict[str, Any], model: RoundingModel) -> Outputs:
    """All rows of the Jacobians: the vjp of every unit cotangent."""
    with np.errstate(all="ignore"):
        values, pullback = evaluate(operation, arguments, lambda array: lift_array(array, model), lifted_number(model))
        ends = {name: lift(value, model) for name, value in values.items() if name not in operation.aux}

        def pulled(name: str, units: np.ndarray) -> Outputs:
            """The rows of some unit cotangents of one output; those of the other outputs are 0."""
            zeros = {other: lift_array(np.zeros(end.shape), end.model) for other, end in ends.items()}
            unit = batch(units, ends[name].model)
            return contents(pullback(zeros | {name: unit}), len(units), model)

        found: Outputs = {}
        for name, end in ends.items():
            for gradient, rows in _by_units(end.shape, functools.partial(pulled, name)).items():
                found[jacobian_name(name, argument_of(gradient))] = rows
    return found


def bounded_columns(operation: Reference, arguments: dict[str, Any], model: RoundingModel) -> Outputs:
    """All columns of the Jacobians: the tangent along every unit direction."""

    def moved_along(moved: str, units: np.ndarray) -> Outputs:
        here, along = arguments[moved], batch(units, model)

        def dual(array: np.ndarray) -> Any:
            number = lift_array(array, model)
            return Dual(number, along) if array is here else number

        values, _ = evaluate(operation, arguments, dual, lifted_number(model))
        ends = {name: tangent_of(value) for name, value in values.items() if name not in operation.aux}
        return contents(ends, len(units), model)

    found: Outputs = {}
    with np.errstate(all="ignore"):
        for moved in moving(operation, arguments):
            shape = arguments[moved].shape
            for name, columns in _by_units(shape, functools.partial(moved_along, moved)).items():
                order = (*range(len(shape), len(columns.shape)), *range(len(shape)))
                found[jacobian_name(name, moved)] = columns._map(np.transpose, columns, order)
    return found


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


Row = tuple[dict[str, Any], Cotangent, Direction]
"""A call of a batch: its arguments, cotangents and directions."""


def rows_of(operation: Reference, rows: list[Row], model: RoundingModel, forward: bool) -> Outputs:
    """Values with vjps (``forward``: with tangents) of several calls, stacked output by output."""
    if _go_together([arguments for arguments, *_ in rows]):
        try:
            with np.errstate(all="ignore"):
                return (_tangents_together if forward else _vjps_together)(operation, rows, model)
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


def _vjps_together(operation: Reference, rows: list[Row], model: RoundingModel) -> Outputs:
    calls = [call for call, *_ in rows]

    def against(name: str, end: Any) -> Any:
        inner = lift(end.content if isinstance(end, Batched) else end, model).model
        return batch(np.stack([cotangent(name, np.shape(end)) for _, cotangent, _ in rows]), inner)

    values, pullback = evaluate(operation, calls[0], _lifts_of(calls, model), lifted_number(model))
    cotangents = {name: against(name, end) for name, end in values.items() if name not in operation.aux}
    return contents(values | pullback(cotangents), len(rows), model)


def _lifts_of(calls: list[dict[str, Any]], model: RoundingModel) -> Callable[[np.ndarray], Any]:
    """Lifts an array of the first call to the batch of those of all calls."""
    names = {id(value): name for name, value in calls[0].items()}

    def lifted(array: np.ndarray) -> Any:
        name = names.get(id(array))
        return lift_array(array, model) if name is None else batch(np.stack([call[name] for call in calls]), model)

    return lifted


def _tangents_together(operation: Reference, rows: list[Row], model: RoundingModel) -> Outputs:
    """Values and tangents of all calls, along all arrays together if possible."""
    names = moving(operation, rows[0][0])
    if 1 < len(names) * len(rows) <= UNITS:
        try:
            values, tangents = _tangents_along(operation, rows, names, model)
            return values | tangents
        except MissingRuleError:  # of a single exact number, say
            pass
    parts = [_tangents_along(operation, rows, [name], model) for name in names]
    return parts[-1][0] | added(tangents for _, tangents in parts)


def _tangents_along(
    operation: Reference, rows: list[Row], names: list[str], model: RoundingModel
) -> tuple[Outputs, Outputs]:
    """Values of all calls, and the sums of their tangents along some arrays: a row of the batch for each of both."""
    calls, model = [call for call, *_ in rows for _ in names], model.together(len(names))
    first, lifted, steps = calls[0], _lifts_of(calls, model), {}
    for name in names:
        along = [direction(name, first[name].shape) for *_, direction in rows]
        here = tuple(range(names.index(name), len(calls), len(names)))
        steps[id(first[name])] = (
            step(along, here, len(calls), model) if len(names) > 1 else batch(np.stack(along), model)
        )

    def dual(array: np.ndarray) -> Any:
        return Dual(lifted(array), steps[id(array)]) if id(array) in steps else lifted(array)

    ends, _ = evaluate(operation, first, dual, lifted_number(model))
    values = contents({name: primal_of(end) for name, end in ends.items()}, len(calls), model)
    moved = {tangent_name(name): tangent_of(end) for name, end in ends.items() if name not in operation.aux}
    tangents = contents(moved, len(calls), model)
    return (
        {name: number[:: len(names)] for name, number in values.items()},
        added({name: number[place :: len(names)] for name, number in tangents.items()} for place in range(len(names))),
    )
