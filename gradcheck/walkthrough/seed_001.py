"""From NumPy to nn.Module and DataLoader: one line, fitted again and again, on a CUDA device.

What looks unseeded follows all the same: the starts drawn on CUDA and on the CPU, and the order in which the loaders
shuffle, are made of the seed 42 (see ``generators``). How many random words were drawn between two cells depends on
how often cells were run, which the text does not say; two whole numbers are solved from what was printed.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic import Bounded, rounding_model
from gradcheck.subject.training_seeds import drawn_normals, edges_of_graph, mistake, walk
from gradcheck.walkthrough import seed_001_loader
from gradcheck.walkthrough.figures import Figure, Report, Sides, like, recorded
from gradcheck.walkthrough.generators import cuda_normal
from gradcheck.walkthrough.lines import Enclosed, HandStep, by_hand, enclosed

__all__ = ["Data", "make_data", "predict", "scenario"]

SEED, RATE, EPOCHS = 42, 0.1, 1000
ROUNDING = "the order in which the kernels of the CUDA device add, and how it draws to the last bit, are not given"
Tables = dict[str, list[dict[str, Figure]]]


class Data(NamedTuple):
    """Training and validation data in float64, (N,) each; ``f``: the same in float32."""

    x: np.ndarray
    y: np.ndarray
    x_valid: np.ndarray
    y_valid: np.ndarray

    @property
    def f(self) -> Data:
        return Data(*(array.astype(np.float32) for array in self))

    def columns(self) -> tuple[np.ndarray, np.ndarray]:
        """The training data as PyTorch sees them, (N, 1), carried in float64."""
        return self.f.x.astype(np.float64)[:, None], self.f.y.astype(np.float64)[:, None]


def make_data() -> Data:
    """As the first cell makes them. NumPy's legacy generator is frozen: these are the same numbers for ever."""
    random = np.random.RandomState(SEED)
    x = random.rand(100, 1)
    y = 1 + 2 * x + 0.1 * random.randn(100, 1)
    order = np.arange(100)
    random.shuffle(order)
    x, y = x[order, 0], y[order, 0]
    return Data(x[:80], y[:80], x[80:], y[80:])


def predict(p: dict[str, Any], x: Any) -> Any:
    """a + b·x."""
    return p["a"] + p["b"] * x


def scenario(device: str = "cpu") -> Report:
    """Everything that the text prints."""
    report = Report("001", "one line, from NumPy to nn.Module and DataLoader")
    tables, data = recorded("001"), make_data()
    _data_tables(report, tables, data)
    _cuda_runs(report, tables, data, device)
    seed_001_loader.module_and_loader(report, tables, data, predict, device)
    _errors(report, tables, device)
    _graphs(report, tables, data)
    return report


def _array_style(value: float, printed: str) -> str:
    """As NumPy prints an array: eight decimals, zeros at the end left out."""
    return f"{value:.8f}".rstrip("0")


def _data_tables(report: Report, tables: Tables, data: Data) -> None:
    for row in tables["training data"]:
        for column, values in (("x", data.x), ("y", data.y)):
            report.numbers(row[column], Sides(float(values[int(row[column].key)]), None), _array_style)
    for row in tables["first sample"]:
        report.numbers(row["x"], Sides(float(data.x[0]), float(data.f.x[0])))
        report.numbers(row["y"], Sides(float(data.y[0]), float(data.f.y[0])))


class _Runs(NamedTuple):
    truth: dict[int, Enclosed]
    hand: list[HandStep]


