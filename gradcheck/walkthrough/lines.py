"""Full-batch descent of a line, y = weight·x + bias, three ways: enclosed, in float32 by hand, and in PyTorch."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.reference.training import MODELS, descended, loss_and_gradients
from gradcheck.walkthrough.trajectory import Trajectory

__all__ = ["Enclosed", "HandStep", "by_hand", "by_hand_on", "enclosed", "enclosed_on"]

LINE = MODELS["linear_regression"]


@dataclass(frozen=True)
class Enclosed:
    """One step with bounds, by ``weight`` and ``bias``: parameters before, loss, gradients held, parameters after."""

    before: dict[str, Bounded]
    loss: Bounded
    gradients: dict[str, Bounded]
    after: dict[str, Bounded]


Batch = tuple[np.ndarray, np.ndarray]


def enclosed(
    start: dict[str, np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
    rate: float,
    keep: Collection[int],
    model: RoundingModel,
    *,
    zero: bool = True,
    within: dict[str, float] | None = None,
) -> dict[int, Enclosed]:
    """The steps ``keep`` (counted from 0) of full-batch descent of the mean squared error; x, y: (N, 1).

    zero: whether gradients are zeroed after each update, else they pile up; within: how far the start may be off.
    """
    run = Trajectory(_with_gradients(start, zero), model, within)
    return _kept(run, [(x, y)] * (max(keep) + 1), start, rate, keep, zero)


def enclosed_on(
    start: dict[str, np.ndarray], batches: list[Batch], rate: float, keep: Collection[int], model: RoundingModel,
    within: dict[str, float] | None = None,
) -> dict[int, Enclosed]:  # fmt: skip
    """The same over batches in their order."""
    return _kept(Trajectory(start, model, within), batches, start, rate, keep, True)


def _with_gradients(start: dict[str, np.ndarray], zero: bool) -> dict[str, np.ndarray]:
    return dict(start) if zero else {**start, **{f"grad {name}": np.zeros_like(array) for name, array in start.items()}}


def _kept(
    run: Trajectory,
    batches: list[Batch],
    start: dict[str, np.ndarray],
    rate: float,
    keep: Collection[int],
    zero: bool,
) -> dict[int, Enclosed]:
    found: dict[int, Enclosed] = {}
    for number, (x, y) in enumerate(batches):

        def descend(state: dict[str, Any], x: Any = x, y: Any = y) -> tuple[Any, dict[str, Any], dict[str, Any]]:
            parameters = {name: state[name] for name in start}
            loss, gradients = loss_and_gradients(LINE, parameters, x, y)
            if not zero:
                gradients = {name: state[f"grad {name}"] + gradient for name, gradient in gradients.items()}
            after = descended(parameters, gradients, rate)
            held = {} if zero else {f"grad {name}": gradient for name, gradient in gradients.items()}
            return loss, gradients, {**after, **held}

        if number in keep:
            before = run.bounded()
            exact = lift_array(x, run.model), lift_array(y, run.model)
            loss, gradients, _ = descend(before, *exact)
            bounded = {name: lift(gradient, run.model) for name, gradient in gradients.items()}
        again = number > 0 and batches[number - 1] is batches[number]
        run.advance(lambda state, descend=descend: descend(state)[2], again=again)  # type: ignore[misc]
        if number in keep:
            found[number] = Enclosed(before, lift(loss, run.model), bounded, run.bounded())
    return found


@dataclass(frozen=True)
class HandStep:
    """One step in float32: weight and bias before, the loss, their gradients as held, and both after."""

    before: tuple[float, float]
    loss: float
    gradients: tuple[float, float]
    after: tuple[float, float]


def by_hand(
    weight: float, bias: float | None, x: np.ndarray, y: np.ndarray, rate: float, steps: int, *, zero: bool = True
) -> list[HandStep]:
    """Plain NumPy in float32, as the walkthroughs would have it; x, y: (N,); bias None: there is none."""
    return by_hand_on(weight, bias, [(x, y)] * steps, rate, zero=zero)


def by_hand_on(
    weight: float, bias: float | None, batches: Iterable[Batch], rate: float, *, zero: bool = True
) -> list[HandStep]:
    """The same over batches in their order."""
    f = np.float32
    w, b, step_size = f(weight), f(bias or 0.0), f(rate)
    held_w, held_b = f(0.0), f(0.0)
    steps = []
    for x, y in batches:
        error = w * x + b - y
        loss = (error**2).mean()
        each = f(2.0) / f(len(x)) * error
        held_w = (each * x).sum() + (f(0.0) if zero else held_w)
        held_b = f(0.0) if bias is None else each.sum() + (f(0.0) if zero else held_b)
        after = w - step_size * held_w, b - step_size * held_b
        before, gradients = (float(w), float(b)), (float(held_w), float(held_b))
        steps.append(HandStep(before, float(loss), gradients, (float(after[0]), float(after[1]))))
        w, b = after
    return steps
