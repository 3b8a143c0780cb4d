"""Derivatives beyond value and vjp, from the same formula: tangents, Jacobians, second derivatives, batches of rows.

Dual numbers over running error: forward mode goes through the reference's forward, second order through its vjp. The
second derivative of Σ cotangent·output is symmetric, so that reverse over reverse, along a direction h of gradients,
is the derivative of the vjp along h.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from gradcheck.arithmetic import Bounded, Dual, RoundingModel
from gradcheck.arithmetic.dual import tangent_of, ties_open
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.errors import MissingRuleError
from gradcheck.reference.evaluate import Cotangent, bounded_outputs, evaluate
from gradcheck.reference.registry import Reference

__all__ = [
    "DtypeCotangent", "bounded_columns", "bounded_hvps", "bounded_jacobians", "bounded_second_tangents",
    "bounded_tangents", "hvp_name", "jacobian_name", "rows_of", "stacked", "tangent_name",
]  # fmt: skip

Direction = Callable[[str, tuple[int, ...]], np.ndarray]
"""From the name and shape of an array to the direction in which it moves."""

DtypeCotangent = Callable[[str, tuple[int, ...], str], np.ndarray]
"""From the name, shape and dtype of an output to its cotangent."""

Outputs = dict[str, Bounded]


def tangent_name(output: str, order: int = 1) -> str:
    """The name of an output's derivative along the direction, of that order."""
    word = "tangent" if order == 1 else f"tangent{order}"
    return word if output == "value" else f"{word}[{output}]"


def jacobian_name(output: str, argument: str) -> str:
    """The name of the Jacobian of an output by an argument: shape of the output, then of the argument."""
    return f"jacobian[{argument}]" if output == "value" else f"jacobian[{output}, {argument}]"


def hvp_name(argument: str) -> str:
    """The name of the Hessian-vector product of an argument: the derivative of its gradient along the direction."""
    return f"hvp[{argument}]"


def bounded_tangents(
    operation: Reference, arguments: dict[str, Any], direction: Direction, model: RoundingModel
) -> Outputs:
    """Values, and their derivatives along the direction."""
    outputs: Outputs = {}
    tangents: list[Outputs] = []
    with np.errstate(all="ignore"):
        for moved in _one_by_one(operation, arguments):
            values, _ = evaluate(operation, arguments, _duals(arguments, direction, [moved], model), _number(model))
            outputs = {name: lift(_primal(value), model) for name, value in values.items()}
            ends = {name: value for name, value in values.items() if name not in operation.aux}
            tangents.append({tangent_name(name): lift(tangent_of(value), model) for name, value in ends.items()})
        return outputs | _added(tangents)


def bounded_hvps(
    operation: Reference,
    arguments: dict[str, Any],
    cotangent: DtypeCotangent,
    direction: Direction,
    model: RoundingModel,
) -> Outputs:
    """Derivatives of the gradients along the direction, with the cotangents held."""

    def evaluated(moved: str) -> Outputs:
        duals = _duals(arguments, direction, [moved], model)
        values, pullback = evaluate(operation, arguments, duals, _number(model))
        cotangents = {
            name: _lifted_cotangent(cotangent, name, lift(_primal(value), model))
            for name, value in values.items()
            if name not in operation.aux
        }
        return {
            hvp_name(_argument(name)): lift(tangent_of(gradient), model)
            for name, gradient in pullback(cotangents).items()
        }

    return _added(_with_ties_open(evaluated, moved) for moved in _one_by_one(operation, arguments))


def _lifted_cotangent(cotangent: DtypeCotangent, name: str, end: Bounded) -> Bounded:
    return lift_array(cotangent(name, end.shape, end.model.store.name), end.model)


def bounded_second_tangents(
    operation: Reference, arguments: dict[str, Any], direction: Direction, model: RoundingModel
) -> Outputs:
    """Second derivatives of the values along the direction: dual numbers of dual numbers."""

    def evaluated(pair: tuple[str, str]) -> Outputs:
        duals = _duals(arguments, direction, list(pair), model)
        values, _ = evaluate(operation, arguments, duals, _number(model))
        return {
            tangent_name(name, 2): lift(tangent_of(tangent_of(value, 1)), model)
            for name, value in values.items()
            if name not in operation.aux
        }

    names = _one_by_one(operation, arguments)
    return _added(_with_ties_open(evaluated, pair) for pair in itertools.product(names, names))


M = TypeVar("M")


def _with_ties_open(evaluated: Callable[[M], Outputs], moved: M) -> Outputs:
    """At a kink the derivative of either side counts, unless the reference cannot go on with an open mask."""
    with np.errstate(all="ignore"):
        try:
            with ties_open():
                return evaluated(moved)
        except (MissingRuleError, TypeError, ValueError):  # a mask is no array for whoever assigns or indexes by it
            return evaluated(moved)


