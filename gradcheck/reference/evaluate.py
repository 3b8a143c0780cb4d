"""Evaluate a reference in an arithmetic: value and vjp as named outputs, with the contract checked."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel
from gradcheck.arithmetic.carrier import size_of
from gradcheck.arithmetic.deferred import Deferred, kernels, lift_large
from gradcheck.arithmetic.packed import lift_small
from gradcheck.arithmetic.postponed import Summed
from gradcheck.arithmetic.running import lift
from gradcheck.errors import ContractError
from gradcheck.reference.registry import Reference

__all__ = [
    "Cotangent", "Lifts", "Pullback", "bounded_lifts", "bounded_outputs", "evaluate", "evaluate_all", "float64_outputs",
    "gradient_name",
]  # fmt: skip

Pullback = Callable[[dict[str, Any]], dict[str, Any]]

Cotangent = Callable[[str, tuple[int, ...]], np.ndarray]
"""From the name and the shape of an output to its cotangent."""

BLOCK_ELEMENTS = 1 << 15
"""Elements of the first array in one block: value and bound of a few intermediates then stay in a core's cache."""

DEFERRED_BLOCK_ELEMENTS = 1 << 20
"""The same where rules are put off, and what lies between them never leaves the nearest cache."""

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
) -> tuple[dict[str, Any], Pullback]:
    """Outputs of the operation in the arithmetic of the lifted arguments, by name, and its checked pullback.

    Float arrays are lifted by ``lift_array`` and float hyperparameters by ``lift_number``; other arrays and structural
    hyperparameters are passed as they are. A reference with one output calls it ``value``. The pullback maps cotangents
    of the outputs that have a gradient, by name and of their shapes, to ``{"grad[x]": …}``. Raises ContractError where
    the reference breaks its contract.
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
    outputs = value if isinstance(value, dict) else {"value": value}
    shapes = {name: arguments[name].shape for name in operation.differentiable_in(arguments)}

    def pullback(cotangents: dict[str, Any]) -> dict[str, Any]:
        gradients = vjp(cotangents if len(cotangents) > 1 else next(iter(cotangents.values())))
        if set(gradients) != set(shapes):
            raise ContractError(
                f"{operation.name}: the vjp returns gradients of {sorted(gradients)}, expected {sorted(shapes)}."
            )
        for name, gradient in gradients.items():
            if _shape(gradient) != shapes[name]:
                raise ContractError(
                    f"{operation.name}: grad[{name}] has shape {_shape(gradient)}, expected {shapes[name]}."
                )
        return {gradient_name(name): gradient for name, gradient in gradients.items()}

    return outputs, pullback


def evaluate_all(
    operation: Reference,
    arguments: dict[str, Any],
    cotangent: Cotangent,
    lift_array: Callable[[np.ndarray], Any],
    lift_number: Callable[[float], Any],
    lift_cotangent: Callable[[np.ndarray, Any], Any] | None = None,
) -> dict[str, Any]:
    """``{"value": …, "grad[x]": …}``: outputs and gradients in the arithmetic of the lifted arguments.

    lift_cotangent: gets a cotangent and the output it belongs to; ``lift_array`` if not given.
    """
    outputs, pullback = evaluate(operation, arguments, lift_array, lift_number)
    lifted = lift_cotangent or (lambda array, output: lift_array(array))
    cotangents = {
        name: lifted(cotangent(name, _shape(output)), output)
        for name, output in outputs.items()
        if name not in operation.aux
    }
    return {**outputs, **pullback(cotangents)}


def _shape(number: Any) -> tuple[int, ...]:
    """``np.shape``, without the way through NumPy's dispatch where the number says it."""
    shape: tuple[int, ...] | None = getattr(number, "shape", None)
    return np.shape(number) if shape is None else shape


def _lifted(value: Any, lift_array: Callable[[np.ndarray], Any], lift_number: Callable[[float], Any]) -> Any:
    if isinstance(value, np.ndarray):
        return lift_array(value) if value.dtype.kind == "f" else value
    return lift_number(value) if isinstance(value, float) else value


