"""A mutant is tried until it is killed, first on what kills most; what is no fault is known before it gets dear."""

from __future__ import annotations

import inspect
import sys
from dataclasses import replace

import numpy as np
import pytest

from gradcheck.audit.findings import Fate, Kill, OperationAudit
from gradcheck.audit.killing import fate_of, killed_on
from gradcheck.audit.limits import TooLongError, time_limit
from gradcheck.audit.mutate import Mutant, mutants
from gradcheck.audit.reached import Lines, traced
from gradcheck.audit.trials import Trial, Trials
from gradcheck.reference.registry import reference_named

RELU = reference_named("nn.functional.relu")
SOFTPLUS = reference_named("nn.functional.softplus")


def trials_of(name: str, *dtypes: str) -> dict[str, Trials]:
    return {dtype: Trials(reference_named(name), dtype, 12, 0) for dtype in dtypes}


def mutant_of(name: str, after: str) -> Mutant:
    return next(m for m in mutants(reference_named(name)) if after in m.after)


def test_the_first_kill_is_enough() -> None:
    found = fate_of(mutant_of("nn.functional.relu", "x > 0"), trials_of("nn.functional.relu", "float64", "float32"))
    assert found.kind == "killed"
    assert list(found.kills) == ["float64"]


def test_every_dtype_is_tried_if_asked_for() -> None:
    trials = trials_of("nn.functional.relu", "float64", "float32", "bfloat16")
    found = fate_of(mutant_of("nn.functional.relu", "x > 0"), trials, every_dtype=True)
    assert list(found.kills) == ["float64", "float32", "bfloat16"]


def test_what_float64_does_not_show_is_tried_in_the_other_dtypes() -> None:
    trials = trials_of("nn.functional.softplus", "float64", "float32")
    trials["float64"].small, trials["float64"].large = [], []
    wrong = mutant_of("nn.functional.softplus", "np.log(")  # log for log1p
    found = fate_of(wrong, trials, Trials(SOFTPLUS, "float64", 12, 0))
    assert list(found.kills) == ["float32"]


def test_no_fault_is_not_pursued() -> None:
    trials = trials_of("nn.functional.lp_pool1d", "float64", "float32")
    found = fate_of(mutant_of("nn.functional.lp_pool1d", "empty & (average == 0.0)"), trials)
    assert found.kind == "equivalent"
    assert not any("observed" in vars(trial) for trial in trials["float32"])


def test_what_has_killed_before_is_tried_after_the_first_few() -> None:
    trials = Trials(SOFTPLUS, "float64", 30, 0)
    order = [number for number, _ in trials.numbered(3)]
    assert order == sorted(order)
    layouts = {number for number, trial in enumerate(trials, start=1) if trial.case.layout != "contiguous"}
    assert set(range(1, len(trials) + 1)) - set(order) <= layouts  # their numbers are those of another
    assert len(order) == len(trials) - 4
    trials.has_killed(30)
    trials.has_killed(9)
    assert [number for number, _ in trials.numbered(3)][:6] == [1, 2, 3, 9, 30, 4]
    trials.has_killed(len(trials))  # a large one stays among the last
    assert [number for number, _ in trials.numbered(3)][:5] == [1, 2, 3, 9, 30]
    assert sorted(number for number, _ in trials.numbered(3)) == order


def test_what_no_case_reaches_is_not_tried() -> None:
    wrong = mutant_of("nn.functional.cosine_similarity", "sgn(x) / g")  # of the 1-norm
    found = fate_of(wrong, {"float64": Trials(wrong.reference, "float64", 12, 0)})
    assert (found.kind, found.reason) == ("equivalent", "no case reaches it")
    reached = mutant_of("nn.functional.cosine_similarity", "np.sqrt(np.sum(x / x")
    assert reached.is_reached(trials_of("nn.functional.cosine_similarity", "float64")["float64"].lines)


