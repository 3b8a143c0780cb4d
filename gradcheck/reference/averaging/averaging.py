"""Averages of parameters over steps, and of batch statistics over batches: ``torch.optim.swa_utils``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gradcheck.arithmetic import Bounded, RoundingModel, number, stored
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.reference.registry import enter

__all__ = ["Averaging", "averaging", "batch_statistics", "bounded_averages", "ema", "swa"]


@dataclass(frozen=True)
class Averaging:
    """One average; an Entry of the table.

    function: ``function(before, row, count, *, …) -> after``, all as ``{name: array}``, one step of the average from
    what it was after ``count`` rows; closed: the same from all rows at once; array: the name of the rows.
    """

    name: str
    function: Callable[..., dict[str, Any]]
    closed: Callable[..., dict[str, Any]]
    inputs: Callable[[Any], dict[str, Any]]
    array: str
    modes: tuple[str, ...] = ("default",)
    words: tuple[tuple[str, Any], ...] = ()
    kind: ClassVar[str] = "averaging"
    dtypes: ClassVar[tuple[str, ...]] = ("float64", "float32", "float16", "bfloat16")
    elementwise: ClassVar[bool] = False

    @property
    def title(self) -> str:
        """The first line of the formula's docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]

    @property
    def arrays(self) -> tuple[str, ...]:
        return (self.array,)

    @property
    def required(self) -> tuple[str, ...]:
        return (self.array,)

    @property
    def options(self) -> dict[str, Any]:
        """Options of the average, and their defaults."""
        parameters = inspect.signature(self.closed).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The options, and what else a case says."""
        return {**self.options, **dict(self.words)}


def averaging(
    name: str,
    *,
    closed: Callable[..., dict[str, Any]],
    array: str,
    inputs: Callable[[Any], dict[str, Any]],
    **more: Any,
) -> Callable[[Callable[..., dict[str, Any]]], Callable[..., dict[str, Any]]]:
    """Enter the decorated step of an average, and its closed form, as the entry of ``name``."""

    def register(function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        enter(Averaging(name, function, closed, inputs, array, **more))
        return function

    return register


def swa(before: Any, row: Any, count: int, route: str) -> Any:
    """The mean of count + 1 rows from that of count: m + (p - m)/(count + 1) (Izmailov et al. 2018)."""
    if route == "single":
        return before + stored(stored(row - before) / (count + 1))
    return _lerp(before, row, number(1.0, before) / (count + 1), 1.0 / (count + 1))


def ema(before: Any, row: Any, decay: Any, route: str) -> Any:
    """decay·m + (1 - decay)·p, the exponential moving average (Polyak & Juditsky 1992 average with equal weights)."""
    weight = 1.0 - decay
    if route == "single":
        return stored(decay * before) + stored(weight * row)
    return _lerp(before, row, weight, float(weight))


def _lerp(a: Any, b: Any, weight: Any, size: float) -> Any:
    """a + w·(b - a), for w < 1/2, b - (b - a)·(1 - w) else: as ``Tensor.lerp``, exact at both ends."""
    return a + weight * (b - a) if size < 0.5 else b - (b - a) * (1.0 - weight)


def model_inputs(draw: Any) -> dict[str, Any]:
    steps = draw.choice((1, 2, 3, 6, 12))
    average = draw.choice(("swa", "ema"))
    words = {"decay": draw.choice((0.999, 0.9, 0.25, 0.0, 1.0))} if average == "ema" else {}
    array = draw.array((steps, draw.choice((4, 1, 7, 33))), ("ordinary", "ties", "wide", "subnormal", "integers"))
    return {"params": array, "average": average, **words, **({"use_buffers": True} if draw.boolean() else {})}


def closed_average(rows: Any, *, average: str = "swa", decay: Any = 0.999) -> dict[str, Any]:
    """The mean of all rows; or decay^n·p_0 + (1 - decay)·Σ decay^(n-k)·p_k."""
    last = rows.shape[0] - 1
    if average == "swa":
        return {"params": np.mean(rows, axis=0)}
    total = rows[0] * decay**last
    for k in range(1, last + 1):
        total = total + rows[k] * (1.0 - decay) * decay ** (last - k)
    return {"params": total}


@averaging(
    "optim.swa_utils.AveragedModel",
    closed=closed_average,
    array="params",
    inputs=model_inputs,
    modes=("multi", "single"),
    words=(("use_buffers", False),),
)
def averaged_model(
    before: dict[str, Any] | None,
    row: Any,
    count: int,
    *,
    average: str = "swa",
    decay: Any = 0.999,
    route: str = "multi",
) -> dict[str, Any]:
    """The first row as it is; then the mean of all rows so far, or their exponential moving average.

    route: a kernel over all tensors (``multi_avg_fn``), or a formula in tensors (``avg_fn``), which stores each result.
    """
    if before is None:
        return {"params": row}
    m = before["params"]
    return {"params": swa(m, row, count, route) if average == "swa" else ema(m, row, decay, route)}


def batch_inputs(draw: Any) -> dict[str, Any]:
    shape = (draw.choice((2, 3, 1, 7)), draw.choice((4, 2, 9, 33)), draw.choice((3, 1, 5)))
    return {"x": draw.array(shape, ("ordinary", "integers", "ties")), "momentum": draw.choice((0.1, 0.9))}


def batch_statistics(x: Any) -> dict[str, Any]:
    """Mean and unbiased variance over the first axis, for each column (Ioffe & Szegedy 2015)."""
    n = x.shape[0]
    mean = np.mean(x, axis=0)
    away = x - mean
    return {"running_mean": mean, "running_var": np.sum(away * away, axis=0) / (n - 1)}


def closed_statistics(rows: Any, *, momentum: float = 0.1) -> dict[str, Any]:
    """The statistics of every batch with equal weights; the layer's momentum has no part in it."""
    parts = [batch_statistics(rows[k]) for k in range(rows.shape[0])]
    return {name: np.mean(np.stack([part[name] for part in parts]), axis=0) for name in parts[0]}


