"""Faults are planted in every mode: in its outputs (tangents, Jacobians, second derivatives) and in its oracle."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradcheck.audit.catching import catches
from gradcheck.audit.report import audit
from gradcheck.audit.trials import Trials
from gradcheck.reference.registry import reference_named, select
from gradcheck.verdict.judge import judge_against

#: One mode for each oracle, and the outputs that it has.
MODES = {
    "grad": {"value", "grad[x]"},
    "inference": {"value"},
    "forward": {"value", "tangent"},
    "func.jacrev": {"jacobian[x]"},
    "vmap:backward": {"value", "grad[x]"},
    "vmap:forward": {"value", "tangent"},
    "double": {"hvp[x]"},
    "forward-over-forward": {"tangent2"},
}


def blind(*call):
    """A judge that finds everything in order."""
    return [replace(verdict, status="agrees", witness=None) for verdict in judge_against(*call)]


@pytest.mark.parametrize("mode", MODES)
def test_tampered_subjects_are_caught_in_a_mode(mode: str) -> None:
    found = catches(Trials(reference_named("nn.functional.tanh"), "float32", 24, 0, mode=mode))
    assert {catch.output for catch in found} == MODES[mode]
    missed = [(catch.output, catch.tamper) for catch in found if catch.survived]
    assert not missed
    assert sum(catch.cases > 0 for catch in found) >= 14 * len(MODES[mode])


def test_a_blind_judge_misses_them_in_a_mode() -> None:
    found = catches(Trials(reference_named("nn.functional.tanh"), "float32", 8, 0, blind, mode="double"))
    assert not any(catch.cases for catch in found)
    assert len([catch for catch in found if catch.survived]) >= 14


def test_a_sample_of_mutants_is_killed_in_every_mode() -> None:
    report = audit(select(["softsign"]), cases=10, sample=6, jobs=1, dtypes=("float64",), modes=tuple(MODES), seeds=1)
    assert [part.mode for part in report.operations] == list(MODES)
    assert not report.fates("survived")
    assert all(part.of("killed") for part in report.operations)
    assert {row.mode for row in report.rows()} == set(MODES)
    assert [name for name, _ in report.fates("killed")][-1] == "nn.functional.softsign [forward-over-forward]"


def test_what_a_mode_does_not_ask_for_is_no_fault_there() -> None:
    """Forward mode never calls the vjp: what is wrong there changes none of its numbers."""
    report = audit(select(["hardshrink"]), cases=10, jobs=1, dtypes=("float64",), modes=("inference",), seeds=1)
    (part,) = report.operations
    unused = [fate for fate in part.of("equivalent") if fate.reason == "the same numbers in mode inference"]
    assert any("'x'" in fate.before for fate in unused)


def test_a_mode_that_pytorch_lacks_is_not_audited() -> None:
    report = audit(select(["tanh"]), cases=2, sample=1, jobs=1, dtypes=("float64",), modes=("inplace",), seeds=1)
    assert report.operations == []


def test_a_dtype_that_pytorch_lacks_is_not_missed() -> None:
    report = audit(select(["pdist"]), cases=2, sample=1, jobs=1, dtypes=("float64", "float16"), seeds=1)
    (part,) = report.operations
    assert list(part.cases) == ["float64"]
    assert {catch.dtype for catch in part.catches} == {"float64"}
