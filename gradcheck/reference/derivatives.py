"""Derivatives beyond value and vjp, from the same formula: tangents and second derivatives.

Dual numbers over running error: forward mode goes through the reference's forward, second order through its vjp. The
second derivative of Σ cotangent·output is symmetric, so that reverse over reverse, along a direction h of gradients,
is the derivative of the vjp along h.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, Dual, RoundingModel
from gradcheck.arithmetic.dual import primal_of, tangent_of, ties_open
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.errors import MissingRuleError
from gradcheck.reference.evaluate import evaluate
from gradcheck.reference.registry import Reference
from gradcheck.reference.together import Moves, Outputs, added_along, step

__all__ = [
    "Direction", "DtypeCotangent", "argument_of", "bounded_hvps", "bounded_second_tangents", "bounded_tangents",
    "hvp_name", "jacobian_name", "largest", "lifted_number", "moving", "tangent_name",
]  # fmt: skip

Direction = Callable[[str, tuple[int, ...]], np.ndarray]
"""From the name and shape of an array to the direction in which it moves."""

DtypeCotangent = Callable[[str, tuple[int, ...], str], np.ndarray]
"""From the name, shape and dtype of an output to its cotangent."""


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

    def evaluated(moves: Moves) -> dict[str, Any]:
        along = model.together(len(moves))
        values, _ = evaluate(operation, arguments, _duals(arguments, direction, moves, along), lifted_number(along))
        outputs.update({name: lift(primal_of(value), along) for name, value in values.items()})
        return {tangent_name(name): tangent_of(value) for name, value in values.items() if name not in operation.aux}

    with np.errstate(all="ignore"):
        moves = [(name,) for name in moving(operation, arguments)]
        tangents = added_along(evaluated, moves, largest(arguments), model)
        return outputs | tangents


def bounded_hvps(
    operation: Reference,
    arguments: dict[str, Any],
    cotangent: DtypeCotangent,
    direction: Direction,
    model: RoundingModel,
) -> Outputs:
    """Derivatives of the gradients along the direction, with the cotangents held."""

    def evaluated(moves: Moves) -> dict[str, Any]:
        along = model.together(len(moves))
        duals = _duals(arguments, direction, moves, along)
        values, pullback = evaluate(operation, arguments, duals, lifted_number(along))
        cotangents = {
            name: _lifted_cotangent(cotangent, name, lift(primal_of(value), along))
            for name, value in values.items()
            if name not in operation.aux
        }
        return {hvp_name(argument_of(name)): tangent_of(end) for name, end in pullback(cotangents).items()}

    moves = [(name,) for name in moving(operation, arguments)]
    return added_along(_with_ties_open(evaluated), moves, largest(arguments), model)


def _lifted_cotangent(cotangent: DtypeCotangent, name: str, end: Bounded) -> Bounded:
    return lift_array(cotangent(name, end.shape, end.model.store.name), end.model)


def bounded_second_tangents(
    operation: Reference, arguments: dict[str, Any], direction: Direction, model: RoundingModel
) -> Outputs:
    """Second derivatives of the values along the direction: dual numbers of dual numbers."""

    def evaluated(moves: Moves) -> dict[str, Any]:
        along = model.together(len(moves))
        duals = _duals(arguments, direction, moves, along)
        values, _ = evaluate(operation, arguments, duals, lifted_number(along))
        return {
            tangent_name(name, 2): tangent_of(tangent_of(value, 1))
            for name, value in values.items()
            if name not in operation.aux
        }

    names = moving(operation, arguments)
    pairs = list(itertools.product(names, names))
    return added_along(_with_ties_open(evaluated), pairs, largest(arguments), model)


def _with_ties_open(evaluated: Callable[[Moves], dict[str, Any]]) -> Callable[[Moves], dict[str, Any]]:
    """At a kink the derivative of either side counts, unless the reference cannot go on with an open mask."""

    def tied(moves: Moves) -> dict[str, Any]:
        with np.errstate(all="ignore"):
            try:
                with ties_open():
                    return evaluated(moves)
            except (MissingRuleError, TypeError, ValueError):  # a mask is no array for whoever assigns or indexes by it
                if len(moves) > 1:
                    raise  # one after the other
                return evaluated(moves)

    return tied


def moving(operation: Reference, arguments: dict[str, Any]) -> list[str]:
    """The arrays that move, each by itself."""
    return operation.differentiable_in(arguments)


def largest(arguments: dict[str, Any]) -> int:
    """Elements of the largest array."""
    return max((value.size for value in arguments.values() if isinstance(value, np.ndarray)), default=0)


def _duals(
    arguments: dict[str, Any], direction: Direction, moves: Moves, model: RoundingModel
) -> Callable[[np.ndarray], Any]:
    """Lifts an array to a dual number with a level for each place of a move, and its direction in the rows where it
    is the one that moves."""
    levels = len(moves[0])
    steps: dict[int, list[Any]] = {}
    for level in range(levels):
        for name in dict.fromkeys(move[level] for move in moves):
            array = arguments[name]
            rows = tuple(row for row, move in enumerate(moves) if arguments[move[level]] is array)
            along = [direction(moves[row][level], array.shape) for row in rows]
            steps.setdefault(id(array), [None] * levels)[level] = step(along, rows, len(moves), model)

    def dual(array: np.ndarray) -> Any:
        number: Any = lift_array(array, model)
        for level, along in enumerate(steps.get(id(array), ())):
            number = number if along is None else Dual(number, along, level)
        return number

    return dual


def lifted_number(model: RoundingModel) -> Callable[[float], Any]:
    """Lifts a hyperparameter."""
    return lambda number: lift(number, model)


def argument_of(gradient: str) -> str:
    """The argument that a gradient, by its name, belongs to."""
    return gradient.removeprefix("grad[").removesuffix("]")