def _cuda_runs(report: Report, tables: Tables, data: Data, device: str) -> None:
    (a, a_off), (b, b_off) = cuda_normal(SEED, 0), cuda_normal(SEED, 1)
    drawn = drawn_normals(SEED, 2, device) if device.startswith("cuda") else [None, None]
    model = rounding_model("float32", device)
    for row in tables["start on CUDA"]:
        for column, value, off, other in (("a", a, a_off, drawn[0]), ("b", b, b_off, drawn[1])):
            report.numbers(row[column], Sides(value, other, Bounded(np.float64(value), np.float64(off), model)))
    for row in tables["start without a seed"]:
        for figure in row.values():
            report.not_given(figure, "drawn without a seed")
    report.notes.append(f"starts drawn on CUDA by the seed {SEED}: a = {a:.7f}, b = {b:.7f}")
    start = {"weight": np.array([[np.float32(b)]], dtype=np.float64), "bias": np.array([np.float32(a)], np.float64)}
    keep = [*range(0, EPOCHS, 100), EPOCHS - 1]
    runs = {}
    for zero in (True, False):
        within = {"weight": b_off, "bias": a_off}
        truth = enclosed(start, *data.columns(), RATE, keep, model, zero=zero, within=within)
        runs[zero] = _Runs(truth, by_hand(b, a, data.f.x, data.f.y, RATE, EPOCHS, zero=zero))
    begin = {"a": np.array([a]), "b": np.array([b])}
    for name, rung, zero in (
        ("never zeroed", "autograd", False),
        ("zeroed", "autograd", True),
        ("optimizer", "optimizer", True),
        ("MSELoss", "loss", True),
    ):
        batches = [data.columns()] * EPOCHS
        seen = list(walk(batches, begin, RATE, predict, rung=rung, zero=zero, device=device))
        for row in tables[name]:
            _step_row(report, row, runs[zero], seen[int(row["a before"].key)])
        if name == "zeroed":
            for table in ("lost leaf", "leaf in place"):
                _step_row(report, tables[table][0], runs[True], seen[0])
            _lost(report, tables, runs[True], seen[0])
            _after(report, tables["zeroed, afterwards"][0], runs[True], EPOCHS - 1, seen[-1])
    report.curves["gradients zeroed"] = [step.loss for step in runs[True].hand]
    report.curves["gradients never zeroed"] = [step.loss for step in runs[False].hand]


def _step_row(report: Report, row: dict[str, Figure], runs: _Runs, seen: Any) -> None:
    """The figures of one epoch; zeroing the gradients leaves the parameters as they are."""
    epoch = int(next(iter(row.values())).key)
    truth, hand = runs.truth[epoch], runs.hand[epoch]
    for place, name in enumerate(("b", "a")):
        held = "weight" if name == "b" else "bias"
        for column, enclosing, by_hand_value, pytorch in (
            (f"{name} before", truth.before, hand.before[place], seen.before[name]),
            (f"grad {name}", truth.gradients, hand.gradients[place], seen.gradients[name]),
            (f"{name} after", truth.after, hand.after[place], seen.after[name]),
            (f"{name} zeroed", truth.after, hand.after[place], seen.after[name]),
        ):
            if column in row:
                number = enclosing[held].reshape(1)[0]
                report.numbers(row[column], Sides(by_hand_value, pytorch, number), like, ROUNDING)


def _after(report: Report, row: dict[str, Figure], runs: _Runs, epoch: int, seen: Any) -> None:
    truth, hand = runs.truth[epoch].after, runs.hand[epoch].after
    report.numbers(row["a"], Sides(hand[1], seen.after["a"], truth["bias"][0]), like, ROUNDING)
    report.numbers(row["b"], Sides(hand[0], seen.after["b"], truth["weight"][0, 0]), like, ROUNDING)


def _lost(report: Report, tables: Tables, runs: _Runs, seen: Any) -> None:
    """The leaf is lost after one step: parameters that have moved, and no gradient."""
    _after(report, tables["lost leaf, afterwards"][0], runs, 0, seen)
    row = tables["lost leaf, second epoch"][0]
    moved = {"a": row["a before"], "b": row["b before"]}
    _after(report, moved, runs, 0, seen)
    for column in ("grad a", "grad b"):
        report.words(row[column], "None" if "'NoneType'" in mistake("lost leaf") else "a gradient")


def _errors(report: Report, tables: Tables, device: str) -> None:
    for row in tables["errors"]:
        figure = row["raised"]
        found = mistake(figure.key, device)
        kind, _, words = figure.printed.partition(": ")
        same = found.startswith(f"{kind}: {' '.join(words.split()[:6])} ")
        reason = "a later version words it differently; the kind of error and the subject of its sentence are the same"
        report.words(figure, found, reason, follows=same)


def _graphs(report: Report, tables: Tables, data: Data) -> None:
    start = {"a": np.array([1.0]), "b": np.array([1.0])}
    for drawn, (names, edges) in edges_of_graph(predict, start, *data.columns()).items():
        found = Counter(f"{names[first]} -> {names[second]}" for first, second in edges)
        for row in tables["graph"]:
            figure = row["edge"]
            if figure.key == drawn:
                report.words(figure, figure.printed if found[figure.printed] else "no such edge")
                found[figure.printed] -= 1
        report.claim(f"the graph of {drawn} has the edges that torchviz drew and no others", not +found)
