"""Certificates: every rule's bound holds against the Arb truth and against simulated rounding."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded
from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.draw import Draw, SeededDraw
from gradcheck.certify.steps import compare_step_with_simulation, compare_step_with_truth, own_steps
from gradcheck.reference.optim.adam import adam
from gradcheck.reference.optim.evaluate import Before
from gradcheck.reference.optim.rule import StepRule
from gradcheck.reference.registry import entries

RULES = [entry for entry in entries().values() if isinstance(entry, StepRule)]
CASES = 4


class SmallDraw(SeededDraw):
    """Seeded cases with few elements: an Arb number costs a thousand times a float."""

    def shape(self, dims: tuple[int, int] = (0, 3), least: int = 0, most: int = 600) -> tuple[int, ...]:
        return super().shape(dims, least, min(most, 8))


def steps_of(rule: StepRule, index: int, mode: str) -> list[Before]:
    draw: Draw = SmallDraw(rule.name, 11, index) if index else Draw()
    case = Case(rule.name, tuple(rule.inputs(draw).items()), index, mode=mode)
    return list(islice(own_steps(case), 6))


def named(thing: object) -> str:
    return getattr(thing, "name", str(thing)).removeprefix("optim.")


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_float64_is_within_the_bound_of_the_truth(rule: StepRule) -> None:
    for mode in [mode for mode in rule.modes if mode in ("loop", "foreach", "capturable")]:
        for index in range(CASES):
            for before in steps_of(rule, index, mode):
                assert compare_step_with_truth(rule, before) <= 1.0, f"{rule.name} {mode} {before}"


@pytest.mark.parametrize("rule", RULES, ids=named)
def test_simulated_rounding_is_within_the_bound(rule: StepRule) -> None:
    for mode in [mode for mode in rule.modes if mode in ("loop", "foreach", "capturable")]:
        for index in range(CASES):
            for before in steps_of(rule, index, mode)[-2:]:
                worst = compare_step_with_simulation(rule, before, index)
                assert max(worst.values()) <= 1.0, f"{rule.name} {mode} {worst} {before}"


def test_a_bound_that_forgets_a_rounding_is_caught() -> None:
    """The certificate has teeth: a rule whose bias correction is computed as if it were exact leaves its bound."""
    case = "optim.Adam(param0=ordinary(8), grad0=ordinary(6, 8), steps=6) seed=0 dtype=float64 mode=loop"

    def bare(param: Any, grad: Any, state: Any, t: Any, **options: Any) -> Any:
        after, entries_after = adam(param, grad, state, t, **options)
        if isinstance(after, Bounded):
            after = Bounded(after.value, after.full_bound() / 2.0**8, after.model)
        return after, entries_after

    bare.__signature__ = __import__("inspect").signature(adam)  # type: ignore[attr-defined]
    rule = next(rule for rule in RULES if rule.name == "optim.Adam")
    wrong = replace(rule, function=bare)
    ratios = [compare_step_with_truth(wrong, before) for before in own_steps(parse_case(case))]
    assert max(ratios) > 1.0
    simulated = [max(compare_step_with_simulation(wrong, before).values()) for before in own_steps(parse_case(case))]
    assert max(simulated) > 1.0


def test_a_rules_own_history_is_what_its_float64_formula_says() -> None:
    case = parse_case(
        "optim.SGD(param0=integers(3), grad0=integers(2, 3), steps=2, lr=0.5) seed=0 dtype=float64 mode=loop"
    )
    first, second = own_steps(case)
    assert np.array_equal(second.param, first.param - 0.5 * first.grad)
