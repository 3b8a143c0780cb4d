"""What Hypothesis finds it shrinks to the shortest history that shows it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import find, settings
from hypothesis import strategies as st

from gradcheck.cases.case import Case
from gradcheck.cases.draw import Draw
from gradcheck.cases.history import step_rule_named
from gradcheck.cases.strategies import HypothesisDraw
from gradcheck.verdict.steps import judge_history

RULE = step_rule_named("optim.Adamax")


def wrong_from(number: int) -> type:
    """Adamax that steps a thousandth too far, from its step of that number on."""

    class Late(torch.optim.Adamax):
        @torch.no_grad()
        def step(self, closure: Any = None) -> None:
            before = [param.clone() for group in self.param_groups for param in group["params"]]
            super().step()
            params = [param for group in self.param_groups for param in group["params"]]
            for param, was in zip(params, before, strict=True):
                if self.state[param] and self.state[param]["step"] >= number:
                    param.add_((param - was) * 2.0**-10)

    return Late


SMALLEST = ((2,), (1,), ())
"""Shapes: the first is the simplest that is drawn."""

PLAINEST = [item for item in RULE.inputs(Draw()).items() if item[0] not in ("steps", "param0", "grad0")]
"""Options of the simplest history of one parameter."""


@st.composite
def plain_cases(draw: Any) -> Case:
    """Histories in float64, in the for-loop."""
    return Case(RULE.name, tuple(RULE.inputs(HypothesisDraw(draw)).items()), 0, dtype="float64", mode="loop")


@pytest.mark.parametrize("number", [2, 5, 7])
def test_a_fault_that_appears_at_a_step_shrinks_to_so_many_steps(number: int) -> None:
    late = wrong_from(number)

    def shows(case: Case) -> bool:
        return any(v.status == "deviates" and v.output == "param" for v in judge_history(case, subject=late))

    found = dict(find(plain_cases(), shows, settings=settings(max_examples=300, deadline=None)).arguments)
    assert found.pop("steps") == number
    param, grad = found.pop("param0"), found.pop("grad0")
    assert (param.kind, grad.kind, grad.shape) == ("ordinary", "ordinary", (number, *param.shape))
    assert param.shape in SMALLEST
    assert found == dict(PLAINEST)  # no second parameter or group, no option that is not the simplest, no layout, …
