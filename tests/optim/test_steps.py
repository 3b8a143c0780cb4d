"""Every optimizer, every implementation, every dtype: one step at a time within the rule's running error bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.draw import SeededDraw
from gradcheck.cases.history import step_rule_named
from gradcheck.cases.strategies import SEEDS, HypothesisDraw
from gradcheck.reference.optim.rule import COMPILED, StepRule
from gradcheck.reference.registry import entries
from gradcheck.verdict.sentence import sentence
from gradcheck.verdict.steps import judge_history
from tests.optim.known import FINDINGS, FOUND_IN, Finding, is_known, unexplained

RULES = [entry for entry in entries().values() if isinstance(entry, StepRule)]
DTYPES = ("float64", "float32", "float16", "bfloat16")
SLOW_MODES = COMPILED
PLACES = [(rule, mode) for rule in RULES for mode in rule.modes if mode not in SLOW_MODES]

here = pytest.mark.skipif(torch.__version__.split("+")[0] != FOUND_IN, reason=f"findings were made in torch {FOUND_IN}")


def named(thing: object) -> str:
    return getattr(thing, "name", str(thing)).removeprefix("optim.")


def of(rule: StepRule, draw: object, seed: int, **axes: str) -> Case:
    return Case(rule.name, tuple(rule.inputs(draw).items()), seed, **axes)


def judged(case: Case) -> list:
    verdicts = judge_history(case)
    left = unexplained(verdicts)
    assert not left, "\n".join(sentence(verdict) for verdict in left)
    return verdicts


@pytest.mark.parametrize(("rule", "mode"), PLACES, ids=named)
@settings(max_examples=10)
@given(data=st.data())
def test_every_step_is_within_its_bound(rule: StepRule, mode: str, data: st.DataObject) -> None:
    """Hypothesis draws options, parameters, gradients and a history, and shrinks to the shortest that fails."""
    dtype = data.draw(st.sampled_from(DTYPES))
    layout = data.draw(st.sampled_from(("contiguous", "transposed", "sliced")))
    seed = data.draw(st.integers(0, SEEDS - 1))
    judged(of(rule, HypothesisDraw(data.draw), seed, dtype=dtype, mode=mode, layout=layout))


@pytest.mark.parametrize("rule", [rule for rule in RULES if "compile:eager" in rule.modes], ids=named)
def test_a_compiled_step_is_within_its_bound(rule: StepRule) -> None:
    statuses = set()
    for index in range(2):
        case = of(rule, SeededDraw(rule.name, 7, index), index, dtype="float32", mode="compile:eager")
        statuses |= {verdict.status for verdict in judged(case) if not is_known(verdict)}
    assert statuses <= {"agrees", "unsupported"}


def test_the_compilers_kernels_are_judged_as_fused_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a compiler put in its place that makes a step right, and one wrong: a real one takes a minute."""
    case = parse_case("optim.SGD(param0=ordinary(4), grad0=ordinary(1, 4), steps=1, lr=0.5) seed=0 dtype=bfloat16")
    wanted = []

    def compiler(factor: float) -> Callable[..., Any]:
        def compiled(step: Callable[[], Any], backend: str, options: dict[str, Any]) -> Callable[[], Any]:
            wanted.append(backend)

            @torch.no_grad()
            def taken() -> None:
                (param,) = step.__self__.param_groups[0]["params"]
                param.copy_(param.float() - 0.5 * factor * param.grad.float())

            return taken

        return compiled

    for factor, status in ((1.0, "agrees"), (1.0625, "deviates")):
        monkeypatch.setattr(torch, "compile", compiler(factor))
        verdicts = {verdict.output: verdict.status for verdict in judge_history(case.on(mode="compile:inductor"))}
        assert verdicts == {"param": status, "untouched": "agrees"}
    assert wanted == ["inductor", "inductor"]


@pytest.mark.parametrize("rule", RULES, ids=named)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_plainest_history_runs_everywhere(rule: StepRule, dtype: str) -> None:
    """An optimizer that is unsupported everywhere would pass every other test."""
    from gradcheck.cases.draw import Draw

    for mode in rule.modes:
        if mode in SLOW_MODES:
            continue
        verdicts = judge_history(of(rule, Draw(), 0, dtype=dtype, mode=mode))
        if mode == "capturable":
            assert [v.status for v in verdicts] == ["unsupported"], "capturable runs on CUDA alone"
        else:
            outputs = {verdict.output for verdict in verdicts}
            assert {"param", "untouched"} <= outputs, sentence(verdicts[0])
            assert "state[step]" in outputs or not rule.counts


@here
@pytest.mark.parametrize("finding", FINDINGS, ids=str)
def test_what_was_found_is_still_seen(finding: Finding) -> None:
    verdicts = {verdict.output: verdict for verdict in judge_history(parse_case(finding.case))}
    assert verdicts[finding.output].status == "deviates", sentence(verdicts[finding.output])
    assert finding.covers(verdicts[finding.output], parse_case(finding.case))


@here
def test_a_finding_covers_nothing_beside_it() -> None:
    """The same histories in the for-loop agree: what was found is one implementation's."""
    for finding in FINDINGS:
        case = parse_case(finding.case)
        if case.operation == "optim.Muon":
            continue
        for verdict in judge_history(case.on(mode="loop")):
            assert verdict.status in ("agrees", "coarse"), sentence(verdict)


def test_a_case_line_is_read_back() -> None:
    for rule in RULES:
        case = of(rule, SeededDraw(rule.name, 0, 3), 3, dtype="float32", mode="loop")
        assert parse_case(str(case)) == case


def test_rules_are_found_by_name() -> None:
    assert step_rule_named("optim.Adam").kind == "optimizer"
    assert len(RULES) >= 14
