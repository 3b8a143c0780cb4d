"""A sample of the audit over every operation: on the fixed cases and two drawn ones no mutant of it survives."""

from __future__ import annotations

import pytest

from gradcheck.audit.findings import Plan
from gradcheck.audit.worker import audit_operation
from gradcheck.reference.registry import reference_named, references
from gradcheck.subject.facts import use_one_thread

PLAN = Plan(("float64",), cases=2, seed=0, sample=2, seeds=0)


@pytest.mark.parametrize("name", references())
def test_a_sample_is_killed(name: str) -> None:
    use_one_thread()
    (audited,) = audit_operation(reference_named(name), PLAN)
    assert len(audited.fates) == PLAN.sample
    assert not [fate.diff for fate in audited.of("survived")]
    assert sum(catch.cases > 0 for catch in audited.catches) > len(audited.catches) // 2
