# ruff: noqa: E501, ISC004 (case lines are kept whole)
"""Schedules: PyTorch's signatures, closed forms against Arb and PyTorch's routes, and PyTorch's sequences."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import find, given, settings
from hypothesis import strategies as st

from gradcheck.arithmetic import ball_precision, balls, enclosure, rounding_model
from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.draw import SeededDraw
from gradcheck.cases.inputs import arguments_of
from gradcheck.cases.strategies import HypothesisDraw
from gradcheck.errors import UsageError
from gradcheck.reference.registry import entry_named
from gradcheck.reference.schedule.evaluate import bounded_sequences, completed, routed_sequence, sequences
from gradcheck.reference.schedule.schedule import COMMON
from gradcheck.subject.schedules import run_schedule
from gradcheck.verdict.schedules import judge_schedule
from tests.schedule.common import deviating, drawn_case, drawn_cases, named
from tests.schedule.faults import LateStep
from tests.schedule.findings import known

NAMES = named("schedule")
F64 = rounding_model("float64")
NOT_OURS = {"optimizer", "last_epoch", "verbose"}
"""Parameters that a case says otherwise, or (verbose) that had no effect on numbers and is gone."""


def entry_of(name: str) -> Any:
    return entry_named(name)


@pytest.mark.parametrize("name", NAMES)
def test_options_and_defaults_are_pytorchs(name: str) -> None:
    owner: Any = torch
    for part in name.split("."):
        owner = getattr(owner, part)
    theirs = {p.name: p.default for p in inspect.signature(owner).parameters.values() if p.name not in NOT_OURS}
    ours = entry_of(name).options
    assert ours.keys() == theirs.keys()
    assert ours == {key: theirs[key] for key in ours}
    assert not ours.keys() & COMMON.keys()


def test_every_scheduler_has_an_entry() -> None:
    public = {f"optim.lr_scheduler.{name}" for name in torch.optim.lr_scheduler.__all__} - {
        "optim.lr_scheduler.LRScheduler"
    }
    assert public <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_closed_form_is_certified_and_is_what_the_route_computes(name: str) -> None:
    """Float64 within its bound of Arb; route and closed form one and the same number; and no bound is infinite."""
    entry = entry_of(name)
    for case in drawn_cases(entry, 12):
        arguments = completed(entry, arguments_of(case))
        bounded = bounded_sequences(entry, arguments, F64)
        with ball_precision(300):
            truth = sequences(entry, arguments, balls, balls)
            for output, value in bounded.items():
                middle, radius = enclosure(truth[output])
                assert np.all(np.isfinite(value.full_bound())), str(case)
                assert np.all(np.abs(value.value - middle) <= value.full_bound() + radius), str(case)
            if entry.route is not None:
                routed = routed_sequence(entry, arguments, balls, balls)
                pairs = zip(routed.array.ravel(), truth["lr"].array.ravel(), strict=True)
                assert all(a.overlaps(b) for a, b in pairs), str(case)


def unexpected(case: Case) -> dict[str, Any]:
    found = deviating(judge_schedule(case))
    return {output: v for output, v in found.items() if output not in known(case) and v.status not in known(case)}


@pytest.mark.parametrize("name", NAMES)
def test_pytorchs_sequences_lie_within_the_bounds(name: str) -> None:
    entry = entry_of(name)
    for mode in entry.modes:
        for dtype in ("float64", "float32") if mode == "tensor" else ("float64",):
            for case in drawn_cases(entry, 8, mode=mode, dtype=dtype):
                assert unexpected(case) == {}, str(case)


@given(st.data())
@settings(max_examples=60)
def test_drawn_schedules_agree(data: st.DataObject) -> None:
    entry = entry_of(data.draw(st.sampled_from(NAMES)))
    case = drawn_case(entry, HypothesisDraw(data.draw), data.draw(st.integers(0, 99)), mode=entry.modes[0])
    assert parse_case(str(case)) == case
    assert unexpected(case) == {}


def test_a_fault_shrinks_to_the_shortest_history() -> None:
    entry = entry_of("optim.lr_scheduler.StepLR")

    @st.composite
    def cases(draw: Any) -> Case:
        return drawn_case(entry, HypothesisDraw(draw), 0)

    shortest = find(cases(), lambda case: "lr" in deviating(judge_schedule(case, subject=LateStep)))
    words = dict(shortest.arguments)
    assert words["steps"] == words["step_size"]
    assert words["lr"] == (0.1,)


WRONG: dict[str, tuple[str, str]] = {
    "mode": ("StepLR(step_size=2, steps=3) seed=0 dtype=float64 mode=foreach", "mode 'foreach' is not one of"),
    "dtype": ("StepLR(step_size=2, steps=3) seed=0 dtype=float16", "dtype 'float16'"),
    "steps": ("StepLR(step_size=2, steps=0) seed=0 dtype=float64", "steps=0"),
    "resume": ("StepLR(step_size=2, steps=3, resume=4) seed=0 dtype=float64", "resume=4"),
    "groups": ("CyclicLR(base_lr=(0.1, 0.2), max_lr=1.0, steps=3) seed=0 dtype=float64", "base_lr=(0.1, 0.2)"),
    "metrics": ("ReduceLROnPlateau(metrics=ordinary(2), steps=3) seed=0 dtype=float64", "metrics has 2 elements"),
    "function": ('LambdaLR(lr_lambda="x", steps=3) seed=0 dtype=float64', "function 'x' is not known"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_named(name: str) -> None:
    line, words = WRONG[name]
    with pytest.raises(UsageError) as caught:
        judge_schedule(parse_case(f"optim.lr_scheduler.{line}"))
    assert words in str(caught.value)


REFUSED: dict[str, str] = {
    "StepLR(step_size=0, steps=3)": "step_size=0, expected a whole number >= 1",
    "StepLR(step_size='a', steps=3)": "step_size='a', expected a whole number >= 1",
    "MultiStepLR(milestones=3, steps=3)": "milestones=3, expected a tuple of whole numbers",
    "ExponentialLR(gamma='x', steps=3)": "gamma='x', expected a number",
    "ConstantLR(factor=1.5, steps=3)": "factor=1.5, expected 0 <= factor <= 1",
    "LinearLR(start_factor=0.0, steps=3)": "start_factor=0.0, expected 0 < start_factor <= 1",
    "LinearLR(end_factor=1.5, steps=3)": "end_factor=1.5, expected 0 <= end_factor <= 1",
    "CosineAnnealingLR(T_max=0, steps=3)": "T_max=0, expected a whole number >= 1",
    "CosineAnnealingWarmRestarts(T_0=0, steps=3)": "T_0=0, expected a whole number >= 1",
    "CosineAnnealingWarmRestarts(T_0=2, T_mult=0, steps=3)": "T_mult=0, expected a whole number >= 1",
    "CyclicLR(base_lr=0.1, max_lr=1.0, mode='square', steps=3)": "mode='square', expected triangular, triangular2 or",
    "CyclicLR(base_lr=0.1, max_lr=1.0, step_size_up=0, steps=3)": "step_size_up=0, expected a whole number >= 1",
    "CyclicLR(base_lr=0.1, max_lr=1.0, steps=3, optimizer='Adagrad')": "optimizer='Adagrad', which has no momentum",
    "OneCycleLR(max_lr=0.1, steps=3)": "no total_steps, expected it, or epochs and steps_per_epoch",
    "OneCycleLR(max_lr=0.1, total_steps=0, steps=3)": "total_steps=0, expected a whole number >= 1",
    "OneCycleLR(max_lr=0.1, total_steps=4, steps=6)": "steps=6, expected at most the 4 that the cycle has",
    "OneCycleLR(max_lr=0.1, total_steps=4, pct_start=1.5, steps=3)": "pct_start=1.5, expected 0 <= pct_start <= 1",
    "OneCycleLR(max_lr=0.1, total_steps=4, anneal_strategy='x', steps=3)": "anneal_strategy='x', expected cos or linear",
    "ReduceLROnPlateau(metrics=ordinary(3), mode='x', steps=3)": "mode='x', expected min or max",
    "ReduceLROnPlateau(metrics=ordinary(3), threshold_mode='x', steps=3)": "threshold_mode='x', expected rel or abs",
    "ReduceLROnPlateau(metrics=ordinary(3), factor=1.0, steps=3)": "factor=1.0, expected factor < 1",
    "SequentialLR(schedulers=(), milestones=(), steps=3)": "expected one schedule or more",
    "SequentialLR(schedulers=(('StepLR', ('step_size', 2)),), milestones=(1, 2), steps=3)": "expected one fewer than",
    "SequentialLR(schedulers=(('StepLR', ('size', 2)),), milestones=(), steps=3)": "options of StepLR alone, not size",
    "SequentialLR(schedulers=(('StepLR',),), milestones=(), steps=3)": "expected StepLR to have step_size",
    "SequentialLR(schedulers=(('StepLR', ('step_size', 0)),), milestones=(), steps=3)": "StepLR to be right: step_size=0",
    "SequentialLR(schedulers=(('ReduceLROnPlateau',),), milestones=(), steps=3)": "no ReduceLROnPlateau",
    "ChainedScheduler(schedulers=(), steps=3)": "expected one schedule or more",
    "SWALR(swa_lr=0.1, anneal_strategy='x', steps=3)": "anneal_strategy='x', expected cos or linear",
    "SWALR(swa_lr=0.1, anneal_epochs=-1, steps=3)": "anneal_epochs=-1, expected a whole number >= 0",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_pytorch_refuses_is_refused_before_it_runs(line: str) -> None:
    """In words; and PyTorch does refuse it, by an error of its own."""
    module = "swa_utils" if line.startswith("SWALR") else "lr_scheduler"
    case = parse_case(f"optim.{module}.{line} seed=0 dtype=float64 mode=step")
    with pytest.raises(UsageError) as caught:
        judge_schedule(case)
    assert REFUSED[line] in str(caught.value)
    entry = entry_of(case.operation)
    assert run_schedule(entry, case, completed(entry, arguments_of(case))).outcome == "raises"


def test_another_kind_is_refused() -> None:
    case = Case("nn.functional.relu", (), 0)
    with pytest.raises(UsageError, match="no schedule, but of kind 'operation'"):
        judge_schedule(case)


KNOWN: dict[str, tuple[str, list[float]]] = {
    "StepLR": ("step_size=2, gamma=0.5, steps=4, lr=(8.0,)", [8.0, 8.0, 4.0, 4.0, 2.0]),
    "MultiStepLR": ("milestones=(1, 3, 3), gamma=0.5, steps=4, lr=(8.0,)", [8.0, 4.0, 4.0, 1.0, 1.0]),
    "ConstantLR": ("factor=0.5, total_iters=2, steps=3, lr=(8.0,)", [4.0, 4.0, 8.0, 8.0]),
    "LinearLR": ("start_factor=0.5, total_iters=4, steps=5, lr=(8.0,)", [4.0, 5.0, 6.0, 7.0, 8.0, 8.0]),
    "PolynomialLR": ("total_iters=2, power=2.0, steps=3, lr=(8.0,)", [8.0, 2.0, 0.0, 0.0]),
    "CosineAnnealingWarmRestarts": ("T_0=2, T_mult=2, steps=6, lr=(8.0,)", [8.0, 4.0, 8.0, 6.83, 4.0, 1.17, 8.0]),
    "OneCycleLR": (
        'max_lr=8.0, total_steps=8, pct_start=0.375, div_factor=4.0, final_div_factor=2.0, '
        'anneal_strategy="linear", steps=7, lr=(1.0,)',
        [2.0, 5.0, 8.0, 6.6, 5.2, 3.8, 2.4, 1.0],
    ),
    "ReduceLROnPlateau": ("metrics=repeated(4), factor=0.5, patience=1, threshold=0.0, steps=4, lr=(8.0,)", [8.0] * 3 + [4.0] * 2),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_plain_numbers_by_hand(name: str) -> None:
    """To two digits, past all machinery."""
    words, rates = KNOWN[name]
    entry = entry_of(f"optim.lr_scheduler.{name}")
    arguments = completed(entry, arguments_of(parse_case(f"optim.lr_scheduler.{name}({words}) seed=0 dtype=float64")))
    values = sequences(entry, arguments, np.float64, np.float64)["lr"][:, 0]
    assert [round(float(value), 2) for value in values] == rates


def test_the_corpus_draws_every_option() -> None:
    """A choice that is never taken would be a check that cannot fail."""
    for name in NAMES:
        entry = entry_of(name)
        drawn = {key for i in range(80) for key in entry.inputs(SeededDraw(name, 0, i))}
        assert set(entry.hyperparameters) | set(entry.arrays) == drawn, name
