"""The part of 001 that draws on the CPU: nn.Module, shuffling loaders, training and validation losses.

PyTorch 1.3.1, which the text prints, takes the order of each pass of a loader from the global generator. So every
batch follows from the seed and from the number of words drawn before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradcheck.arithmetic import Bounded, rounding_model
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.reference.training import MODELS, loss_and_gradients
from gradcheck.subject.training_seeds import drawn_normals, loss_at, walk
from gradcheck.walkthrough.figures import Figure, Report, Sides, item, like
from gradcheck.walkthrough.generators import Twister
from gradcheck.walkthrough.lines import HandStep, by_hand, by_hand_on, enclosed, enclosed_on

if TYPE_CHECKING:
    from gradcheck.walkthrough.seed_001 import Data

__all__ = ["BATCH", "Orders", "Run", "State", "loader_runs", "module_and_loader", "shuffled_orders"]

SEED, RATE, EPOCHS, BATCH = 42, 0.1, 1000, 16
ONCE_MORE = 81
"""Words drawn between the first batch shown and the first training run, besides those of the cells that the text shows:
as many as one more pass of the loader takes. Solved from the parameters after that run."""

BETWEEN = 183
"""Words drawn between both training runs: as many as two passes of the training loader and one of the validation loader
take. Solved from the last ten training losses of the second run."""

LAST, REACH = 200, 0.1
"""The last epochs of a run contract whatever came before: 200 epochs a distance of 0.1 to below a unit roundoff."""

ROUNDING = "the order in which the kernels of the CUDA device add is not given"
Tables = dict[str, list[dict[str, Figure]]]
Batch = tuple[np.ndarray, np.ndarray]


class Orders(NamedTuple):
    """Indices in the order served: the batch shown, each epoch of both runs, and each validation of the second."""

    shown: list[int]
    first: list[list[int]]
    second: list[list[int]]
    validation: list[list[int]]


def shuffled_orders(samples: int, validated: int) -> Orders:
    """All passes of the loaders after the model has drawn its two parameters."""
    twister = Twister(SEED)
    twister.normal_pair()
    shown = twister.loader(samples)
    twister.permutation(samples)  # of the cell that looks at the batch sampler alone
    twister.skip(ONCE_MORE)
    first = [twister.loader(samples) for _ in range(EPOCHS)]
    twister.skip(BETWEEN)
    second, validation = [], []
    for _ in range(EPOCHS):
        second.append(twister.loader(samples))
        validation.append(twister.loader(validated))
    return Orders(shown[:BATCH], first, second, validation)


def _served(x: np.ndarray, y: np.ndarray, order: list[int]) -> list[Batch]:
    rows = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    return [(x[some], y[some]) for some in rows]


def module_and_loader(report: Report, tables: Tables, data: Data, predict: Callable[..., Any], device: str) -> None:
    """nn.Module on all data, the batch shown, both runs over the loader, and the counts."""
    orders = shuffled_orders(len(data.x), len(data.x_valid))
    state = _module(report, tables, data, predict, device)
    for index, row in zip(orders.shown, tables["loader, first batch"], strict=True):
        report.numbers(row["x"], Sides(float(data.x[index]), None))
        report.numbers(row["y"], Sides(float(data.y[index]), None))
    run = loader_runs(report, tables, data, orders, state, predict, device)
    steps, checks = len(run.hand), sum(len(_served(*_valid(data), order)) for order in orders.validation)
    counted = (len(data.x), len(data.x_valid), len(orders.shown), checks, steps)
    for row, count in zip(tables["counts"], counted, strict=True):
        report.words(row["number"], str(count))
    report.curves["batches of 16"] = [step.loss for step in run.hand[:50]]
    report.notes.append(
        f"the loaders' order follows from the seed {SEED}; solved: {ONCE_MORE} and {BETWEEN} words drawn between cells"
    )


def loader_runs(
    report: Report, tables: Tables, data: Data, orders: Orders, state: State, predict: Callable[..., Any], device: str
) -> Run:
    """Both runs over the loader, from a state on, and the losses of the second, which is returned."""
    first, second = tables["loader"][0], tables["loader"][1:]
    run = Run(data, orders.first, state, predict, device)
    run.report_end(report, [first])
    run = Run(data, orders.second, run.state, predict, device)
    run.report_end(report, second)
    losses = run.validation_losses(orders.validation)
    for name, sides in (("training", run.training_losses()), ("validation", losses)):
        table = tables[f"loader, {name} losses"]
        for row, of_row in zip(table, sides[-len(table) :], strict=True):
            report.numbers(row["loss"], of_row, item, ROUNDING)
    return run


def _valid(data: Data) -> Batch:
    return data.f.x_valid, data.f.y_valid


class State(NamedTuple):
    """Weight and bias by hand, and ``a`` and ``b`` in PyTorch."""

    hand: tuple[float, float]
    pytorch: dict[str, float]


def _module(report: Report, tables: Tables, data: Data, predict: Callable[..., Any], device: str) -> State:
    a, b = Twister(SEED).normal_pair()
    model = rounding_model("float32", device)
    drawn = drawn_normals(SEED, 2)
    rows = tables["module"]
    for column, value, other in (("a", a, drawn[0]), ("b", b, drawn[1])):
        report.numbers(rows[0][column], Sides(value, other))
    start = {"weight": np.array([[np.float32(b)]], dtype=np.float64), "bias": np.array([np.float32(a)], np.float64)}
    ends = [EPOCHS - 1, 2 * EPOCHS - 1]
    truth = enclosed(start, *data.columns(), RATE, ends[:1], model)
    hand = by_hand(b, a, data.f.x, data.f.y, RATE, 2 * EPOCHS)
    begin = {"a": np.array([a]), "b": np.array([b])}
    seen = list(walk([data.columns()] * (2 * EPOCHS), begin, RATE, predict, rung="module", device=device))
    for row, epoch in zip(rows[1:], ends, strict=True):
        enclosing = truth[epoch].after if epoch in truth else None
        for column, place, held in (("a", 1, "bias"), ("b", 0, "weight")):
            number = enclosing[held].reshape(1)[0] if enclosing else None
            report.numbers(row[column], Sides(hand[epoch].after[place], seen[epoch].after[column], number), like)
    return State(hand[-1].after, seen[-1].after)


class Run:
    """One training run over shuffled batches, three ways; the enclosure covers its last epochs."""

    def __init__(
        self, data: Data, orders: list[list[int]], state: State, predict: Callable[..., Any], device: str
    ) -> None:
        self.data, self.predict, self.device = data, predict, device
        self.model = rounding_model("float32", device)
        batches = [batch for order in orders for batch in _served(data.f.x, data.f.y, order)]
        self.each = len(batches) // len(orders)
        self.hand: list[HandStep] = by_hand_on(*state.hand, batches, RATE)
        columns = [(x.astype(np.float64)[:, None], y.astype(np.float64)[:, None]) for x, y in batches]
        start = {name: np.array([value]) for name, value in state.pytorch.items()}
        self.seen = list(walk(columns, start, RATE, predict, rung="module", device=device))
        self.state = State(self.hand[-1].after, self.seen[-1].after)
        self.begin = len(batches) - LAST * self.each
        w, b = self.hand[self.begin].before
        keep = range(LAST * self.each - 10 * self.each, LAST * self.each)
        enclosing = enclosed_on(
            {"weight": np.array([[w]]), "bias": np.array([b])}, columns[self.begin :], RATE, keep, self.model,
            within={"weight": REACH, "bias": REACH},
        )  # fmt: skip
        self.truth = {self.begin + step: found for step, found in enclosing.items()}

    def report_end(self, report: Report, rows: list[dict[str, Figure]]) -> None:
        """The parameters after the last step."""
        after = self.truth[len(self.hand) - 1].after
        for row in rows:
            a = Sides(self.state.hand[1], self.state.pytorch["a"], after["bias"][0])
            b = Sides(self.state.hand[0], self.state.pytorch["b"], after["weight"][0, 0])
            report.numbers(row["a"], a, like, ROUNDING)
            report.numbers(row["b"], b, like, ROUNDING)

    def training_losses(self) -> list[Sides]:
        """Of the steps that are enclosed."""
        return [Sides(self.hand[s].loss, self.seen[s].loss, found.loss) for s, found in self.truth.items()]

    def validation_losses(self, orders: list[list[int]]) -> list[Sides]:
        """After each epoch whose end is enclosed, batch by batch."""
        sides = []
        for epoch, order in enumerate(orders):
            step = (epoch + 1) * self.each - 1
            if step in self.truth:
                sides += [self._validated(step, x, y) for x, y in _served(*_valid(self.data), order)]
        return sides

    def _validated(self, step: int, x: np.ndarray, y: np.ndarray) -> Sides:
        w, b = (np.float32(value) for value in self.hand[step].after)
        by_hand_loss = float(((w * x + b - y) ** 2).mean())
        columns = x.astype(np.float64)[:, None], y.astype(np.float64)[:, None]
        pytorch = loss_at(self.seen[step].after, self.predict, *columns, self.device)
        lifted = (lift_array(column, self.model) for column in columns)
        loss: Bounded = lift(
            loss_and_gradients(MODELS["linear_regression"], dict(self.truth[step].after), *lifted)[0], self.model
        )
        return Sides(by_hand_loss, pytorch, loss)
