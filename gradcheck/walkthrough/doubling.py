"""What two walkthroughs share: f(x) = w·x is fitted to Y = 2·X, by hand with a gradient that is 4 times too large.

``np.dot(2*x, y_predicted - y).mean()``: the dot product is a sum already, so that the mean does nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic import rounding_model
from gradcheck.arithmetic.running import lift
from gradcheck.reference.training import MODELS, loss_and_gradients
from gradcheck.subject.training_seeds import Seen, walk
from gradcheck.verdict.handwritten import check_gradient
from gradcheck.walkthrough.figures import Figure, Report, Sides
from gradcheck.walkthrough.lines import by_hand, enclosed

__all__ = ["RATE", "X", "Y", "autograd_tables", "faulty_gradient", "faulty_run", "manual_tables"]

X = np.array([1, 2, 3, 4], dtype=np.float32)
Y = np.array([2, 4, 6, 8], dtype=np.float32)
RATE = 0.01
COLUMN, TARGET = X.astype(np.float64)[:, None], Y.astype(np.float64)[:, None]
START = {"weight": np.zeros((1, 1))}

Rows = list[dict[str, Figure]]


def faulty_gradient(w: float, *, fused: bool) -> np.float32:
    """As both walkthroughs have it, in float32; fused: whether the dot product of their machine rounds once per term.

    With fused multiplication and addition it does, without it the products are rounded as well.
    """
    a, b = 2 * X, np.float32(w) * X - Y
    total = np.float32(0.0)
    for p, q in zip(a, b, strict=True):
        # A product of two float32 is exact in float64.
        product = float(p) * float(q) if fused else float(np.float32(p * q))
        total = np.float32(float(total) + product)
    return total


def faulty_run(steps: int, *, fused: bool) -> tuple[list[float], list[float]]:
    """w after each step, and the losses before it.

    The w of the walkthroughs is a float64: before NumPy 2, a Python float times a scalar float32 gave one.
    """
    w, path, losses = 0.0, [], []
    for _ in range(steps):
        error = np.float32(w) * X - Y
        losses.append(float((error**2).mean()))
        w -= RATE * float(faulty_gradient(w, fused=fused))
        path.append(w)
    return path, losses


def manual_tables(report: Report, rows: Rows, prediction: Rows, at: int, column: str, *, fused: bool) -> None:
    """The table by hand, its predictions at ``at``, and the finding: at every step its gradient is 4 times the true."""
    steps = 2 * int(rows[-1]["w"].key) - int(rows[-2]["w"].key)  # to the end of the run: tables start at epoch 1
    path, losses = faulty_run(steps - 1, fused=fused)
    for row in rows:
        epoch = int(row["w"].key) - 1
        report.numbers(row["w"], Sides(path[epoch], None))
        report.numbers(row["loss"], Sides(losses[epoch], None))
    report.numbers(prediction[0][column], Sides(0.0 * at, None))
    report.numbers(prediction[1][column], Sides(path[-1] * at, None))
    tried = [w for w in [0.0, *path[:-1]] if faulty_gradient(w, fused=fused)]
    blamed = [_blame(float(np.float32(w)), fused) for w in tried]
    claim = f"{rows[0]['w'].table}: at each of its {len(blamed)} steps that move, the gradient is 4 times the true one"
    report.claim(claim, all("is 4 times" in words for words in blamed))
    report.notes.append(f"{rows[0]['w'].table}: {blamed[0]}")


def _blame(w: float, fused: bool) -> str:
    model = rounding_model("float32")
    parameters = {"weight": lift(np.array([[w]]), model)}
    _, gradients = loss_and_gradients(MODELS["linear_regression"], parameters, COLUMN, TARGET)
    got = faulty_gradient(w, fused=fused).reshape(1, 1)
    return check_gradient("the gradient by hand of w", got, lift(gradients["weight"], model)) or "it is right"


def autograd_tables(
    report: Report, rows: Rows, prediction: Rows, at: int, column: str, steps: int, rung: str, device: str
) -> None:
    """A table of w after and loss before each step, with PyTorch on the given rung, and the prediction afterwards."""
    epochs = [int(row["w"].key) - 1 for row in rows]
    model = rounding_model("float32", device)
    truth = enclosed(START, COLUMN, TARGET, RATE, [*epochs, steps - 1], model)
    hand = by_hand(0.0, None, X, Y, RATE, steps)
    seen = _pytorch(steps, rung, device)
    reason = "the recorded machine's order of adding four numbers is not given"
    for row, epoch in zip(rows, epochs, strict=True):
        after = truth[epoch].after["weight"][0, 0]
        report.numbers(row["w"], Sides(hand[epoch].after[0], seen[epoch].after["w"], after), reason=reason)
        report.numbers(row["loss"], Sides(hand[epoch].loss, seen[epoch].loss, truth[epoch].loss), reason=reason)
    report.numbers(prediction[0][column], Sides(0.0, 0.0))
    end = truth[steps - 1].after["weight"][0, 0]
    sides = Sides(hand[-1].after[0] * at, seen[-1].after["w"] * at, end * float(at))
    report.numbers(prediction[1][column], sides)
    report.curves[rows[0]["w"].table] = [step.loss for step in hand]


def _predict(p: dict[str, Any], x: Any) -> Any:
    return p["w"] * x


def _pytorch(steps: int, rung: str, device: str) -> list[Seen]:
    return list(walk([(X, Y)] * steps, {"w": np.zeros(())}, RATE, _predict, rung=rung, device=device))