def float64_outputs(operation: Reference, arguments: dict[str, Any], cotangent: Cotangent) -> dict[str, np.ndarray]:
    """``{"value": …, "grad[x]": …}`` in plain float64."""
    with np.errstate(all="ignore"):
        outputs = evaluate_all(operation, arguments, cotangent, lambda array: array, np.float64)
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
        block = DEFERRED_BLOCK_ELEMENTS if kernels() else BLOCK_ELEMENTS
        if first.size <= block:
            return _bounded_block(operation, arguments, cotangent, model)
        rows = max(1, block // math.prod(first.shape[1:]))
        return _joined_blocks(operation, arguments, cotangent, model, blocked, first.shape[0], rows)


def _bounded_block(
    operation: Reference, arguments: dict[str, Any], cotangent: Cotangent, model: RoundingModel
) -> dict[str, Bounded]:
    outputs = evaluate_all(operation, arguments, cotangent, *bounded_lifts(model, arguments))
    return {name: lift(output, model) for name, output in outputs.items()}


Lifts = tuple[Callable[[np.ndarray], Any], Callable[[float], Any], Callable[[np.ndarray, Any], Any]]
"""Of arrays, numbers and cotangents, as of ``evaluate_all``."""


def bounded_lifts(model: RoundingModel, arguments: dict[str, Any]) -> Lifts:
    """Into running error arithmetic; a cotangent is a number of the model of its output, which may be another."""
    largest = max((value.size for value in arguments.values() if isinstance(value, np.ndarray)), default=0)
    return (
        lambda array: _lifted_array(array, model, largest),
        lambda number: lift(number, model),
        lambda array, output: _lifted_array(array, lift(output, model).model, largest),
    )


def _lifted_array(array: np.ndarray, model: RoundingModel, largest: int) -> Bounded:
    return lift_small(array, model, largest) if model.carries_wide else lift_large(array, model)


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
    joined: dict[str, _Rows] = {}
    sums: dict[str, list[Bounded]] = {}
    rows_of = {"value", *(gradient_name(name) for name in blocked)}
    unblocked = model
    for start in range(0, length, rows):
        stop = min(start + rows, length)
        if start == 0 or stop == length:
            # So often its own rows: the last block may have fewer, and is part of a sum as long as the others are.
            model = model.in_blocks(math.ceil(length / (stop - start)))
        cut = {name: value[start:stop] if name in blocked else value for name, value in arguments.items()}

        def block_cotangent(name: str, shape: tuple[int, ...], start: int = start, stop: int = stop) -> np.ndarray:
            nonlocal whole
            if whole is None:
                whole = cotangent(name, (length, *shape[1:]))
            return whole[start:stop]

        for name, part in _bounded_block(operation, cut, block_cotangent, model).items():
            if name in rows_of:
                joined.setdefault(name, _Rows(length, part)).put(start, part)
            else:
                sums.setdefault(name, []).append(part.made() if isinstance(part, Summed) else part)
    # Only a look at all terms tells whether a sum over the batch may overflow on its way, or is special.
    if not all(sum(part.top for part in parts) <= model.safe for parts in sums.values()):
        return _bounded_block(operation, arguments, cotangent, unblocked)
    return {name: rows.number() for name, rows in joined.items()} | {name: _added(some) for name, some in sums.items()}


class _Rows:
    """An output whose rows are evaluated block by block, each put in its place while it is in the cache."""

    def __init__(self, length: int, first: Bounded) -> None:
        shape = (length, *first.shape[1:])
        self._value, self._bound = np.empty(shape, dtype=first.model.carrier), np.empty(shape)
        self._exact = True
        self._model = first.model

    def put(self, start: int, part: Bounded) -> None:
        """Blocks come in order; the bound of an exact one is zero."""
        rows = slice(start, start + part.shape[0])
        value, bound = self._value[rows], self._bound[rows]
        if isinstance(part, Deferred):
            part.compute_into(value, bound)
        else:
            value[...], bound[...] = part.value, 0.0 if part.bound is None else part.bound
        self._exact &= part.bound is None

    def number(self) -> Bounded:
        return Bounded(self._value, None if self._exact else self._bound, self._model)


def _added(parts: list[Bounded]) -> Bounded:
    """Sums over the batch, which have their rounding already (see sum_over_batch); only the reference's own is
    added here.
    """
    value = np.sum([part.value for part in parts], axis=0)
    bound = np.sum([part.full_bound() for part in parts], axis=0)
    model = parts[0].model
    own = len(parts) * model.own * np.sum([size_of(part.value) for part in parts], axis=0)
    return Bounded(value, bound + own, model)