@averaging("optim.swa_utils.update_bn", closed=closed_statistics, array="x", inputs=batch_inputs)
def update_bn(
    before: dict[str, Any] | None, row: Any, count: int, *, momentum: float = 0.1, route: str = "default"
) -> dict[str, Any]:
    """(1 - f)·running + f·batch with f = 1/(count + 1): the mean over the batches so far."""
    batch = batch_statistics(row)
    if before is None:
        return batch
    f = number(1.0, row) / (count + 1)
    return {name: f * value + (1.0 - f) * before[name] for name, value in batch.items()}


def bounded_averages(
    entry: Averaging, arguments: dict[str, Any], observed: list[dict[str, np.ndarray]], model: RoundingModel, route: str
) -> tuple[list[dict[str, Bounded]], dict[str, Bounded]]:
    """After each row, one step from what was observed before it; and the closed form after all of them.

    The bound of the closed form is the larger of its own and that of the steps from the start, which is what rounding
    may add up to.
    """
    given = {name: value for name, value in arguments.items() if name in entry.options}
    options = {
        name: lift(value, model) if isinstance(value, float) else value
        for name, value in {**entry.options, **given}.items()
    }
    rows = lift_array(arguments[entry.array], model)
    steps, whole = [], None
    with np.errstate(all="ignore"):
        for count in range(len(arguments[entry.array])):
            before = {name: lift_array(array, model) for name, array in observed[count - 1].items()} if count else None
            steps.append(entry.function(before, rows[count], count, **options, route=route))
            whole = entry.function(whole, rows[count], count, **options, route=route)
            whole = {name: stored(value) for name, value in whole.items()}
        closed = entry.closed(rows, **options)
        assert whole is not None
        return steps, {name: _widest(value, whole[name]) for name, value in closed.items()}


def _widest(closed: Bounded, stepped: Bounded) -> Bounded:
    distance = np.abs(closed.value - stepped.value)
    bound, other = closed.full_bound(), stepped.full_bound()
    return Bounded(
        closed.value, np.where(distance <= bound + other, np.maximum(bound, distance + other), bound), closed.model
    )
