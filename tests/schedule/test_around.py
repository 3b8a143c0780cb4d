"""Every scheduler with every optimizer that it can drive; one that is off by an epoch is named; bad options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler, swa_utils

from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.draw import SeededDraw
from gradcheck.cases.inputs import arguments_of
from gradcheck.reference.registry import entries, entry_named
from gradcheck.reference.schedule.evaluate import completed
from gradcheck.reference.schedule.schedule import LR_ONLY, MOMENTUM
from gradcheck.subject.schedules import Driven, run_schedule
from gradcheck.verdict.schedules import judge_driven, judge_schedule
from tests.schedule.common import deviating, named
from tests.schedule.findings import known

NAMES = named("schedule")
CYCLES = {
    "optim.lr_scheduler.CyclicLR": "base_lr=0.01, max_lr=0.1, step_size_up=2",
    "optim.lr_scheduler.OneCycleLR": "max_lr=0.1, total_steps=6",
}
"""Those that drive the momentum as well, where there is one."""


def drawn(name: str, least: int) -> Iterator[Case]:
    """Drawn cases of a schedule of which nothing is known, with so many steps or more."""
    entry: Any = entry_named(name)
    for index in range(200):
        arguments = entry.inputs(SeededDraw(name, 0, index))
        arguments.pop("resume", None)
        case = Case(name, tuple(arguments.items()), index, dtype="float64", mode=entry.modes[0])
        if arguments["steps"] >= least and not known(case):
            yield case


def test_every_optimizer_can_be_drawn() -> None:
    ours = {name.removeprefix("optim.") for name, entry in entries().items() if entry.kind == "optimizer"}
    assert {*MOMENTUM, *LR_ONLY} == ours


@pytest.mark.parametrize("optimizer", [*MOMENTUM, *LR_ONLY])
def test_every_scheduler_drives_it(optimizer: str) -> None:
    """Its rate; those that cycle the momentum, its momentum as well, or the first of its betas."""
    for name in NAMES:
        if name in CYCLES:
            more = "" if optimizer in MOMENTUM else ", cycle_momentum=False"
            case = parse_case(f"{name}({CYCLES[name]}{more}, steps=3, optimizer={optimizer!r}) seed=0 dtype=float64")
        elif name.endswith("ReduceLROnPlateau"):
            options = f"metrics=repeated(3), patience=0, threshold=0.0, steps=3, optimizer={optimizer!r}"
            case = parse_case(f"{name}({options}) seed=0 dtype=float64")
        else:
            case = one_group(next(drawn(name, 3)), steps=3, optimizer=optimizer)
        verdicts = judge_schedule(case)
        assert deviating(verdicts) == {}, str(case)
        outputs = {verdict.output for verdict in verdicts}
        assert outputs == {"lr", "rest"} | ({"momentum"} if name in CYCLES and optimizer in MOMENTUM else set())


def one_group(case: Case, **words: Any) -> Case:
    entry: Any = entry_named(case.operation)
    arguments = {k: v[0] if k in entry.grouped and isinstance(v, tuple) else v for k, v in case.arguments}
    return replace(case, arguments=tuple((arguments | {"lr": (0.1,)} | words).items()))


def ran(case: Case) -> tuple[Any, dict[str, Any], Driven]:
    entry: Any = entry_named(case.operation)
    arguments = completed(entry, arguments_of(case))
    return entry, arguments, run_schedule(entry, case, arguments)


def moving(name: str) -> Case:
    """The first drawn case of which a rate changes after the first step."""
    for case in drawn(name, 9):
        rates = ran(case)[2].outputs["lr"]
        if not np.array_equal(rates[1:-1], rates[2:]):
            return case
    raise AssertionError(f"no rate of {name} ever moves")


@pytest.mark.parametrize("name", NAMES)
def test_a_scheduler_that_is_an_epoch_late_is_named(name: str) -> None:
    """Every rate as PyTorch has it, one step later: caught in one case, in these words."""
    case = moving(name)
    entry, arguments, driven = ran(case)
    rates = driven.outputs["lr"]
    late = np.concatenate([rates[:1], rates[:-1]])
    verdicts = judge_driven(case, entry, arguments, replace(driven, outputs={**driven.outputs, "lr": late}))
    assert "every rate is that of the epoch before" in deviating(verdicts)["lr"].words


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith("ReduceLROnPlateau")])
def test_a_scheduler_that_is_an_epoch_early_is_named(name: str) -> None:
    """ReduceLROnPlateau is left out: the epoch after the last has no metric."""
    case = moving(name)
    entry, arguments, driven = ran(case)
    outputs = {output: rows[1:] if output == "lr" else rows[:-1] for output, rows in driven.outputs.items()}
    shorter = {**arguments, "steps": arguments["steps"] - 1}
    verdicts = judge_driven(case, entry, shorter, replace(driven, outputs=outputs))
    assert "every rate is that of the epoch after" in deviating(verdicts)["lr"].words


def optimizer(name: str = "SGD") -> Any:
    return getattr(torch.optim, name)([torch.nn.Parameter(torch.ones(2))], lr=0.1)


def two(o: Any) -> list[Any]:
    return [lr_scheduler.ExponentialLR(o, 0.9), lr_scheduler.StepLR(o, 2)]


BAD: dict[str, tuple[Any, str]] = {
    "no optimizer": (lambda o: lr_scheduler.StepLR("SGD", 2), "is not an Optimizer"),
    "last_epoch without a start": (lambda o: lr_scheduler.StepLR(o, 2, last_epoch=3), "'initial_lr' is not specified"),
    "functions": (lambda o: lr_scheduler.LambdaLR(o, [abs, abs]), "Expected 1 lr_lambdas"),
    "factors": (lambda o: lr_scheduler.MultiplicativeLR(o, [abs, abs]), "Expected 1"),
    "constant factor": (lambda o: lr_scheduler.ConstantLR(o, factor=1.5), "between 0 and 1"),
    "start factor": (lambda o: lr_scheduler.LinearLR(o, start_factor=0.0), "greater than 0 and less or equal to 1"),
    "end factor": (lambda o: lr_scheduler.LinearLR(o, end_factor=1.5), "between 0 and 1"),
    "T_0": (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=0), "positive integer T_0"),
    "T_mult": (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=2, T_mult=0), "integer T_mult >= 1"),
    "epoch": (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=2).step(-1), "non-negative epoch"),
    "cycle mode": (lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, mode="square"), "mode is invalid"),
    "no momentum": (
        lambda o: lr_scheduler.CyclicLR(optimizer("Adagrad"), 0.1, 1.0),
        "optimizer must support momentum",
    ),
    "base_lr": (lambda o: lr_scheduler.CyclicLR(o, [0.1, 0.2], 1.0), "base_lr must have the same length|expected 1"),
    "total_steps": (lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=0), "positive integer total_steps"),
    "no steps": (lambda o: lr_scheduler.OneCycleLR(o, 1.0), "total_steps OR"),
    "pct_start": (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 10, pct_start=1.5), "between 0 and 1 pct_start"),
    "anneal_strategy": (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 10, anneal_strategy="x"), "anneal_strategy"),
    "plateau factor": (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.0), "Factor should be < 1.0"),
    "plateau mode": (lambda o: lr_scheduler.ReduceLROnPlateau(o, mode="x"), "mode x is unknown"),
    "threshold mode": (lambda o: lr_scheduler.ReduceLROnPlateau(o, threshold_mode="x"), "threshold mode x is unknown"),
    "min_lr": (lambda o: lr_scheduler.ReduceLROnPlateau(o, min_lr=[0.0, 0.0]), "expected 1 min_lrs"),
    "no parts": (lambda o: lr_scheduler.SequentialLR(o, [], []), "at least one scheduler"),
    "milestones": (lambda o: lr_scheduler.SequentialLR(o, two(o), [1, 2]), "one more than the number of milestone"),
    "a plateau": (
        lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.ReduceLROnPlateau(o)], []),
        "does not support `ReduceLROnPlateau`",
    ),
    "another optimizer": (lambda o: lr_scheduler.SequentialLR(optimizer(), two(o), [2]), "the same optimizer"),
    "an empty chain": (lambda o: lr_scheduler.ChainedScheduler([]), "at least one scheduler"),
    "swa strategy": (lambda o: swa_utils.SWALR(o, 0.1, anneal_strategy="x"), "anneal_strategy must b[ey] one of"),
    "swa epochs": (lambda o: swa_utils.SWALR(o, 0.1, anneal_epochs=-1), "equal or greater than 0"),
    "decay": (lambda o: swa_utils.get_ema_multi_avg_fn(1.5), "decay value 1.5"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_options_are_refused_in_words(name: str) -> None:
    call, words = BAD[name]
    with pytest.raises((ValueError, TypeError, KeyError, IndexError), match=words):
        call(optimizer())


def test_one_step_more_than_a_cycle_has_is_refused() -> None:
    driven = optimizer()
    scheduler = lr_scheduler.OneCycleLR(driven, 1.0, total_steps=2)
    for _ in range(2):
        driven.step()
        scheduler.step()
    with pytest.raises(ValueError, match=r"Tried to step 3 times\. The specified number of total steps is 2"):
        scheduler.step()
