"""What the suite says when PyTorch is wrong: tried on a PyTorch that is made wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings

from gradcheck.cases.case import parse_case
from gradcheck.cases.strategies import cases
from gradcheck.reference.registry import reference_named
from tests.operations.test_operations import judge, places


@pytest.fixture
def one_and_a_half_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """relu gives half as much again for all that is larger than 1."""
    import torch

    def relu(x: Any) -> Any:
        return torch.where(x > 1.0, 1.5 * x, torch.relu(x))

    monkeypatch.setattr("gradcheck.subject.run.operation_named", lambda name: relu)


@pytest.mark.usefixtures("one_and_a_half_times")
def test_a_fault_is_reported_in_a_sentence_and_the_smallest_case() -> None:
    @settings(max_examples=100, database=None)
    @given(cases(reference_named("nn.functional.relu")))
    def suite(case: Any) -> None:
        judge(places(case, ("float32",), ("cpu",)))

    with pytest.raises(pytest.fail.Exception) as caught:
        suite()
    message = str(caught.value)
    assert "nn.functional.relu in float32 on cpu, backward" in message
    assert "value deviates where no error is allowed" in message
    lines = re.findall(r"gradcheck replay '(.*)'", message)
    assert {parse_case(line).specs["x"].shape for line in lines} <= {(), (1,), (2,)}


@pytest.mark.usefixtures("one_and_a_half_times")
def test_every_dtype_that_is_wrong_is_reported() -> None:
    case = parse_case("nn.functional.relu(x=ordinary(9)) seed=1 dtype=float64")
    with pytest.raises(pytest.fail.Exception) as caught:
        judge(places(case, ("float64", "bfloat16"), ("cpu",)))
    assert "in float64 on cpu" in str(caught.value)
    assert "in bfloat16 on cpu" in str(caught.value)


def test_what_is_right_is_passed_on() -> None:
    case = parse_case("nn.functional.relu(x=ordinary(9)) seed=1 dtype=float64")
    assert [verdict.status for verdict in judge([case])] == ["agrees", "agrees"]
