"""Evaluate a schedule in an arithmetic: the sequence of rates for every parameter group, by closed form or by route."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel
from gradcheck.arithmetic.model import UPWARD
from gradcheck.arithmetic.running import lift
from gradcheck.errors import UsageError
from gradcheck.reference.schedule.schedule import COMMON, Schedule

__all__ = ["bounded_sequences", "completed", "own_options", "routed_sequence", "sequences"]

Lift = Callable[[float], Any]


def own_options(entry: Schedule, arguments: dict[str, Any]) -> dict[str, Any]:
    """The scheduler's own options among the arguments of a case."""
    return {name: value for name, value in arguments.items() if name not in (*COMMON, *entry.arrays)}


def completed(entry: Schedule, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with what a case may leave out. Raises UsageError where they do not fit each other."""
    defaults: dict[str, Any] = {name: value for name, value in COMMON.items() if name in ("lr", "optimizer")}
    arguments = defaults | arguments
    lr, steps, resume = arguments["lr"], arguments["steps"], arguments.get("resume")
    if not isinstance(lr, tuple):
        arguments["lr"] = lr = (lr,)
    if not isinstance(steps, int) or steps < 1:
        raise UsageError(f"steps={steps!r}: expected a whole number >= 1.")
    if resume is not None and not 0 < resume <= steps:
        raise UsageError(f"resume={resume!r}: expected a step from 1 to {steps}, or None.")
    for name in entry.grouped:
        value = arguments.get(name)
        if isinstance(value, tuple) and len(value) != len(lr):
            raise UsageError(f"{name}={value!r}: expected one value, or one for each of {len(lr)} groups.")
    for name in entry.arrays:
        if len(arguments[name]) != steps:
            raise UsageError(f"{name} has {len(arguments[name])} elements; expected one for each of {steps} steps.")
    return arguments


def _of_group(entry: Schedule, options: dict[str, Any], group: int, lift_number: Lift) -> dict[str, Any]:
    """The options as they are for one parameter group, floats lifted."""
    here = {
        name: value[group] if name in entry.grouped and isinstance(value, tuple) else value
        for name, value in {**entry.options, **options}.items()
        if value is not inspect.Parameter.empty
    }
    return {name: lift_number(value) if isinstance(value, float) else value for name, value in here.items()}


def sequences(entry: Schedule, arguments: dict[str, Any], lift_number: Lift, start: Lift) -> dict[str, Any]:
    """Closed forms after 0, 1, …, ``steps`` steps, by name, shape (steps + 1, groups).

    lift_number makes numbers of the arithmetic of options, start of the rates that the groups start from.
    """
    t = np.arange(arguments["steps"] + 1)
    columns = []
    for group, lr in enumerate(arguments["lr"]):
        options = _of_group(entry, own_options(entry, arguments), group, lift_number)
        closed = entry.closed(t, start(lr), *(arguments[name] for name in entry.arrays), **options)
        columns.append({name: np.broadcast_to(value, t.shape) for name, value in closed.items()})
    return {name: np.stack([column[name] for column in columns], axis=1) for name in columns[0]}


def routed_sequence(entry: Schedule, arguments: dict[str, Any], lift_number: Lift, start: Lift) -> Any:
    """The rates by the route of the entry, which must have one; shape (steps + 1, groups)."""
    assert entry.route is not None
    columns = []
    for group, lr in enumerate(arguments["lr"]):
        options = _of_group(entry, own_options(entry, arguments), group, lift_number)
        base = now = start(lr)
        rates = []
        for t in range(arguments["steps"] + 1):
            now = entry.route(now, t, base, **options)
            rates.append(now)
        columns.append(np.stack(rates))
    return np.stack(columns, axis=1)


def bounded_sequences(entry: Schedule, arguments: dict[str, Any], model: RoundingModel) -> dict[str, Bounded]:
    """Closed forms with the errors of both ways to compute them; rates in the model's format, momenta in float64.

    The route counts where it agrees with the closed form within both errors: one that does not is another schedule.
    """

    def number(value: float) -> Bounded:
        return lift(float(value), model)

    def start(value: float) -> Bounded:
        return Bounded(model.store.round(np.float64(value)), None, model)

    with np.errstate(all="ignore"):
        closed = sequences(entry, arguments, number, start)
        if entry.route is not None:
            closed["lr"] = _widened(closed["lr"], routed_sequence(entry, arguments, number, start))
    return closed


def _widened(closed: Bounded, routed: Bounded) -> Bounded:
    distance, bound = np.abs(closed.value - routed.value), closed.full_bound()
    reach = (distance + routed.full_bound()) * UPWARD
    return Bounded(
        closed.value, np.where(distance <= bound + routed.full_bound(), np.maximum(bound, reach), bound), closed.model
    )
