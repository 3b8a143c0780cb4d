"""The ladder from NumPy by hand to nn.Linear. The gradient by hand is 4 times the true one, as in 002.

The layer's start is not seeded. Its bias is printed in full, its weight with four digits; the first loss tells more of
them, and everything after it follows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic import Bounded, rounding_model
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.reference.training import MODELS, loss_and_gradients
from gradcheck.subject.training_seeds import layer_at, walk
from gradcheck.walkthrough.doubling import COLUMN, RATE, TARGET, X, Y, autograd_tables, manual_tables
from gradcheck.walkthrough.figures import Report, Sides, recorded
from gradcheck.walkthrough.lines import by_hand, enclosed

__all__ = ["scenario", "solved_weight"]

AT = 5


def scenario(device: str = "cpu") -> Report:
    """Every table, and the predictions f(5)."""
    report = Report("004", "the ladder: by hand, autograd, loss and optimizer, nn.Linear")
    tables = recorded("004")
    for name in ("by hand, 10 steps", "by hand, 20 steps"):
        manual_tables(report, tables[name], tables[f"{name}, prediction"], AT, "f(5)", fused=False)
    for name, steps, rung in (
        ("autograd, 20 steps", 20, "autograd"),
        ("autograd, 100 steps", 100, "autograd"),
        ("loss and optimizer", 100, "loss"),
    ):
        autograd_tables(report, tables[name], tables[f"{name}, prediction"], AT, "f(5)", steps, rung, device)
    _module(report, device)
    return report


def solved_weight(loss: float, bias: float, near: float) -> tuple[float, float]:
    """The weight for which the first mean squared error is ``loss``, of the two the one near the printed; how far off.

    The loss is known to half a unit of its eighth decimal and to its own rounding.
    """
    x, y = COLUMN[:, 0], TARGET[:, 0]
    roots = np.roots([(x * x).mean(), 2 * (x * (bias - y)).mean(), ((bias - y) ** 2).mean() - loss]).real
    weight = float(min(roots, key=lambda root: abs(root - near)))
    model = rounding_model("float32")
    parameters = {"weight": lift_array(np.array([[weight]]), model), "bias": lift_array(np.array([bias]), model)}
    value, gradients = loss_and_gradients(MODELS["linear_regression"], parameters, COLUMN, TARGET)
    slope = abs(float(lift(gradients["weight"], model).value[0, 0]))
    return weight, (float(lift(value, model).full_bound()) + 0.5e-8) / slope


def _module(report: Report, device: str) -> None:
    tables = recorded("004")
    samples, features, weight, bias, before = (row["value"] for row in tables["module, start"])
    report.words(samples, str(COLUMN.shape[0]))
    report.words(features, str(COLUMN.shape[1]))
    rows = tables["module"]
    b = float(bias.printed)
    w, off = solved_weight(float(rows[0]["loss"].printed), b, float(weight.printed))
    model = rounding_model("float32", device)
    truth = Bounded(np.float64(w), np.float64(off), model)
    report.numbers(weight, Sides(w, float(np.float32(w)), truth))
    report.not_given(bias, "nn.Linear drew it without a seed; it is taken as printed")
    prediction = float(np.float32(w)) * AT + b
    report.numbers(before, Sides(prediction, layer_at(w, b, AT, device), truth * float(AT) + b))
    _table(report, rows, w, b, off, device)
    report.notes.append(f"the weight that the layer drew is {w:.8f} ± {off:.1g}: solved from the first loss")


def _predict(p: dict[str, Any], x: Any) -> Any:
    return p["w"] * x + p["b"]


def _table(report: Report, rows: Any, w: float, b: float, off: float, device: str) -> None:
    epochs = [int(row["w"].key) - 1 for row in rows]
    model = rounding_model("float32", device)
    start = {"weight": np.array([[w]]), "bias": np.array([b])}
    truth = enclosed(start, COLUMN, TARGET, RATE, epochs, model, within={"weight": off})
    hand = by_hand(w, b, X, Y, RATE, epochs[-1] + 1)
    begin = {"w": np.array(w), "b": np.array(b)}
    seen = list(walk([(X, Y)] * (epochs[-1] + 1), begin, RATE, _predict, rung="module", device=device))
    reason = "the weight is solved from the first loss to fewer digits than it has"
    for row, epoch in zip(rows, epochs, strict=True):
        after, enclosing = seen[epoch].after, truth[epoch].after
        hand_w, hand_b = hand[epoch].after
        report.numbers(row["w"], Sides(hand_w, after["w"], enclosing["weight"][0, 0]), reason=reason)
        report.numbers(row["b"], Sides(hand_b, after["b"], enclosing["bias"][0]), reason=reason)
        report.numbers(row["loss"], Sides(hand[epoch].loss, seen[epoch].loss, truth[epoch].loss), reason=reason)
