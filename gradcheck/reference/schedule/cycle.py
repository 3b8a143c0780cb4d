"""Rates that rise and fall, and momenta against them: CyclicLR, OneCycleLR (L. N. Smith 2017, 2018)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.arithmetic import number, pi
from gradcheck.reference.schedule.functions import values_of
from gradcheck.reference.schedule.schedule import LR_ONLY, MOMENTUM, RARELY, drawn, schedule

__all__ = ["cyclic", "one_cycle"]


def cyclic_inputs(draw: Any) -> dict[str, Any]:
    momentum = draw.choice((True, False))
    words: dict[str, Any] = {"base_lr": (0.01, 0.001), "max_lr": (0.1, 1.0), "step_size_up": (3, 4, 1, 9)}
    words |= {"step_size_down": (None, 2, 5), "mode": ("triangular", "triangular2", "exp_range"), "gamma": (1.0, 0.9)}
    if draw.choice((False, False, True)):
        words |= {"scale_fn": ("inverse", "wave"), "scale_mode": ("cycle", "iterations")}
    if momentum:
        words |= {"base_momentum": (0.8, 0.5), "max_momentum": (0.9, 0.99)}
    else:
        words["cycle_momentum"] = (False,)
    arguments = drawn(draw, optimizers=MOMENTUM if momentum else (*MOMENTUM, *LR_ONLY), **words)
    return _for_each_group(draw, arguments, ("base_lr", "max_lr"))


def _for_each_group(draw: Any, arguments: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Sometimes a value of its own for every parameter group."""
    groups = len(arguments["lr"])
    if groups > 1 and draw.boolean():
        for name in names:
            arguments[name] = tuple(arguments[name] * (i + 1) for i in range(groups))
    return arguments


@schedule(
    "optim.lr_scheduler.CyclicLR",
    inputs=cyclic_inputs,
    grouped=("base_lr", "max_lr", "base_momentum", "max_momentum"),
    functions=("scale_fn",),
)
def cyclic(
    t: Any, lr: Any, *, base_lr: Any, max_lr: Any, step_size_up: int = 2000, step_size_down: int | None = None,
    mode: str = "triangular", gamma: Any = 1.0, scale_fn: str | None = None, scale_mode: str = "cycle",
    cycle_momentum: bool = True, base_momentum: Any = 0.8, max_momentum: Any = 0.9,
) -> dict[str, Any]:  # fmt: skip
    """base + (max - base)·triangle·scale, momentum max - (max - base)·triangle·scale (L. N. Smith 2017).

    The triangle rises from 0 to 1 in step_size_up steps and falls in step_size_down. scale: 1 (triangular), halved
    with every cycle (triangular2), gamma^t (exp_range), or scale_fn of the number of the cycle, from 1, or of t. Where
    the triangle is at its top either side may be taken; x, the place in the cycle, is computed by cancellation.
    """
    total = step_size_up + (step_size_up if step_size_down is None else step_size_down)
    one = number(1.0, base_lr)
    ratio = one * step_size_up / total
    cycle = 1 + t // total
    x = 1.0 + one * t / total - cycle
    triangle = np.where(x <= ratio, x / ratio, (x - 1.0) / (ratio - 1.0))
    if scale_fn is not None:
        scale = values_of(scale_fn, cycle if scale_mode == "cycle" else t, base_lr)
    elif mode == "exp_range":
        scale = gamma**t
    else:
        scale = one * (0.5 ** (cycle - 1) if mode == "triangular2" else np.where(t < 0, 0.0, 1.0))
    outputs = {"lr": base_lr + (max_lr - base_lr) * triangle * scale}
    if cycle_momentum:
        outputs["momentum"] = max_momentum - (max_momentum - base_momentum) * triangle * scale
    return outputs


