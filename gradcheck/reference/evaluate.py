"""Evaluate a reference in an arithmetic: value and vjp as named outputs, with the contract checked."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel
from gradcheck.arithmetic.model import OWN_ROUNDOFF
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.errors import ContractError
from gradcheck.reference.registry import Reference

__all__ = ["Pullback", "bounded_outputs", "evaluate", "float64_outputs", "gradient_name"]

Pullback = Callable[[Any], dict[str, Any]]

BLOCK_ELEMENTS = 1 << 15
"""Elements of the first array in one block: value and bound of a few intermediates then stay in a core's cache."""

# glibc hands a freed array back to the system, and the next one costs a page fault per 4 KiB, unless it has seen one
# freed that was larger: mallopt(3), the dynamic threshold of M_MMAP_THRESHOLD, which grows to 32 MiB at the most.
_seen = np.empty(31 << 20, dtype=np.uint8)
del _seen


def gradient_name(argument: str) -> str:
    """The name of the output that is the gradient of an argument."""
    return f"grad[{argument}]"


def evaluate(
    operation: Reference,
    arguments: dict[str, Any],
    lift_array: Callable[[np.ndarray], Any],
    lift_number: Callable[[float], Any],
) -> tuple[Any, Callable[[Any], dict[str, Any]]]:
    """Value of the operation in the arithmetic of the lifted arguments, and its checked pullback.

    Float arrays are lifted by ``lift_array`` and float hyperparameters by ``lift_number``; integer arrays and
    structural hyperparameters are passed as they are. The pullback maps a cotangent of the value's shape to
    ``{"grad[x]": …}``. Raises ContractError where the reference breaks its contract.
    """
    arrays = [_lifted(arguments.get(name), lift_array, lift_number) for name in operation.arrays]
    # Defaults are lifted as well: a Python float would escape the arithmetic.
    given = {**operation.hyperparameters, **arguments}
    options = {
        name: _lifted(value, lift_array, lift_number)
        for name, value in given.items()
        if name not in operation.arrays and value is not inspect.Parameter.empty
    }
    outcome = operation.function(*arrays, **options)
    if not (isinstance(outcome, tuple) and len(outcome) == 2 and callable(outcome[1])):
        raise ContractError(
            f"{operation.name}: the reference has to return (value, vjp), got {type(outcome).__name__}."
        )
    value, vjp = outcome
    shapes = {name: np.shape(arguments[name]) for name in operation.differentiable_in(arguments)}

    def pullback(cotangent: Any) -> dict[str, Any]:
        gradients = vjp(cotangent)
        if set(gradients) != set(shapes):
            raise ContractError(
                f"{operation.name}: the vjp returns gradients of {sorted(gradients)}, expected {sorted(shapes)}."
            )
        for name, gradient in gradients.items():
            if np.shape(gradient) != shapes[name]:
                raise ContractError(
                    f"{operation.name}: grad[{name}] has shape {np.shape(gradient)}, expected {shapes[name]}."
                )
        return {gradient_name(name): gradient for name, gradient in gradients.items()}

    return value, pullback


def _lifted(value: Any, lift_array: Callable[[np.ndarray], Any], lift_number: Callable[[float], Any]) -> Any:
    if isinstance(value, np.ndarray):
        return lift_array(value) if value.dtype.kind == "f" else value
    return lift_number(value) if isinstance(value, float) else value


Cotangent = Callable[[tuple[int, ...]], np.ndarray]


def float64_outputs(operation: Reference, arguments: dict[str, Any], cotangent: Cotangent) -> dict[str, np.ndarray]:
    """``{"value": …, "grad[x]": …}`` in plain float64."""
    with np.errstate(all="ignore"):
        value, pullback = evaluate(operation, arguments, lambda array: array, np.float64)
        outputs = {"value": value, **pullback(cotangent(np.shape(value)))}
    return {name: np.asarray(output, dtype=np.float64) for name, output in outputs.items()}


def bounded_outputs(
    operation: Reference, arguments: dict[str, Any], cotangent: Cotangent, model: RoundingModel
) -> dict[str, Bounded]:
    """The outputs with running error bounds, evaluated in blocks of rows where the operation allows it."""
    blocked = operation.rows(arguments) if operation.rows else ()
    first = arguments[operation.arrays[0]]
    with np.errstate(all="ignore"):
        if not blocked or first.size <= 2 * BLOCK_ELEMENTS:
            return _bounded_block(operation, arguments, cotangent, model)
        rows = max(1, BLOCK_ELEMENTS // math.prod(first.shape[1:]))
        return _joined_blocks(operation, arguments, cotangent, model, blocked, first.shape[0], rows)


def _bounded_block(
    operation: Reference, arguments: dict[str, Any], cotangent: Cotangent, model: RoundingModel
) -> dict[str, Bounded]:
    value, pullback = evaluate(
        operation, arguments, lambda array: lift_array(array, model), lambda number: lift(number, model)
    )
    value = lift(value, model)
    gradients = pullback(lift_array(cotangent(value.shape), value.model))
    return {"value": value, **{name: lift(gradient, model) for name, gradient in gradients.items()}}


def _joined_blocks(
    operation: Reference,
    arguments: dict[str, Any],
    cotangent: Cotangent,
    model: RoundingModel,
    blocked: tuple[str, ...],
    length: int,
    rows: int,
) -> dict[str, Bounded]:
    """Outputs of blocks of rows joined: arrays that are cut are concatenated, the others are sums over the batch."""
    whole: np.ndarray | None = None
    parts: list[dict[str, Bounded]] = []
    unblocked = model
    for start in range(0, length, rows):
        stop = min(start + rows, length)
        if start == 0 or stop == length:
            # So often its own rows: the last block may have fewer, and is part of a sum as long as the others are.
            model = model.in_blocks(math.ceil(length / (stop - start)))
        cut = {name: value[start:stop] if name in blocked else value for name, value in arguments.items()}

        def block_cotangent(shape: tuple[int, ...], start: int = start, stop: int = stop) -> np.ndarray:
            nonlocal whole
            if whole is None:
                whole = cotangent((length, *shape[1:]))
            return whole[start:stop]

        parts.append(_bounded_block(operation, cut, block_cotangent, model))
    rows_of = {"value", *(gradient_name(name) for name in blocked)}
    by_name = {name: [part[name] for part in parts] for name in parts[0]}
    for name, sums in by_name.items():
        # Only a look at all terms tells whether a sum over the batch may overflow on its way, or is special.
        if name not in rows_of and not sum(part.top for part in sums) <= model.safe:
            return _bounded_block(operation, arguments, cotangent, unblocked)
    return {name: _joined(some) if name in rows_of else _added(some) for name, some in by_name.items()}


def _joined(parts: list[Bounded]) -> Bounded:
    values = np.concatenate([part.value for part in parts])
    exact = all(part.bound is None for part in parts)
    return Bounded(values, None if exact else np.concatenate([part.full_bound() for part in parts]), parts[0].model)


def _added(parts: list[Bounded]) -> Bounded:
    """Sums over the batch, which have their rounding already (see sum_over_batch); only float64's own is added here."""
    value = np.sum([part.value for part in parts], axis=0)
    bound = np.sum([part.full_bound() for part in parts], axis=0)
    own = len(parts) * OWN_ROUNDOFF * np.sum([np.abs(part.value) for part in parts], axis=0)
    return Bounded(value, bound + own, parts[0].model)
