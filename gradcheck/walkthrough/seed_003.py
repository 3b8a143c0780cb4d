"""Batch and stochastic descent of a noisy line. The noise is not seeded, and still most figures follow.

Batch descent sees the noise through three numbers only: the means of x·noise, noise and noise². The first row tells
them, and the other nineteen follow. One row of stochastic descent sees the noise of one sample, which its w tells.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel, rounding_model
from gradcheck.arithmetic.model import LAMBDA
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.reference.training import MODELS, descended, loss_and_gradients
from gradcheck.subject.training_seeds import Seen, walk
from gradcheck.walkthrough.figures import Figure, Report, Sides, item, recorded
from gradcheck.walkthrough.lines import HandStep, by_hand, by_hand_on
from gradcheck.walkthrough.stability import (
    RUNS,
    driven_states,
    spectral_radius,
    stability_limit,
    stable_direction,
)
from gradcheck.walkthrough.trajectory import Trajectory

__all__ = ["RATE", "Constants", "X", "growth_in_pytorch", "scenario", "solved_constants", "solved_target"]

SLOPE, NOISE, RATE, EPOCHS = -5.0, 0.4, 0.1, 20
START = (-10.0, -20.0)
X = (-5.0 + 0.1 * np.arange(100)).astype(np.float32).astype(np.float64)
Row = dict[str, Figure]


class Constants(NamedTuple):
    """The means of x·noise, noise and noise²."""

    x_noise: float
    noise: float
    square: float


def scenario(device: str = "cpu") -> Report:
    """Both prints of the batch table, the rows of stochastic descent, and its stability limit."""
    report = Report("003", "batch and stochastic descent of a noisy line")
    tables = recorded("003")
    rows = tables["batch descent"]
    constants = solved_constants(*(float(rows[0][column].printed) for column in ("loss", "w", "b")))
    report.notes.append(
        f"solved from the first row: mean of x·noise {constants.x_noise:.6f}, of noise {constants.noise:.6f}, of "
        f"noise² {constants.square:.6f} (0.16 is what noise of deviation {NOISE} has on average)"
    )
    batch = _batch_sides(_stand_in(constants), rounding_model("float32", device), device)
    for name in ("batch descent", "batch descent, again"):
        _batch_table(report, tables[name], batch)
    _stochastic_table(report, tables["stochastic descent"], device)
    _limit(report, device)
    return report


def solved_constants(loss: float, w: float, b: float) -> Constants:
    """The three means from the first row: the loss before the first step, w and b after it."""
    m1, m2 = X.mean(), (X * X).mean()
    d, b0 = START[0] - SLOPE, START[1]
    x_noise = d * m2 + b0 * m1 - (START[0] - w) / (2.0 * RATE)
    noise = d * m1 + b0 - (b0 - b) / (2.0 * RATE)
    square = loss - (d * d * m2 + 2 * d * b0 * m1 + b0 * b0 - 2 * d * x_noise - 2 * b0 * noise)
    return Constants(float(x_noise), float(noise), float(square))


def _stand_in(constants: Constants) -> np.ndarray:
    """Targets whose noise has the three means: a line through the noise, and the rest alternating in sign."""
    basis = np.stack([X, np.ones_like(X)], axis=1)
    slope, level = np.linalg.solve(basis.T @ basis / len(X), [constants.x_noise, constants.noise])
    signs = np.where(np.arange(len(X)) % 2, 1.0, -1.0)
    rest = signs - basis @ np.linalg.solve(basis.T @ basis, basis.T @ signs)
    line = slope * X + level
    rest *= math.sqrt((constants.square - (line * line).mean()) / (rest * rest).mean())
    return SLOPE * X + line + rest


class _Batch(NamedTuple):
    losses: list[Bounded]
    after: list[dict[str, Bounded]]
    hand: list[HandStep]
    seen: list[Seen]


def _batch_sides(y: np.ndarray, model: RoundingModel, device: str) -> _Batch:
    """All steps on the stand-in targets: enclosed, in float32 by hand, in PyTorch.

    The enclosure begins with what the first row prints and carries on how far the means may be off: by the rounding of
    the first step over the step size, and of the first loss.
    """
    x, targets = X[:, None], y[:, None]
    first = {"weight": np.array([[START[0]]]), "bias": np.array([START[1]])}

    def descend(state: dict[str, Any], x: Any = x, y: Any = targets) -> tuple[Any, dict[str, Any]]:
        parameters = {name: state[name] for name in first}
        loss, gradients = loss_and_gradients(MODELS["linear_regression"], parameters, x, y)
        shifted = {name: gradient + state[f"shift {name}"] for name, gradient in gradients.items()}
        held = {f"shift {name}": state[f"shift {name}"] for name in first}
        return loss, {**descended(parameters, shifted, RATE), **held}

    none = {f"shift {name}": np.zeros_like(array) for name, array in first.items()}
    exact = lift_array(x, model), lift_array(targets, model)
    loss, stepped = descend({name: lift_array(a, model) for name, a in {**first, **none}.items()}, *exact)
    off = {name: float(lift(stepped[name], model).full_bound().max()) / RATE for name in first}
    off_square = float(lift(loss, model).full_bound()) + abs(START[0] - SLOPE) * off["weight"] + 20.0 * off["bias"]
    within = {f"shift {name}": value for name, value in off.items()}
    rows = recorded("003")["batch descent"]
    printed = {"weight": [[float(rows[0]["w"].printed)]], "bias": [float(rows[0]["b"].printed)]}
    run = Trajectory({**{name: np.array(value) for name, value in printed.items()}, **none}, model, within)
    losses, after = [lift(loss, model)], [run.bounded()]
    for _ in range(EPOCHS - 1):
        state = run.bounded()
        value = lift(descend(state, *exact)[0], model)
        d, b = abs(float(run.state["weight"][0, 0]) - SLOPE), abs(float(run.state["bias"][0]))
        slack = off_square + d * off["weight"] + b * off["bias"]
        losses.append(Bounded(value.value, value.full_bound() + slack, model))
        run.advance(lambda state: descend(state)[1])
        after.append(run.bounded())
    f = X.astype(np.float32), y.astype(np.float32)
    hand = by_hand(*START, *f, RATE, EPOCHS)
    return _Batch(losses, after, hand, list(_walk([(x, targets)] * EPOCHS, START, device)))


def _predict(p: dict[str, Any], x: Any) -> Any:
    return p["w"] * x + p["b"]


def _walk(batches: Any, start: tuple[float, float], device: str, rate: float = RATE, dtype: str = "float32") -> Any:
    begin = {"w": np.array(start[0]), "b": np.array(start[1])}
    return walk(batches, begin, rate, _predict, dtype=dtype, device=device)


def _batch_table(report: Report, rows: list[Row], batch: _Batch) -> None:
    reason = "the noise is not seeded: three means of it are solved from the first row, to the digits that they have"
    for epoch, row in enumerate(rows):
        hand, seen, after = batch.hand[epoch], batch.seen[epoch], batch.after[epoch]
        report.numbers(row["loss"], Sides(hand.loss, seen.loss, batch.losses[epoch]), item, reason)
        weight, bias = after["weight"][0, 0], after["bias"][0]
        if epoch == 0:
            # What the means were solved from has no bound of its own: that of the step is the one to meet.
            weight, bias = (_first_bound(value, batch) for value in (weight, bias))
        report.numbers(row["w"], Sides(hand.after[0], seen.after["w"], weight), item, reason)
        report.numbers(row["b"], Sides(hand.after[1], seen.after["b"], bias), item, reason)
    report.curves["batch descent"] = [step.loss for step in batch.hand]


def _first_bound(value: Bounded, batch: _Batch) -> Bounded:
    shift = max(float(bounded.full_bound().max()) for name, bounded in batch.after[0].items() if "shift" in name)
    return Bounded(value.value, np.float64(shift * RATE), value.model)


def solved_target(x: float, before: tuple[float, float], printed: dict[str, str]) -> float | None:
    """The target of one sample for which a float32 step from ``before`` prints the row; None where there is none.

    One number is unknown and three are printed: w tells the target to a few units in its last place or, where w is
    large, of the residual's. These are tried one after another.
    """
    w, b = before
    residual = (w - float(printed["w"])) / (2.0 * RATE * x)
    guess = w * x + b - residual
    gap = max(float(np.spacing(np.float32(guess))), float(np.spacing(np.float32(abs(residual)))))
    for k in sorted(range(-40, 41), key=abs):
        target = float(np.float32(guess + k * gap / 2.0))
        if all(text == printed[name] for name, text in _printed_row(_one_by_hand(x, target, before)).items()):
            return target
    return None


def _one_by_hand(x: float, y: float, before: tuple[float, float]) -> HandStep:
    batch = np.array([x], dtype=np.float32), np.array([y], dtype=np.float32)
    return by_hand_on(*before, [batch], RATE)[0]


def _printed_row(step: HandStep) -> dict[str, str]:
    return {"loss": item(step.loss, ""), "w": item(step.after[0], ""), "b": item(step.after[1], "")}


def _stochastic_table(report: Report, rows: list[Row], device: str) -> None:
    noises = []
    for row, previous in zip(rows, [None, *rows], strict=False):
        step = int(row["w"].key)
        before = START if step == 0 else None
        if previous is not None and int(previous["w"].key) == step - 1:
            before = float(previous["w"].printed), float(previous["b"].printed)
        if before is None:
            _row_without_a_start(report, row, step, device)
            continue
        x = float(X[step % len(X)])
        target = solved_target(x, before, {name: figure.printed for name, figure in row.items()})
        # Where no target prints the row, the one that fits w best shows by how much it fails.
        used = target if target is not None else before[0] * x + before[1] - _residual(row, before, x)
        noises.append(used - SLOPE * x)
        hand = _one_by_hand(x, used, before)
        seen = next(_walk([(np.array([x]), np.array([used]))], before, device))
        report.numbers(row["loss"], Sides(hand.loss, seen.loss), item)
        report.numbers(row["w"], Sides(hand.after[0], seen.after["w"]), item)
        report.numbers(row["b"], Sides(hand.after[1], seen.after["b"]), item)
    report.notes.append(
        "noise of single samples, solved from their rows of stochastic descent: "
        + ", ".join(f"{noise:.3f}" for noise in noises)
    )


def _residual(row: Row, before: tuple[float, float], x: float) -> float:
    return (before[0] - float(row["w"].printed)) / (2.0 * RATE * x)


def _row_without_a_start(report: Report, row: Row, step: int, device: str) -> None:
    """A row whose predecessor is not printed: noise says how large w and b are, and the loss follows from them.

    After a step the residual is 1 - 2·η·(x² + 1) times what it was, but for the noise of the sample.
    """
    model = rounding_model("float32", device)
    x = float(X[step % len(X)])
    states = driven_states(X, (SLOPE, 0.0), START, RATE, NOISE, step + 1)
    reach = np.abs(states - np.array([[SLOPE], [0.0]])).max(axis=1)
    reason = f"unseeded noise, and float32's rounding of it, drive it: within the reach of {RUNS} runs with other noise"
    w, b = (float(row[name].printed) for name in ("w", "b"))
    for name, centre, size in (("w", SLOPE, reach[0]), ("b", 0.0, reach[1])):
        truth = Bounded(np.float64(centre), np.float64(size), model)
        report.numbers(row[name], Sides(None, None, truth), item, reason)
    factor = 1.0 - 2.0 * RATE * (x * x + 1.0)
    after = Bounded(np.float64((w - SLOPE) * x + b), np.float64(LAMBDA * NOISE), model)
    ulps = 2.0 * model.unit * (abs(w * x) + abs(b)) / abs(factor)
    residual = Bounded((after / factor).value, (after / factor).full_bound() + ulps, model)
    report.numbers(row["loss"], Sides(None, None, residual * residual), item, "it follows from w and b up to the noise")


def _limit(report: Report, device: str) -> None:
    """The step size from which stochastic descent diverges, and PyTorch on both sides of it."""
    limit = stability_limit(X, 0.01, 1.0)
    radius = spectral_radius(X, RATE)
    single = 1.0 / float((X * X).max() + 1.0)
    below, above = limit * (1.0 - 2.0**-10), limit * (1.0 + 2.0**-10)
    growth = {rate: growth_in_pytorch(rate, device) for rate in (RATE, below, above)}
    right = growth[RATE] < 1.0 and growth[below] < 1.0 < growth[above]
    report.claim("PyTorch's stochastic descent diverges exactly above the step size computed for it", right)
    steps = EPOCHS * len(X)
    noisy, rough = (
        driven_states(X, (SLOPE, 0.0), START, RATE, NOISE, steps, dtype)[1].std() for dtype in (np.float64, np.float32)
    )
    report.notes.append(
        f"one sample alone is stable up to a step size of {single:.4f}, a whole epoch up to {limit:.6f}: at {RATE} its "
        f"spectral radius is {radius:.4f}, so that the printed run does not diverge"
    )
    report.notes.append(
        f"outer samples blow noise and rounding up in every epoch again: b then has deviation {noisy:.1g} in float64, "
        f"where the noise drives it, and {rough:.1g} in float32, where its roundings do"
    )
    report.notes.append(
        f"PyTorch, growth per epoch: {growth[RATE]:.4f} at {RATE}; {growth[below]:.4f} just below the limit, "
        f"{growth[above]:.4f} just above it"
    )
    report.curves["stochastic descent"] = _stochastic_losses()


def growth_in_pytorch(rate: float, device: str = "cpu", epochs: int = 3) -> float:
    """By what the distance from the solution grows in the last epoch, in float64 and without noise.

    The run starts at a distance of 1 along the direction that decays slowest.
    """
    direction = stable_direction(X, rate)
    data = [(np.array([x]), np.array([SLOPE * x])) for x in X] * epochs
    seen = list(_walk(data, (SLOPE + direction[0], direction[1]), device, rate, "float64"))
    ends = [seen[(epoch + 1) * len(X) - 1].after for epoch in range(epochs)]
    sizes = [math.hypot(end["w"] - SLOPE, end["b"]) for end in ends]
    return sizes[-1] / sizes[-2]


def _stochastic_losses() -> list[float]:
    """The loss on all data at the beginning of each epoch, for noise of a fixed seed: for the plot."""
    y = SLOPE * X + NOISE * np.random.default_rng(0).standard_normal(len(X))
    state, losses = np.array(START), []
    for _ in range(EPOCHS):
        losses.append(float(((state[0] * X + state[1] - y) ** 2).mean()))
        for x, target in zip(X, y, strict=True):
            state = state - 2.0 * RATE * (state[0] * x + state[1] - target) * np.array([x, 1.0])
    return losses
