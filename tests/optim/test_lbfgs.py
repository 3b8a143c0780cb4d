"""L-BFGS, one call at a time from PyTorch's own state: agreement, faults, and decisions that hang on rounding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.arithmetic import Mask
from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.corpus import drawn_case
from gradcheck.cases.strategies import SEEDS, HypothesisDraw
from gradcheck.reference.optim.lbfgs import RULE, LBFGSState, UndecidedError, holds, lbfgs
from gradcheck.reference.optim.problems import PROBLEMS
from gradcheck.verdict.sentence import sentence
from gradcheck.verdict.steps import judge_history

LINE = (
    "optim.LBFGS(param0=ordinary(3), problem='{problem}', calls=4, lr={lr}, max_iter=1, line_search_fn={search})"
    " seed=2 dtype=float64 mode=loop"
)
PLAIN = LINE.format(problem="logistic", lr=0.25, search=None)
SEARCHING = LINE.format(problem="rosenbrock", lr=1.0, search="'strong_wolfe'")


@settings(max_examples=20)
@given(data=st.data())
def test_every_call_is_within_its_bound(data: st.DataObject) -> None:
    arguments = tuple(RULE.inputs(HypothesisDraw(data.draw)).items())
    case = Case("optim.LBFGS", arguments, data.draw(st.integers(0, SEEDS - 1)), mode="loop")
    for verdict in judge_history(case):
        assert verdict.status == "agrees", sentence(verdict)


@pytest.mark.parametrize("line", [PLAIN, SEARCHING], ids=["fixed step", "strong wolfe"])
def test_parameter_and_every_state_entry_are_judged(line: str) -> None:
    outputs = {verdict.output for verdict in judge_history(parse_case(line))}
    names = ("n_iter", "func_evals", "d", "t", "h_diag", "prev_flat_grad", "prev_loss", "old_dirs", "old_stps", "ro")
    expected = {f"state[{name}]{'[0]' if name.startswith(('old', 'ro')) else ''}" for name in names}
    assert {"param", "untouched", *expected} <= outputs


def unscaled(param: Any, state: LBFGSState, objective: Any, **options: Any) -> Any:
    """The initial approximation is the identity, whatever the last step taught."""
    return lbfgs(param, state._replace(h_diag=1), objective, **{**options, "history_size": 1})


def test_a_wrong_rule_is_caught() -> None:
    wrong = replace(RULE, function=unscaled)
    blamed = {v.output: v for v in judge_history(parse_case(PLAIN), rule=wrong) if v.status == "deviates"}
    assert "state[d]" in blamed
    assert "optim.LBFGS" in sentence(blamed["state[d]"])


@pytest.mark.parametrize("line", [PLAIN, SEARCHING], ids=["fixed step", "strong wolfe"])
def test_a_wrong_subject_is_caught(line: str) -> None:
    class Shortened(torch.optim.LBFGS):
        """Steps a ten-millionth too short."""

        def _add_grad(self, step_size: Any, update: torch.Tensor) -> None:
            super()._add_grad(step_size * (1 - 1e-7), update)

    blamed = {v.output: v for v in judge_history(parse_case(line), subject=Shortened) if v.status == "deviates"}
    assert "param" in blamed
    assert "worst at call" in sentence(blamed["param"])


def test_other_dtypes_are_said_not_to_be_judged() -> None:
    (verdict,) = judge_history(parse_case(PLAIN).on(dtype="float32"))
    assert verdict.status == "unsupported"
    assert "judged in float64" in verdict.words


def test_a_decision_within_the_bounds_is_not_taken() -> None:
    with pytest.raises(UndecidedError):
        holds(Mask(np.asarray(True), np.asarray(True)))
    assert holds(Mask(np.asarray(True), np.asarray(False)))
    assert not holds(np.bool_(False))


def test_a_call_that_is_not_judged_is_noted() -> None:
    """At the minimum every decision hangs on rounding: the note says which calls were left out."""
    case = parse_case(SEARCHING.replace("calls=4", "calls=40").replace("max_iter=1", "max_iter=3"))
    verdicts = judge_history(case)
    assert all(verdict.status == "agrees" for verdict in verdicts)
    notes = [note for verdict in verdicts for note in verdict.notes]
    assert any("a decision hangs on rounding: calls [" in note for note in notes)


def test_the_minimum_is_found() -> None:
    param, state = np.array([-1.2, 1.0]), LBFGSState()
    for _ in range(12):
        param, state = lbfgs(param, state, PROBLEMS["rosenbrock"], line_search_fn="strong_wolfe", lr=1.0)
    assert PROBLEMS["rosenbrock"](param)[0] <= RULE.options["tolerance_change"]  # the least value is 0


@pytest.mark.parametrize("option", ["max_eval", "tolerance_grad", "tolerance_change"])
def test_an_option_that_is_not_heeded_is_seen_in_the_drawn_cases(option: str) -> None:
    """Of the cases that ``verify`` draws: each option that ends a step early is drawn so that it does."""

    class Heedless(torch.optim.LBFGS):
        def __init__(self, params: Any, **options: Any) -> None:
            options.pop(option, None)
            super().__init__(params, **options)

    cases = (drawn_case(RULE, "float64", 0, index, "loop").on(layout="contiguous") for index in range(15))
    assert any(v.status == "deviates" for case in cases for v in judge_history(case, subject=Heedless))