def _added(parts: Iterable[Outputs]) -> Outputs:
    """Output by output."""
    total: Outputs = {}
    for part in parts:
        for name, output in part.items():
            total[name] = total[name] + output if name in total else output
    return total


def _one_by_one(operation: Reference, arguments: dict[str, Any]) -> list[str]:
    """The arrays that move, to be moved one at a time.

    Derivatives along several are added up afterwards, as every mode of automatic differentiation does: moved at once,
    what cancels between them would cancel before it is rounded.
    """
    return operation.differentiable_in(arguments)


def _duals(
    arguments: dict[str, Any], direction: Direction, moved: list[str], model: RoundingModel
) -> Callable[[np.ndarray], Any]:
    """Lifts an array to a dual number with a level for each name in ``moved``, whose direction it has there."""
    steps: dict[int, list[Bounded | None]] = {}
    for level, name in enumerate(moved):
        array = arguments[name]
        steps.setdefault(id(array), [None] * len(moved))[level] = lift_array(direction(name, array.shape), model)

    def dual(array: np.ndarray) -> Any:
        number: Any = lift_array(array, model)
        if id(array) not in steps:
            return number
        first, *second = steps[id(array)]
        zero = lift_array(np.zeros(array.shape), model)
        number = Dual(number, zero if first is None else first, 0)
        if second:
            step = zero if second[0] is None else second[0]
            number = Dual(number, Dual(step, zero, 0), 1)
        return number

    return dual


def _number(model: RoundingModel) -> Callable[[float], Any]:
    return lambda number: lift(number, model)


def _argument(gradient: str) -> str:
    return gradient.removeprefix("grad[").removesuffix("]")


def bounded_jacobians(operation: Reference, arguments: dict[str, Any], model: RoundingModel) -> Outputs:
    """All rows of the Jacobians: the vjp of every unit cotangent."""
    with np.errstate(all="ignore"):
        values, pullback = evaluate(operation, arguments, lambda array: lift_array(array, model), _number(model))
        ends = {name: lift(value, model) for name, value in values.items() if name not in operation.aux}

        def pulled(name: str, unit: np.ndarray) -> Outputs:
            """The row of one unit cotangent of one output; those of the other outputs are 0."""
            cotangents = {
                other: lift_array(unit.reshape(end.shape) if other == name else np.zeros(end.shape), end.model)
                for other, end in ends.items()
            }
            return {gradient: lift(row, model) for gradient, row in pullback(cotangents).items()}

        found: Outputs = {}
        for name, end in ends.items():
            size = math.prod(end.shape)
            rows = [pulled(name, unit) for unit in np.eye(size)] or [pulled(name, np.zeros(end.shape))]
            for gradient in rows[0]:
                joined = stacked([row[gradient] for row in rows])[:size]  # none of an output without elements
                found[jacobian_name(name, _argument(gradient))] = joined.reshape((*end.shape, *joined.shape[1:]))
    return found


def bounded_columns(operation: Reference, arguments: dict[str, Any], model: RoundingModel) -> Outputs:
    """All columns of the Jacobians: the tangent along every unit direction."""
    found: Outputs = {}
    with np.errstate(all="ignore"):
        for moved in _one_by_one(operation, arguments):
            shape = arguments[moved].shape
            size = math.prod(shape)
            columns: dict[str, list[Bounded]] = {}
            for unit in [*np.eye(size)] or [np.zeros(shape)]:
                duals = _duals(arguments, _constant(unit), [moved], model)
                values, _ = evaluate(operation, arguments, duals, _number(model))
                for name, value in values.items():
                    if name not in operation.aux:
                        columns.setdefault(name, []).append(lift(tangent_of(value), model))
            for name, parts in columns.items():
                joined = stacked(parts)[:size]  # none by an argument without elements
                joined = joined.reshape((*shape, *joined.shape[1:]))
                order = (*range(len(shape), len(joined.shape)), *range(len(shape)))
                found[jacobian_name(name, moved)] = lift(np.transpose(joined, order), model)
    return found


def _constant(unit: np.ndarray) -> Direction:
    """That direction, whatever moves."""
    return lambda _, shape: unit.reshape(shape)


def stacked(parts: list[Bounded]) -> Bounded:
    """Bounded numbers of one shape along a new first axis."""
    return Bounded(
        np.stack([part.value for part in parts]), np.stack([part.full_bound() for part in parts]), parts[0].model
    )


def rows_of(
    operation: Reference, rows: list[tuple[dict[str, Any], Cotangent, Direction]], model: RoundingModel, forward: bool
) -> Outputs:
    """Values with vjps (``forward``: with tangents) of several calls, stacked output by output."""
    found = [
        bounded_tangents(operation, arguments, direction, model)
        if forward
        else bounded_outputs(operation, arguments, cotangent, model)
        for arguments, cotangent, direction in rows
    ]
    return {name: stacked([row[name] for row in found]) for name in found[0]}


def _primal(value: Any) -> Any:
    return value.primal if isinstance(value, Dual) else value
