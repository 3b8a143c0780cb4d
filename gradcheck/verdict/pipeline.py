"""Judge a training run step by step: each from PyTorch's own state before it, so that bounds never grow.

Where a step deviates, the usual mistakes are tried one after another: the first whose result lies within the bound of
what was seen is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.reference.training import MicroBatch, accumulated, descended, loss_and_gradients
from gradcheck.reference.training_run import Arrays, Record, Step, Task
from gradcheck.verdict.compare import error_ratios
from gradcheck.verdict.handwritten import check_gradient
from gradcheck.verdict.models import model_at

__all__ = ["StepVerdict", "judge_training", "worst_of"]


@dataclass(frozen=True)
class StepVerdict:
    """One output of one step judged.

    step: counted from 1; output: ``loss``, ``grad[w]``, ``w``, ``validation loss``, ``data``, ``state`` or ``steps``.
    """

    model: str
    batching: str
    rung: str
    dtype: str
    device: str
    step: int
    output: str
    status: str
    error_over_bound: float
    words: str = ""

    def sentence(self) -> str:
        """What was found, in one sentence."""
        where = f"{self.model}, {self.batching}, {self.rung}, {self.dtype} on {self.device}, step {self.step}"
        tail = f": {self.words}" if self.words else ""
        return f"{where}: {self.output} {self.status}, error/bound {self.error_over_bound:.3g}{tail}"


def judge_training(task: Task, record: Record) -> list[StepVerdict]:
    """Verdicts on every loss, gradient and parameter of every step, on the data served, and on the validation losses.

    The parameters after a step are judged from its own recorded gradient, so that a fault of the update and one of the
    gradient are told apart. Each step has to begin with the bits that the one before it ended with.
    """
    model = model_at("nn.functional.linear", task.dtype, record.device)
    verdicts: list[StepVerdict] = []
    previous: Step | None = None

    def add(step: int, judged: Iterable[tuple[str, float, str]]) -> None:
        for output, ratio, words in judged:
            status = "agrees" if ratio <= 1.0 else "deviates"
            about = (task.model.name, task.batching, record.rung, task.dtype, record.device, step)
            verdicts.append(StepVerdict(*about, output, status, ratio, words))

    plan = list(task.steps())
    if len(plan) != len(record.steps) or record.left_over:
        words = f"{len(record.steps)} steps were made, should be {len(plan)}; {record.left_over} batches were left over"
        add(0, [("steps", np.inf, words)])
    with np.errstate(all="ignore"):
        for number, (batches, step) in enumerate(zip(plan, record.steps, strict=False), start=1):
            add(number, _judge_step(task, record.route, batches, step, previous, model))
            previous = step
        for number, seen in enumerate(record.validation, start=1):
            parameters = _lifted(seen.parameters, model)
            x, y = lift_array(task.x_valid, model), lift_array(task.y_valid, model)
            loss, _ = loss_and_gradients(task.model, parameters, x, y, route=record.route)
            add(number, [_scalar("validation loss", seen.loss, lift(loss, model))])
    return verdicts


def worst_of(verdicts: Iterable[StepVerdict]) -> StepVerdict:
    """The verdict with the largest error over its bound."""
    return max(verdicts, key=lambda verdict: verdict.error_over_bound)


Judged = tuple[str, float, str]


def _lifted(arrays: Arrays, model: RoundingModel) -> dict[str, Any]:
    return {name: lift_array(array, model) for name, array in arrays.items()}


def _judge_step(
    task: Task, route: str, batches: tuple[MicroBatch, ...], step: Step, previous: Step | None, model: RoundingModel
) -> Iterator[Judged]:
    served = [np.array_equal(task.x[list(batch.indices)], x) for batch, x in zip(batches, step.seen, strict=True)]
    yield "data", 0.0 if all(served) else np.inf, "" if all(served) else "the batch is not the one of the plan"
    expected = task.start if previous is None else previous.after
    for name, array in expected.items():
        same = np.array_equal(array, step.before[name])
        yield "state", 0.0 if same else np.inf, "" if same else f"{name} has changed between two steps"

    def gradients_of(changed: tuple[MicroBatch, ...]) -> tuple[list[Any], dict[str, Bounded]]:
        x, y = lift_array(task.x, model), lift_array(task.y, model)
        losses, gradients = accumulated(task.model, _lifted(step.before, model), x, y, changed, route)
        return losses, {name: lift(gradient, model) for name, gradient in gradients.items()}

    losses, gradients = gradients_of(batches)
    for got, loss in zip(step.losses, losses, strict=True):
        yield _scalar("loss", got, lift(loss, model))
    for name, gradient in gradients.items():
        yield _judge_gradient(name, step, previous, gradient, batches, lambda b: gradients_of(b)[1])
    yield from _judge_update(task, step, previous, model)


def _scalar(output: str, got: float, should_be: Bounded) -> Judged:
    words = check_gradient(f"the {output}", np.reshape(got, should_be.shape), should_be)
    return output, float(error_ratios(np.reshape(got, should_be.shape), should_be).max()), words or ""


Recompute = Callable[[tuple[MicroBatch, ...]], dict[str, Bounded]]


def _judge_gradient(
    name: str,
    step: Step,
    previous: Step | None,
    should_be: Bounded,
    batches: tuple[MicroBatch, ...],
    recompute: Recompute,
) -> Judged:
    output = f"grad[{name}]"
    if name not in step.gradients:
        return output, np.inf, f"{name} has no gradient"
    got = step.gradients[name]
    ratio = _worst(got, should_be)
    if ratio <= 1.0:
        return output, ratio, ""
    for words, suspect in _suspected_gradients(name, previous, should_be, batches, recompute):
        if _worst(got, suspect) <= 1.0:
            return output, ratio, words
    return output, ratio, check_gradient(output, got, should_be) or ""


def _suspected_gradients(
    name: str, previous: Step | None, should_be: Bounded, batches: tuple[MicroBatch, ...], recompute: Recompute
) -> Iterator[tuple[str, Bounded]]:
    """The usual mistakes in words, each with the gradient that it would give."""
    if previous is not None:
        left = lift_array(previous.gradients[name], should_be.model)
        yield "the gradient was not zeroed: what the step before left was added to", should_be + left
    other = tuple(replace(batch, reduction="sum" if batch.reduction == "mean" else "mean") for batch in batches)
    words = "the sum was taken for the mean" if batches[0].reduction == "mean" else "the mean was taken for the sum"
    yield words, recompute(other)[name]
    if len(batches) > 1:
        alike = tuple(replace(batch, weight=1.0 / len(batches)) for batch in batches)
        yield "the micro-batches were weighted alike, whatever their size", recompute(alike)[name]
        yield "the micro-batches were not weighted", recompute(tuple(replace(b, weight=1.0) for b in batches))[name]
    if previous is not None and len(batches) < len(previous.losses):
        full = tuple(replace(batch, weight=1.0 / len(previous.losses)) for batch in batches)
        yield "the last micro-batches were weighted as if there were as many as before", recompute(full)[name]


def _judge_update(task: Task, step: Step, previous: Step | None, model: RoundingModel) -> Iterator[Judged]:
    before = _lifted(step.before, model)
    known = {name: lift_array(gradient, model) for name, gradient in step.gradients.items()}
    moved = {name: parameter for name, parameter in before.items() if name in known}
    after = descended(moved, known, task.rate)
    for name, should_be in after.items():
        got = step.after[name]
        ratio = _worst(got, should_be)
        yield name, ratio, "" if ratio <= 1.0 else _suspected_update(task, name, step, previous, should_be, model)


def _suspected_update(
    task: Task, name: str, step: Step, previous: Step | None, should_be: Bounded, model: RoundingModel
) -> str:
    before, got = step.before[name], step.after[name]
    if np.array_equal(before, got):
        return f"{name} was not updated: the optimizer stepped before there was a gradient, or not at all"
    if previous is not None and name in previous.gradients:
        arrays = lift_array(before, model), lift_array(previous.gradients[name], model)
        late = descended({name: arrays[0]}, {name: arrays[1]}, task.rate)[name]
        if _worst(got, late) <= 1.0:
            return f"{name} was updated with the gradient of the step before"
    moved = Bounded(before - np.asarray(should_be.value), should_be.full_bound(), model)
    return check_gradient(f"the step of {name}, learning rate · gradient,", before - got, moved) or ""


def _worst(got: np.ndarray, should_be: Bounded) -> float:
    return float(error_ratios(got, should_be).max(initial=0.0))