def test_lines_are_noted_and_an_earlier_trace_comes_back() -> None:
    lines: Lines = set()
    before = sys.gettrace()
    with traced(lines):
        RELU.function(np.zeros(3))
    assert sys.gettrace() is before
    source, first = inspect.getsourcelines(RELU.function)
    body = {(RELU.function.__module__, first + number) for number, text in enumerate(source) if "value = " in text}
    assert body <= lines
    assert not any("return {" in source[line - first] for _, line in lines if line >= first)  # of the vjp, not called


def test_a_formula_whose_bound_accepts_anything_is_killed_by_its_certificate() -> None:
    trials = trials_of("nn.functional.silu", "float64")
    silu = trials["float64"].reference
    trials["float64"].small = [trial for trial in trials["float64"].small if trial.case.specs["x"].kind == "ordinary"]

    def loose(x):
        value, vjp = silu.function(x)
        zero = x * x - x * x
        return value + zero / zero, vjp

    for function, kind in ((loose, "killed"), (silu.function, "equivalent")):
        wrong = replace(mutant_of("nn.functional.silu", "g"), reference=replace(silu, function=function))
        found = fate_of(replace(wrong, lines=range(0)), trials)
        assert found.kind == kind
        assert not found.kills or found.kills["float32"].how.startswith("by certificate")


def test_a_case_that_does_not_run_the_wrong_line_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = trials_of("nn.functional.cosine_similarity", "float64")["float64"]
    wrong = mutant_of("nn.functional.cosine_similarity", "np.sqrt(np.sum(x / x")
    reached = {number for number, trial in enumerate(trials, start=1) if wrong.is_reached(trial.lines)}
    judged: set[str] = set()
    monkeypatch.setattr(Trial, "bounds_by", lambda self, reference: judged.add(str(self.case)) or self.bounds)
    killed_on(replace(wrong, lines=range(1, 2)), trials)
    assert not judged
    killed_on(wrong, trials)
    assert judged == {str(trial.case) for number, trial in trials.numbered(0) if number in reached and trial.ran}


def test_an_ignored_parameter_is_always_tried() -> None:
    wrong = next(m for m in mutants(SOFTPLUS) if m.operator == "ignored")
    assert wrong.is_reached(set())


def test_a_kill_says_its_place_in_the_corpus() -> None:
    trials = Trials(RELU, "float64", 12, 0)
    kill = killed_on(mutant_of("nn.functional.relu", "x < 0"), trials)
    assert kill is not None
    assert str(list(trials)[kill.cases - 1].case) == kill.case


def endless(x):
    while True:
        x = x + 1.0


def test_a_formula_that_never_ends_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradcheck.audit.limits.LEAST", 0.05)
    wrong = replace(mutant_of("nn.functional.relu", "x > 0"), reference=replace(RELU, function=endless))
    kill = killed_on(wrong, Trials(RELU, "float64", 2, 0))
    assert kill is not None
    assert kill.how == "by contract: it takes too long"


def test_a_time_limit_leaves_what_is_in_time_alone() -> None:
    with time_limit(5.0):
        total = sum(range(1000))
    assert total == 499500
    with pytest.raises(TooLongError, match="too long"), time_limit(0.01):
        endless(0.0)


def test_rows_count_what_was_tried_in_their_dtype() -> None:
    first = Fate("sign", "relu", 3, "a", "-a", "killed", {"float64": Kill(2, "value deviates", "a case")})
    second = replace(first, kills={"float32": Kill(5, "value deviates", "a case")})
    audited = OperationAudit("relu", {"float64": 9, "float32": 9}, [first, second], [], [], 0.0)
    assert [(row.counted, row.killed) for row in audited.rows()] == [(2, 1), (1, 1)]
    rows = replace(audited, every_dtype=True).rows()
    assert [(row.counted, row.killed) for row in rows] == [(2, 1), (2, 1)]
