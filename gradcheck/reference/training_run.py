"""A training run as a task and as a record of what was seen at every step; and the run by hand, in NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from gradcheck.formats import format_named
from gradcheck.reference.training import MicroBatch, Model, accumulated, descended, loss_and_gradients

__all__ = ["Arrays", "Loader", "Record", "Step", "Task", "Validation", "grouped", "run_by_hand"]

Arrays = dict[str, np.ndarray]
Indices = tuple[int, ...]


@dataclass(frozen=True)
class Loader:
    """How a ``DataLoader`` serves the samples: how many at a time, whether shuffled, and the seed of its generator."""

    batch_size: int
    shuffle: bool
    seed: int = 0


@dataclass(frozen=True)
class Task:
    """What is trained: a model from ``start`` on x (N, I) and y (N, O), validated after each epoch on another pair.

    All numbers are numbers of ``dtype``, carried in float64. batching: in words; epochs: of steps, of micro-batches,
    in the order in which the loader serves them.
    """

    model: Model
    dtype: str
    x: np.ndarray
    y: np.ndarray
    x_valid: np.ndarray
    y_valid: np.ndarray
    start: Arrays
    rate: float
    batching: str
    loader: Loader
    epochs: tuple[tuple[tuple[MicroBatch, ...], ...], ...]

    def steps(self) -> Iterator[tuple[MicroBatch, ...]]:
        """The micro-batches of each step, epoch after epoch."""
        return (step for epoch in self.epochs for step in epoch)


@dataclass(frozen=True)
class Step:
    """One step as it was seen, exactly, in float64: parameters before it, the loss of each micro-batch, the gradients
    that the update was made of, the parameters after it, and the rows of x that went in."""

    before: Arrays
    losses: tuple[float, ...]
    gradients: Arrays
    after: Arrays
    seen: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Validation:
    """The loss on the validation set, and the parameters that it was computed with."""

    parameters: Arrays
    loss: float


@dataclass
class Record:
    """A run of a task: by which rung of the ladder, on which device, along which route of the loss.

    left_over: micro-batches that were served beyond the plan.
    """

    rung: str
    device: str
    route: str
    steps: list[Step] = field(default_factory=list)
    validation: list[Validation] = field(default_factory=list)
    left_over: int = 0


def grouped(batches: Sequence[Indices], together: int) -> tuple[tuple[MicroBatch, ...], ...]:
    """Steps of ``together`` micro-batches, fewer in the last one, each weighted by its share of the step's samples."""
    steps = [batches[start : start + together] for start in range(0, len(batches), together)]
    return tuple(
        tuple(MicroBatch(tuple(batch), len(batch) / sum(len(other) for other in step)) for batch in step)
        for step in steps
    )


def run_by_hand(task: Task) -> Record:
    """The first rung: the references in float64; losses, gradients and parameters are rounded to the task's dtype."""
    form = format_named(task.dtype)
    parameters = dict(task.start)
    record = Record("NumPy by hand", "cpu", "fused")
    for epoch in task.epochs:
        for batches in epoch:
            losses, gradients = accumulated(task.model, parameters, task.x, task.y, batches)
            gradients = {name: form.round(gradient) for name, gradient in gradients.items()}
            after = {name: form.round(p) for name, p in descended(parameters, gradients, task.rate).items()}
            rounded = tuple(float(form.round(loss)) for loss in losses)
            seen = tuple(task.x[list(batch.indices)] for batch in batches)
            record.steps.append(Step(parameters, rounded, gradients, after, seen))
            parameters = after
        loss, _ = loss_and_gradients(task.model, parameters, task.x_valid, task.y_valid)
        record.validation.append(Validation(parameters, float(form.round(loss))))
    return record
