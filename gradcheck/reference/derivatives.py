"""Derivatives beyond value and vjp, from the same formula: tangents and second derivatives.

Dual numbers over running error: forward mode goes through the reference's forward, second order through its vjp. The
second derivative of Σ cotangent·output is symmetric, so that reverse over reverse, along a direction h of gradients,
is the derivative of the vjp along h.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from gradcheck.arithmetic import Bounded, Dual, RoundingModel
from gradcheck.arithmetic.dual import tangent_of, ties_open
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.errors import MissingRuleError
from gradcheck.reference.evaluate import evaluate
from gradcheck.reference.registry import Reference

__all__ = [
    "Direction", "DtypeCotangent", "Outputs", "added", "argument_of", "bounded_hvps", "bounded_second_tangents",
    "bounded_tangents", "hvp_name", "jacobian_name", "lifted_number", "one_by_one", "tangent_name", "tangents_of",
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

    def along(name: str, shape: tuple[int, ...]) -> Bounded:
        return lift_array(direction(name, shape), model)

    with np.errstate(all="ignore"):
        outputs, parts = tangents_of(operation, arguments, lambda array: lift_array(array, model), along, model)
        tangents = [{name: lift(tangent, model) for name, tangent in part.items()} for part in parts]
        return {name: lift(value, model) for name, value in outputs.items()} | added(tangents)


def tangents_of(
    operation: Reference,
    arguments: dict[str, Any],
    lifted: Callable[[np.ndarray], Any],
    along: Callable[[str, tuple[int, ...]], Any],
    model: RoundingModel,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Values, and for each array that moves the derivatives along its lifted direction."""
    outputs: dict[str, Any] = {}
    tangents: list[dict[str, Any]] = []
    for moved in one_by_one(operation, arguments):
        here, step = arguments[moved], along(moved, arguments[moved].shape)

        def dual(array: np.ndarray, here: np.ndarray = here, step: Any = step) -> Any:
            return Dual(lifted(array), step) if array is here else lifted(array)

        values, _ = evaluate(operation, arguments, dual, lifted_number(model))
        outputs = {name: _primal(value) for name, value in values.items()}
        ends = {name: value for name, value in values.items() if name not in operation.aux}
        tangents.append({tangent_name(name): tangent_of(value) for name, value in ends.items()})
    return outputs, tangents


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
        values, pullback = evaluate(operation, arguments, duals, lifted_number(model))
        cotangents = {
            name: _lifted_cotangent(cotangent, name, lift(_primal(value), model))
            for name, value in values.items()
            if name not in operation.aux
        }
        return {
            hvp_name(argument_of(name)): lift(tangent_of(gradient), model)
            for name, gradient in pullback(cotangents).items()
        }

    return added(_with_ties_open(evaluated, moved) for moved in one_by_one(operation, arguments))


def _lifted_cotangent(cotangent: DtypeCotangent, name: str, end: Bounded) -> Bounded:
    return lift_array(cotangent(name, end.shape, end.model.store.name), end.model)


def bounded_second_tangents(
    operation: Reference, arguments: dict[str, Any], direction: Direction, model: RoundingModel
) -> Outputs:
    """Second derivatives of the values along the direction: dual numbers of dual numbers."""

    def evaluated(pair: tuple[str, str]) -> Outputs:
        duals = _duals(arguments, direction, list(pair), model)
        values, _ = evaluate(operation, arguments, duals, lifted_number(model))
        return {
            tangent_name(name, 2): lift(tangent_of(tangent_of(value, 1)), model)
            for name, value in values.items()
            if name not in operation.aux
        }

    names = one_by_one(operation, arguments)
    return added(_with_ties_open(evaluated, pair) for pair in itertools.product(names, names))


M = TypeVar("M")


def _with_ties_open(evaluated: Callable[[M], Outputs], moved: M) -> Outputs:
    """At a kink the derivative of either side counts, unless the reference cannot go on with an open mask."""
    with np.errstate(all="ignore"):
        try:
            with ties_open():
                return evaluated(moved)
        except (MissingRuleError, TypeError, ValueError):  # a mask is no array for whoever assigns or indexes by it
            return evaluated(moved)


def added(parts: Iterable[Outputs]) -> Outputs:
    """Output by output."""
    total: Outputs = {}
    for part in parts:
        for name, output in part.items():
            total[name] = total[name] + output if name in total else output
    return total


def one_by_one(operation: Reference, arguments: dict[str, Any]) -> list[str]:
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
        for level, step in enumerate(steps[id(array)]):
            number = number if step is None else Dual(number, step, level)
        return number

    return dual


def lifted_number(model: RoundingModel) -> Callable[[float], Any]:
    """Lifts a hyperparameter."""
    return lambda number: lift(number, model)


def argument_of(gradient: str) -> str:
    """The argument that a gradient, by its name, belongs to."""
    return gradient.removeprefix("grad[").removesuffix("]")


def _primal(value: Any) -> Any:
    return value.primal if isinstance(value, Dual) else value
