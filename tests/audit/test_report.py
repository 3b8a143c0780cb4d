"""A small audit passes, and an audit of a judge that accepts everything does not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gradcheck.audit.findings import AuditReport, Catch, Fate, Kill, OperationAudit, Sensitivity
from gradcheck.audit.report import audit
from gradcheck.audit.sensitivity import PLACES, of_one_trial, sensitivities
from gradcheck.audit.tamper import scaled, tampered
from gradcheck.audit.trials import Trial, Trials
from gradcheck.cases.always import always_judged
from gradcheck.cases.tight import TIGHT
from gradcheck.errors import ContractError
from gradcheck.formats import FORMATS
from gradcheck.reference.registry import reference_named, select
from gradcheck.subject.run import Observed
from gradcheck.verdict.judge import bounds_of, judge_against
from gradcheck.verdict.ledger import Ledger, load_ledger


def blind(*call):
    """A judge that finds everything in order."""
    return [replace(verdict, status="agrees", witness=None) for verdict in judge_against(*call)]


@pytest.fixture(scope="module")
def small() -> AuditReport:
    return audit(select(["softplus", "hardshrink"]), sample=8, jobs=1, seeds=1)


def test_a_sample_of_two_operations_is_killed_and_caught(small: AuditReport) -> None:
    assert small.status == 0
    assert small.share == 1.0
    assert [o.operation for o in small.operations] == ["nn.functional.softplus", "nn.functional.hardshrink"]
    for row in small.rows():
        assert row.caught == row.tampers > 30
        assert row.killed <= row.counted <= 8
        assert row.killed == 0 or 1 <= row.median_until <= row.worst_until <= 110
        assert row.roundoffs <= 8.0


def test_the_report_is_plain_json(small: AuditReport) -> None:
    content = json.loads(json.dumps(small.as_json(), allow_nan=False))
    assert content["status"] == 0
    assert len(content["rows"]) == 2 * len(FORMATS)
    assert {fate["kind"] for o in content["operations"] for fate in o["fates"]} <= {
        "killed", "survived", "equivalent", "bound only",
    }  # fmt: skip


def test_processes_find_the_same(small: AuditReport) -> None:
    again = audit(select(["softplus", "hardshrink"]), sample=8, jobs=2, seeds=1)
    for one, other in zip(small.operations, again.operations, strict=True):
        assert replace(one, seconds=0.0) == replace(other, seconds=0.0)


def test_a_blind_judge_leaves_survivors() -> None:
    report = audit(select(["tanhshrink"]), cases=8, sample=8, jobs=1, judge=blind, dtypes=("float64", "float32"))
    assert report.status == 1
    assert not [f for _, f in report.fates("killed") if not f.kills["float64"].how.startswith("by contract")]
    assert len(report.fates("survived")) >= 6
    assert report.share < 0.5
    assert len(report.operations[0].tamper_survivors) > 20
    assert {row.roundoffs for row in report.rows()} == {float("inf")}
    assert all("\n- " in fate.diff and "\n+ " in fate.diff for _, fate in report.fates("survived"))


def test_a_survivor_alone_makes_the_status_1() -> None:
    fate = Fate("sign", "relu", 3, "a", "-a", "survived", {})
    killed = replace(fate, kind="killed", kills={"float64": Kill(2, "value deviates", "a case")})
    whole = OperationAudit("relu", {"float64": 60}, [killed], [], [], 0.0)
    assert AuditReport([whole], 60, 0, None).status == 0
    assert AuditReport([replace(whole, fates=[killed, fate])], 60, 0, None).status == 1
    assert AuditReport([replace(whole, fates=[killed, fate])], 60, 0, None).share == 0.5


@pytest.mark.parametrize(
    ("catch", "survived"),
    [
        (Catch("float64", "all", "value", cases=3, struck=3, status="deviates"), False),
        (Catch("float64", "all", "value", cases=0, struck=60, status="agrees"), True),
        (Catch("float64", "layout", "value", cases=0, struck=0, status="agrees"), True),
        (Catch("float64", "layout", "value", cases=0, struck=0, status="agrees", within_reach=False), False),
        (Catch("float64", "flushed", "value", cases=0, struck=0, status="agrees", value_bound=True), False),
        (Catch("float64", "all", "value", cases=0, struck=60, status="known"), False),
    ],
    ids=["caught", "never noticed", "never struck", "nowhere to strike", "no such numbers", "hidden by the ledger"],
)
def test_what_counts_as_a_survivor(catch: Catch, survived: bool) -> None:
    audited = OperationAudit("relu", {"float64": 60}, [], [catch], [], 0.0)
    assert AuditReport([audited], 60, 0, None).status == int(survived)


def test_a_fault_in_a_thousand_calls_is_met_by_chance() -> None:
    audited = OperationAudit("relu", {"float64": 500, "float32": 500}, [], [], [], 0.0)
    assert 0.632 < audited.chance_of_rare < 0.633


@pytest.mark.parametrize("dtype", FORMATS)
def test_softplus_is_sensitive_to_8_roundoffs(dtype: str) -> None:
    found = sensitivities(reference_named("nn.functional.softplus"), dtype, 30, range(2))
    assert {(line.output, line.place) for line in found} == {
        (output, place) for output in ("value", "grad[x]") for place in ("all", "largest")
    }
    assert all(line.reached and 1.0 <= line.roundoffs <= 8.0 for line in found)


def test_the_sensitivity_of_a_sum_counts_by_the_root_of_its_length() -> None:
    found = sensitivities(reference_named("nn.functional.linear"), "float32", 20, [0])
    assert all(line.per_root is not None for line in found)
    # Of one row, grad[bias] is what came in; of n, the first error that shows is larger, but by far less than √n.
    assert any(line.roundoffs < line.per_root for line in found if line.output == "grad[bias]")
    assert any(line.roundoffs > line.per_root for line in found if line.output == "value")
    assert not Sensitivity("float32", "value", "all", 2.0, per_root=4.5).reached


@pytest.mark.parametrize("name", TIGHT)
def test_tight_cases_are_as_sensitive_as_they_say(name: str) -> None:
    for (outputs, _), case in zip(TIGHT[name], list(always_judged(name, "float32"))[-len(TIGHT[name]) :], strict=True):
        trial = Trial(reference_named(name), case, judge_against, load_ledger())
        found = of_one_trial(trial, {}, {})
        assert {verdict.status for verdict in trial.verdicts.values()} == {"agrees"}
        per_root = {(output, place): error for (output, place, summed), error in found if summed}
        assert all(per_root[output, place] <= 4.0 for output in outputs.split() for place in PLACES), per_root


def test_bounds_of_one_grade_give_the_same_sensitivity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the other tell only what PyTorch is where it is not within the first, and what the ledger may know."""
    reference = reference_named("nn.functional.softplus")
    trials = [list(Trials(reference, "float16", 12, 1, sharp=sharp)) for sharp in (False, True)]
    grades = [[len(trial.bounds) for trial in some] for some in trials]
    assert set(grades[0]) == {2}
    assert 1 in grades[1]
    found = sensitivities(reference, "float16", 12, [0, 1])
    monkeypatch.setattr(Trial, "_bounds_asked_for", lambda t, own: bounds_of(own, t.case, t.arguments, t.observed))
    assert found == sensitivities(reference, "float16", 12, [0, 1])


def test_the_second_grade_is_asked_for_where_it_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = reference_named("nn.functional.softplus")
    known = next(trial for trial in Trials(reference, "float16", 12, 1, sharp=True) if len(trial.bounds) == 1)
    monkeypatch.setattr(Ledger, "concerns", lambda self, verdict: True)
    assert len(Trial(reference, known.case, judge_against, load_ledger(), sharp=True).bounds) == 2
    monkeypatch.undo()
    monkeypatch.setattr("gradcheck.audit.trials.run_case", lambda *call: off(known))
    coarse = Trial(reference, known.case, judge_against, load_ledger(), sharp=True)
    assert coarse.verdicts["value"].status in ("coarse", "deviates")
    assert len(coarse.bounds) == 2


def off(trial: Trial) -> Observed:
    """What PyTorch did, and every value wrong by a few roundoffs."""
    wrong = tampered(scaled(1.0 + 2.0**-8), trial.observed, "value", trial.case, trial.observed)
    assert wrong is not None
    return wrong


def test_an_audit_needs_float64() -> None:
    with pytest.raises(ContractError, match="needs the dtype float64, got float32"):
        audit(select(["relu"]), dtypes=("float32",), jobs=1)
