"""L-BFGS, one call at a time from PyTorch's own state: agreement, faults, and decisions that hang on rounding."""

from __future__ import annotations

import copy
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
from gradcheck.errors import UsageError
from gradcheck.reference.optim.lbfgs import RULE, LBFGSState, UndecidedError, holds, lbfgs
from gradcheck.reference.optim.problems import PROBLEMS
from gradcheck.subject.closures import LOSSES
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
    dtype = data.draw(st.sampled_from(DTYPES))
    case = Case("optim.LBFGS", arguments, data.draw(st.integers(0, SEEDS - 1)), dtype=dtype, mode="loop")
    fine = {"agrees", "coarse", "unsupported"} if dtype.endswith("16") else {"agrees"}
    for verdict in judge_history(case):
        assert verdict.status in fine, sentence(verdict)


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


DTYPES = ("float64", "float32", "float16", "bfloat16")
HEAVY = PLAIN.replace("ordinary(3)", "ordinary(4)")


class Doubled(torch.optim.LBFGS):
    """The last step is taken twice."""

    def _add_grad(self, step_size: Any, update: torch.Tensor) -> None:
        super()._add_grad(step_size, update)
        super()._add_grad(step_size, update)


@pytest.mark.parametrize("words", ["", ", parts=2", ", complex=True", ", parts=2, complex=True"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_pairs_and_several_parameters(dtype: str, words: str) -> None:
    """The vector as one parameter or two, of reals or of complex numbers."""
    case = parse_case(HEAVY.replace(", lr", f"{words}, lr")).on(dtype=dtype)
    verdicts = judge_history(case)
    if dtype == "bfloat16" and "complex" in words:
        assert [verdict.status for verdict in verdicts] == ["unsupported"]
        return
    assert {v.status for v in verdicts} <= ({"agrees", "coarse"} if dtype.endswith("16") else {"agrees"})
    assert len(verdicts) >= 9  # in bfloat16 only the first call is decided
    wrong = {v.output: v.status for v in judge_history(case, subject=Doubled)}
    assert wrong["param"] == "deviates"


def test_a_gradient_that_the_step_changes_is_caught() -> None:
    class Writing(torch.optim.LBFGS):
        @torch.no_grad()
        def step(self, closure: Any) -> Any:
            loss = super().step(closure)
            self._params[-1].grad.mul_(0.5)
            return loss

    case = parse_case(HEAVY.replace(", lr", ", parts=2, lr"))
    (found,) = [v for v in judge_history(case, subject=Writing) if v.output == "untouched"]
    assert "the step changed a gradient" in sentence(found)


def test_a_compiled_step_is_judged() -> None:
    statuses = {v.output: v.status for v in judge_history(parse_case(HEAVY).on(mode="compile:eager"))}
    assert set(statuses.values()) == {"agrees"}
    assert "state[d]" in statuses


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("problem='cubic'", "problem 'cubic' is not known"),
        ("parts=3", "parts=3 of 3 numbers; expected 1 or 2"),
        ("complex=True", "expected a vector of pairs"),
    ],
)
def test_a_case_that_cannot_be_is_refused_in_words(words: str, expected: str) -> None:
    line = PLAIN.replace("problem='logistic'", words)
    with pytest.raises(UsageError, match=expected):
        judge_history(parse_case(line))


def made(**options: Any) -> tuple[torch.optim.LBFGS, torch.Tensor, Any]:
    """An optimizer, its parameter, and a closure for Rosenbrock's function."""
    param = torch.tensor([-1.25, 0.875, 1.5], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([param], **{"max_iter": 2, "line_search_fn": "strong_wolfe", **options})

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = LOSSES["rosenbrock"](param)
        loss.backward()
        return loss

    return optimizer, param, closure


def test_a_state_dict_carries_the_trajectory_on() -> None:
    """And what a step returns is the loss before it; hooks run around it, a closure's gradients being enabled."""
    (optimizer, param, closure), (other, twin, closure_of_twin) = made(), made()
    for _ in range(3):
        optimizer.step(closure)
    with torch.no_grad():
        twin.copy_(param)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    calls: list[str] = []
    optimizer.register_step_pre_hook(lambda *_: calls.append("pre"))
    optimizer.register_step_post_hook(lambda *_: calls.append("post"))
    for _ in range(3):
        before = LOSSES["rosenbrock"](param.detach())
        with torch.no_grad():
            assert torch.equal(optimizer.step(closure), before)
        other.step(closure_of_twin)
    assert torch.equal(param, twin)
    assert calls == ["pre", "post"] * 3


def test_a_parameter_that_the_loss_does_not_have_stays() -> None:
    """No gradient counts as zeros, in every implementation of it: None, and zeros."""
    kept = torch.ones(2, dtype=torch.float64, requires_grad=True)
    for set_to_none in (True, False):
        param = made()[1]
        both = torch.optim.LBFGS([param, kept], max_iter=2)

        def closure(param: torch.Tensor = param, both: Any = both, none: bool = set_to_none) -> torch.Tensor:
            both.zero_grad(set_to_none=none)
            loss = LOSSES["quadratic"](param)
            loss.backward()
            return loss

        start = param.detach().clone()
        both.step(closure)
        assert not torch.equal(param, start)
        assert torch.equal(kept, torch.ones_like(kept))


BAD = {
    "a rate below zero": ({"lr": -1.0}, "learning rate"),
    "a search that there is not": ({"line_search_fn": "armijo"}, "only 'strong_wolfe' is supported"),
    "a rate of two numbers": ({"lr": torch.tensor([0.1, 0.2])}, "Tensor lr must be 1-element"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_hyperparameters_are_refused_in_words(name: str) -> None:
    options, words = BAD[name]

    def taken() -> None:
        optimizer, _, closure = made(**options)
        optimizer.step(closure)

    with pytest.raises((ValueError, RuntimeError), match=words):
        taken()


def test_a_rate_in_a_tensor_is_the_same() -> None:
    (optimizer, param, closure), (other, twin, closure_of_twin) = (
        made(lr=0.5), made(lr=torch.tensor(0.5, dtype=torch.float64)),
    )  # fmt: skip
    for _ in range(2):
        optimizer.step(closure)
        other.step(closure_of_twin)
    assert torch.equal(param, twin)


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
