"""House prices: stochastic descent sample by sample, and with gradients accumulated over two samples.

Seven samples, so that every epoch ends with an update by one sample alone. Losses are not divided: the sum is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradcheck.arithmetic import rounding_model
from gradcheck.arithmetic.running import lift
from gradcheck.reference.training import MODELS, MicroBatch, accumulated, descended
from gradcheck.subject.training_seeds import Seen, walk
from gradcheck.walkthrough.figures import Report, Sides, recorded, rounded
from gradcheck.walkthrough.trajectory import Trajectory

__all__ = ["RATE", "scenario"]

X = np.array([[6, 2], [5, 2], [5, 1], [3, 1], [2, 1], [2, 0], [1, 0]], dtype=np.float64)
Y = np.array([15, 12, 10, 7, 4.5, 4, 2], dtype=np.float64)
START = {"w1": 0.773, "w2": 0.321, "b": 0.067}
RATE, EPOCHS = 1e-3, 10
RUNS = {"without accumulation": 1, "with accumulation over 2": 2}


def updates(step: int, together: int) -> bool:
    """Whether an update follows the backward pass of this number: after every so many, and at the end of the data."""
    index = step % len(X)
    return (index + 1) % together == 0 or index == len(X) - 1


def _by_hand(together: int) -> tuple[list[float], dict[str, float]]:
    """In float32, one sample after another: the loss of the last sample of each epoch, and the end."""
    w1, w2, b = (np.float32(START[name]) for name in ("w1", "w2", "b"))
    rate, two, losses = np.float32(RATE), np.float32(2.0), []
    gradients = np.zeros(3, dtype=np.float32)
    loss = np.float32(0.0)
    for step in range(EPOCHS * len(X)):
        x1, x2, y = (np.float32(v) for v in (*X[step % len(X)], Y[step % len(X)]))
        error = x1 * w1 + x2 * w2 + b - y
        loss = error * error
        gradients += np.array([two * error * x1, two * error * x2, two * error], dtype=np.float32)
        if updates(step, together):
            w1, w2, b = w1 - rate * gradients[0], w2 - rate * gradients[1], b - rate * gradients[2]
            gradients = np.zeros(3, dtype=np.float32)
        if (step + 1) % len(X) == 0:
            losses.append(float(loss))
    return losses, {"w1": float(w1), "w2": float(w2), "b": float(b)}


def _predict(p: dict[str, Any], x: Any) -> Any:
    return x[0] * p["w1"] + x[1] * p["w2"] + p["b"]


def _pytorch(together: int, device: str) -> list[Seen]:
    data = [(x, y.reshape(1)) for x, y in zip(X, Y, strict=True)] * EPOCHS
    start = {name: np.array(value) for name, value in START.items()}
    return list(
        walk(data, start, RATE, _predict, reduction="sum", together=lambda step: updates(step, together), device=device)
    )


def _enclosed(together: int, device: str) -> tuple[list[Any], dict[str, Any]]:
    """The losses and the end with their bounds, from the references and their running error."""
    model = rounding_model("float32", device)
    start = {name: np.float32(value) for name, value in START.items()}
    weight = np.array([[start["w1"], start["w2"]]], dtype=np.float64)
    run = Trajectory({"weight": weight, "bias": np.array([start["b"]], dtype=np.float64)}, model)
    losses = []
    groups = [group for _ in range(EPOCHS) for group in _groups(together)]
    for group in groups:
        batches = [MicroBatch((i,), reduction="sum") for i in group]

        def descend(state: dict[str, Any], batches: list[MicroBatch] = batches) -> tuple[list[Any], dict[str, Any]]:
            found, gradients = accumulated(MODELS["linear_regression"], state, X, Y[:, None], batches)
            return found, descended(state, gradients, RATE)

        if group[-1] == len(X) - 1:
            losses.append(lift(descend(run.bounded())[0][-1], model))
        run.advance(lambda state, descend=descend: descend(state)[1])  # type: ignore[misc]
    end = run.bounded()
    return losses, {"w1": end["weight"][0, 0], "w2": end["weight"][0, 1], "b": end["bias"][0]}


def _groups(together: int) -> Iterator[list[int]]:
    for start in range(0, len(X), together):
        yield list(range(start, min(start + together, len(X))))


def scenario(device: str = "cpu") -> Report:
    """Both tables of ten epochs, and the parameters before and after."""
    report = Report("000", "stochastic descent, with and without accumulation")
    tables = recorded("000")
    for name, together in RUNS.items():
        losses, end = _by_hand(together)
        seen = _pytorch(together, device)
        true_losses, true_end = _enclosed(together, device)
        for epoch, row in enumerate(tables[name]):
            last = seen[(epoch + 1) * len(X) - 1]
            report.numbers(row["loss"], Sides(losses[epoch], last.loss, true_losses[epoch]), rounded)
        first, final = tables[f"{name}, parameters"]
        for parameter in START:
            start = float(np.float32(START[parameter]))
            report.numbers(first[parameter], Sides(start, seen[0].before[parameter]))
            report.numbers(final[parameter], Sides(end[parameter], seen[-1].after[parameter], true_end[parameter]))
        report.curves[name] = losses
    return report
