"""The ladder for three models: four batchings, two dtypes, every rung judged step by step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck.cases.inputs import Bits
from gradcheck.formats import Format, format_named
from gradcheck.reference.training import MODELS, Model
from gradcheck.reference.training_run import Loader, Record, Task, grouped, run_by_hand
from gradcheck.subject.training import RUNGS, loader_order, run_rung
from gradcheck.verdict.pipeline import StepVerdict, judge_training, worst_of

__all__ = ["BATCHINGS", "DTYPES", "PipelineRow", "climb", "make_task", "pipelines"]

SAMPLES, EPOCHS, RATE = 11, 3, 0.1
DTYPES = ("float64", "float32")

BATCHINGS = {
    "full batch": (SAMPLES, False, 1),
    "mini-batch": (4, True, 1),
    "single sample": (1, True, 1),
    "accumulation over 4": (2, True, 4),
}
"""Batch size of the loader, whether it shuffles, batches per update. 11 samples: the last batch and the last group of
micro-batches are partial, and so is the last micro-batch."""


@dataclass(frozen=True)
class PipelineRow:
    """One model, batching and dtype: the worst verdict of each rung."""

    model: str
    batching: str
    dtype: str
    steps: int
    worst: dict[str, StepVerdict]
    deviating: tuple[StepVerdict, ...]
    verdicts: int


def make_task(model: Model, batching: str, dtype: str, seed: int = 0) -> Task:
    """A task with data from a seed: bell-shaped inputs, targets of a noisy line, or classes 0 and 1."""
    form, bits = format_named(dtype), Bits("training run", model.name, seed)
    x, y = _samples(bits, SAMPLES, model, form)
    x_valid, y_valid = _samples(bits, 5, model, form)
    start = {name: form.round(bits.bell(math.prod(shape)).reshape(shape) / 2.0) for name, shape in model.shapes.items()}
    size, shuffle, together = BATCHINGS[batching]
    loader = Loader(size, shuffle, seed)
    epochs = tuple(grouped(order, together) for order in loader_order(SAMPLES, loader, EPOCHS))
    return Task(model, dtype, x, y, x_valid, y_valid, start, RATE, batching, loader, epochs)


def _samples(bits: Bits, n: int, model: Model, form: Format) -> tuple[np.ndarray, np.ndarray]:
    x = form.round(bits.bell(3 * n).reshape(n, 3))
    line = x @ np.array([[1.0], [-0.5], [2.0]]) + 0.5 + bits.bell(n).reshape(n, 1) / 8.0
    logistic = model.name == "logistic_regression"
    return x, np.where(line > 0.0, 1.0, 0.0) if logistic else form.round(line)


def climb(task: Task, device: str = "cpu") -> dict[str, Record]:
    """The record of every rung: NumPy by hand, then PyTorch's."""
    by_hand = run_by_hand(task)
    return {by_hand.rung: by_hand, **{rung: run_rung(rung, task, device) for rung in RUNGS}}


def pipelines(models: Sequence[str] = (), device: str = "cpu", seed: int = 0) -> Iterator[PipelineRow]:
    """A row for each model (all by default), batching and dtype."""
    for model in (MODELS[name] for name in models or MODELS):
        for batching in BATCHINGS:
            for dtype in DTYPES:
                task = make_task(model, batching, dtype, seed)
                judged = {rung: judge_training(task, record) for rung, record in climb(task, device).items()}
                everything = [verdict for verdicts in judged.values() for verdict in verdicts]
                yield PipelineRow(
                    model=model.name,
                    batching=batching,
                    dtype=dtype,
                    steps=len(list(task.steps())),
                    worst={rung: worst_of(verdicts) for rung, verdicts in judged.items()},
                    deviating=tuple(verdict for verdict in everything if verdict.status != "agrees"),
                    verdicts=len(everything),
                )
