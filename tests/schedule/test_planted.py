"""Every planted fault is caught within one case, and named; PyTorch's own passes that case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gradcheck.cases.case import parse_case
from gradcheck.reference.registry import entry_named
from gradcheck.verdict.averaging import judge_averaging
from gradcheck.verdict.clipping import judge_clipping
from gradcheck.verdict.scaler import judge_scaler
from gradcheck.verdict.schedules import judge_schedule
from gradcheck.verdict.sentence import sentence
from gradcheck.verdict.verdict import Verdict
from tests.schedule.faults import SCHEDULES, SlowSWA
from tests.schedule.faults_of_averages import AVERAGES
from tests.schedule.faults_of_clipping import CLIPPING
from tests.schedule.faults_of_scalers import SCALERS

Judge = Callable[..., list[Verdict]]
PLANTED: dict[str, tuple[Judge, Any, str, str]] = {
    **{
        name: (judge_schedule, subject, f"optim.lr_scheduler.{call} seed=0 dtype=float64", output)
        for name, (subject, call, output) in SCHEDULES.items()
    },
    "a slow SWALR": (
        judge_schedule,
        SlowSWA,
        "optim.swa_utils.SWALR(swa_lr=0.05, anneal_epochs=2, steps=2, lr=(0.1,)) seed=0 dtype=float64",
        "lr",
    ),
    **{name: (judge_averaging, s, f"optim.swa_utils.{line}", output) for name, (s, line, output) in AVERAGES.items()},
    **{name: (judge_clipping, s, f"nn.utils.{line}", output) for name, (s, line, output) in CLIPPING.items()},
    **{name: (judge_scaler, s, f"amp.{line}", output) for name, (s, line, output) in SCALERS.items()},
}


def deviating(verdicts: list[Verdict]) -> dict[str, Verdict]:
    return {verdict.output: verdict for verdict in verdicts if verdict.status != "agrees"}


@pytest.mark.parametrize("name", PLANTED)
def test_a_fault_is_caught_within_one_case_and_named(name: str) -> None:
    judge, subject, line, output = PLANTED[name]
    case = parse_case(line)
    assert deviating(judge(case)) == {}
    found = deviating(judge(case, subject=subject))
    assert found[output].status == "deviates"
    assert parse_case(found[output].case) == case.on(mode=found[output].mode)
    assert f"{output} deviates" in sentence(found[output])


@pytest.mark.parametrize(
    ("name", "words"),
    [("one epoch late", "that of the epoch before"), ("one epoch early", "that of the epoch after")],
)
def test_a_schedule_that_is_off_by_one_epoch_is_named(name: str, words: str) -> None:
    judge, subject, line, _ = PLANTED[name]
    longer = line.replace("steps=2", "steps=4").replace("steps=1", "steps=4")
    for case in map(parse_case, (line, longer)):
        assert words in sentence(deviating(judge(case, subject=subject))["lr"])


def test_a_wrong_closed_form_is_caught() -> None:
    line = "optim.lr_scheduler.ExponentialLR(gamma=0.9, steps=3, lr=(0.1,)) seed=0 dtype=float64"
    entry: Any = entry_named("optim.lr_scheduler.ExponentialLR")
    wrong = replace(entry, closed=lambda t, lr, *, gamma: {"lr": lr * gamma ** (t + 1)})
    verdict = deviating(judge_schedule(parse_case(line), entry=wrong))["lr"]
    assert verdict.witness is not None
    assert verdict.witness.got > verdict.witness.should_be


def test_a_wrong_route_does_not_widen_the_bound() -> None:
    """Where route and closed form are not the same schedule, the closed form alone counts."""
    line = "optim.lr_scheduler.ExponentialLR(gamma=0.9, steps=3, lr=(0.1,)) seed=0 dtype=float64"
    entry: Any = entry_named("optim.lr_scheduler.ExponentialLR")
    wrong = replace(entry, route=lambda lr, t, base, *, gamma: lr * gamma * gamma)
    assert deviating(judge_schedule(parse_case(line), entry=wrong)) == {}
    both = replace(wrong, closed=lambda t, lr, *, gamma: {"lr": lr * gamma ** (t + 1)})
    assert "lr" in deviating(judge_schedule(parse_case(line), entry=both))