def one_cycle_inputs(draw: Any) -> dict[str, Any]:
    momentum = draw.choice((True, False))
    total = draw.choice((10, 20, 25, 41))
    three = draw.choice((False, True))
    words: dict[str, Any] = {"max_lr": (0.1, 1.0)}
    if draw.choice((False, False, False, True)):
        words |= {"epochs": (total,), "steps_per_epoch": (2,)}
    else:
        words["total_steps"] = (total,)
    words |= {"pct_start": (0.3, 0.25, 0.4) if three else (0.3, 0.25, 0.6, 0.0), "anneal_strategy": ("cos", "linear")}
    words |= {"div_factor": (25.0, 10.0, 3.0), "final_div_factor": (1e4, 10.0), "three_phase": (three,)}
    if momentum:
        words |= {"base_momentum": (0.85, 0.5), "max_momentum": (0.95, 0.99)}
    else:
        words["cycle_momentum"] = (False,)
    optimizers = MOMENTUM if momentum else (*MOMENTUM, *LR_ONLY)
    arguments = _for_each_group(draw, drawn(draw, optimizers, most=total - 1, **words), ("max_lr",))
    if "total_steps" in arguments and draw.choice(RARELY):
        arguments |= draw.choice(({"steps": total}, {"total_steps": 10, "pct_start": 0.1, "steps": 1}))
        arguments.pop("resume", None)
    return arguments


@schedule(
    "optim.lr_scheduler.OneCycleLR",
    inputs=one_cycle_inputs,
    grouped=("max_lr", "base_momentum", "max_momentum"),
)
def one_cycle(
    t: Any, lr: Any, *, max_lr: Any, total_steps: int | None = None, epochs: int | None = None,
    steps_per_epoch: int | None = None, pct_start: Any = 0.3, anneal_strategy: str = "cos",
    cycle_momentum: bool = True, base_momentum: Any = 0.85, max_momentum: Any = 0.95, div_factor: Any = 25.0,
    final_div_factor: Any = 1e4, three_phase: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """From max/div_factor up to max, down to max/(div_factor·final_div_factor), momentum opposite (L. N. Smith 2018).

    Conventions of PyTorch: the way up ends at step pct_start·N - 1, N = total_steps, which need not be whole; in three
    phases the second mirrors it, to 2·pct_start·N - 2, and the last keeps the momentum; the end is step N - 1, after
    which the rate stays. Where two phases meet either may be taken. PyTorch takes N steps and refuses the next ("Tried
    to step N+1 times. The specified number of total steps is N"); step N, which leaves the last phase, is in the
    ledger, and so is a way up without length.
    """
    total = total_steps or (epochs or 1) * (steps_per_epoch or 1)
    initial = max_lr / div_factor
    final = initial / final_div_factor
    low, high = base_momentum, max_momentum
    first = pct_start * total - 1.0
    phases = [(first, initial, max_lr, high, low)]
    if three_phase:
        phases += [
            (2.0 * pct_start * total - 2.0, max_lr, initial, low, high),
            (total - 1.0, initial, final, high, high),
        ]
    else:
        phases += [(total - 1.0, max_lr, final, low, high)]
    at = number(1.0, max_lr) * np.minimum(t, total - 1)
    starts = [number(0.0, max_lr), *(phase[0] for phase in phases)]
    outputs: dict[str, Any] = {}
    for start, (end, lr_0, lr_1, m_0, m_1) in reversed(list(zip(starts, phases, strict=False))):
        if float(end) == float(start):
            continue  # a phase without length
        share = (at - start) / (end - start)
        here = {
            "lr": _anneal(anneal_strategy, lr_0, lr_1, share),
            "momentum": _anneal(anneal_strategy, m_0, m_1, share),
        }
        outputs = {name: np.where(at <= end, here[name], outputs[name]) if outputs else here[name] for name in here}
    return outputs if cycle_momentum else {"lr": outputs["lr"]}


def _anneal(strategy: str, start: Any, end: Any, share: Any) -> Any:
    """From start to end along half a cosine, or a line."""
    if strategy == "cos":
        return end + (start - end) / 2.0 * (np.cos(pi(share) * share) + 1.0)
    return (end - start) * share + start
