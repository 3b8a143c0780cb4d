"""Schedules of schedules: SequentialLR, ChainedScheduler. A part is written ``("StepLR", ("step_size", 3), …)``."""

from __future__ import annotations

import bisect
from typing import Any

import numpy as np

from gradcheck.arithmetic import number
from gradcheck.reference.registry import entry_named
from gradcheck.reference.schedule.schedule import RARELY, Schedule, drawn, schedule

__all__ = ["PARTS", "chained", "options_of", "schedule_of", "sequential"]

Part = tuple[Any, ...]

PARTS: tuple[Part, ...] = (
    ("ConstantLR", ("factor", 0.5), ("total_iters", 2)),
    ("ExponentialLR", ("gamma", 0.9)),
    ("LinearLR", ("start_factor", 0.25), ("total_iters", 4)),
    ("StepLR", ("step_size", 2), ("gamma", 0.5)),
    ("MultiStepLR", ("milestones", (1, 3)), ("gamma", 0.3)),
    ("PolynomialLR", ("total_iters", 30), ("power", 1.5)),
    ("MultiplicativeLR", ("lr_lambda", "zigzag")),
)
"""Parts whose rate is the starting rate times a factor, so that chaining them multiplies the factors; PyTorch calls
them "chainable"."""

MORE_PARTS: tuple[Part, ...] = (
    ("CosineAnnealingLR", ("T_max", 5), ("eta_min", 0.01)),
    ("CosineAnnealingWarmRestarts", ("T_0", 2), ("T_mult", 2)),
    ("LambdaLR", ("lr_lambda", "inverse")),
)

LATER_PARTS: tuple[Part, ...] = (
    ("CyclicLR", ("base_lr", 0.01), ("max_lr", 0.2), ("step_size_up", 2), ("cycle_momentum", False)),
    ("CyclicLR", ("base_lr", 0.05), ("max_lr", 0.1), ("step_size_up", 3), ("mode", "triangular2"),
     ("cycle_momentum", False)),
)  # fmt: skip
"""With rates of their own, which they leave as every group's starting rate where they are made first.

Two are no parts of anything here. OneCycleLR sets every group's ``initial_lr``, from which all parts start, wherever it
is made; of it PyTorch says "This scheduler is not chainable". ReduceLROnPlateau PyTorch refuses, "as it requires
additional kwargs to be specified when calling `step`".
"""

COMPOSITE_PARTS: tuple[Part, ...] = (
    ("ChainedScheduler", ("schedulers", (PARTS[3], PARTS[1]))),
    ("SequentialLR", ("schedulers", (PARTS[0], PARTS[1])), ("milestones", (2,))),
)
"""Of parts themselves. SequentialLR is no part of a chain: at a milestone it starts anew from the starting rate. As a
part of SequentialLR each of them deviates (in the ledger), and so does MultiplicativeLR but for the first part."""


def schedule_of(part: Part) -> Schedule:
    """The entry that a part names. Raises UsageError where there is none."""
    entry = entry_named(f"optim.lr_scheduler.{part[0]}")
    assert isinstance(entry, Schedule)
    return entry


def options_of(part: Part, like: Any = None) -> dict[str, Any]:
    """The options of a part, its floats in the arithmetic of ``like``, and defaults beside it."""
    own = dict(part[1:])
    if like is None:
        return own
    defaults = {name: value for name, value in schedule_of(part).options.items() if isinstance(value, float)}
    return {
        name: number(value, like) if isinstance(value, float) else value for name, value in {**defaults, **own}.items()
    }


def _closed(part: Part, t: Any, lr: Any) -> Any:
    return schedule_of(part).closed(t, lr, **options_of(part, lr))["lr"]


def _route(part: Part, lr: Any, t: int, base: Any) -> Any:
    entry = schedule_of(part)
    if entry.route is None:
        return _closed(part, np.array([t]), base)[0]
    return entry.route(lr, t, base, **options_of(part, lr))


def sequential_inputs(draw: Any) -> dict[str, Any]:
    places = (PARTS + MORE_PARTS, *((PARTS[:-1] + MORE_PARTS + LATER_PARTS,) * (draw.choice((2, 3, 1)) - 1)))
    parts = [draw.choice(of_place) for of_place in places]
    if draw.choice(RARELY):
        parts[draw.integer(0, len(parts) - 1)] = draw.choice((*COMPOSITE_PARTS, PARTS[-1]))
    gaps = [draw.choice((2, 1, 5)) for _ in parts[1:]]
    milestones = tuple(sum(gaps[: i + 1]) for i in range(len(gaps)))
    return drawn(draw, schedulers=(tuple(parts),), milestones=(milestones,))


def sequential_route(lr: Any, t: int, base: Any, *, schedulers: tuple[Part, ...], milestones: tuple[int, ...]) -> Any:
    """Each part goes on from the rate before; at its start it takes its closed form at 0."""
    which = bisect.bisect_right(milestones, t)
    start = milestones[which - 1] if which else 0
    if t == start and which:
        return _closed(schedulers[which], np.array([0]), base)[0]
    return _route(schedulers[which], lr, t - start, base)


@schedule(
    "optim.lr_scheduler.SequentialLR",
    inputs=sequential_inputs,
    route=sequential_route,
    modes=("step", "last_epoch", "tensor"),
)
def sequential(t: Any, lr: Any, *, schedulers: tuple[Part, ...], milestones: tuple[int, ...]) -> dict[str, Any]:
    """One part after the other: part i from milestone i on, its own time beginning there and its rate from lr."""
    which = np.array([bisect.bisect_right(milestones, now) for now in t.tolist()])
    starts = np.array((0, *milestones))
    pieces = [_closed(part, t[which == i] - starts[i], lr) for i, part in enumerate(schedulers) if np.any(which == i)]
    return {"lr": np.concatenate(pieces)}


def chained_inputs(draw: Any) -> dict[str, Any]:
    parts = (*PARTS, COMPOSITE_PARTS[0])
    return drawn(draw, schedulers=(tuple(draw.choice(parts) for _ in range(draw.choice((2, 1, 3)))),))


def chained_route(lr: Any, t: int, base: Any, *, schedulers: tuple[Part, ...]) -> Any:
    """Each part steps in turn, from the rate that the part before has left."""
    for part in schedulers:
        lr = _route(part, lr, t, base)
    return lr


@schedule("optim.lr_scheduler.ChainedScheduler", inputs=chained_inputs, route=chained_route, modes=("step", "tensor"))
def chained(t: Any, lr: Any, *, schedulers: tuple[Part, ...]) -> dict[str, Any]:
    """lr times the factors of all parts, which all see the same time; for parts whose rate is lr times a factor."""
    for part in schedulers:
        lr = lr * _closed(part, t, number(1.0, lr))
    return {"lr": lr}
