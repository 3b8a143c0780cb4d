"""Operations on integers are judged exactly, in PyTorch's own dtype."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from gradcheck.cases.case import Case, parse_case
from gradcheck.cases.corpus import drawn_case
from gradcheck.errors import UsageError
from gradcheck.reference.registry import entry_named
from gradcheck.verdict.integers import judge_integers
from gradcheck.verdict.kinds import judge

NAME = "nn.functional.one_hot"
CASES = [drawn_case(entry_named(NAME), "float64", 0, index) for index in range(40)]


def statuses(**planted: Any) -> set[tuple[str, str]]:
    return {(verdict.output, verdict.status) for case in CASES for verdict in judge_integers(case, **planted)}


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_pytorch_agrees(case: Case) -> None:
    assert [(verdict.output, verdict.status) for verdict in judge(case)] == [("value", "agrees"), ("type", "agrees")]
    assert parse_case(str(case)) == case


def test_the_formula_by_hand() -> None:
    formula = entry_named(NAME).function  # type: ignore[attr-defined]
    assert np.array_equal(formula(np.array([2, 0])), [[0, 0, 1], [1, 0, 0]])
    assert np.array_equal(formula(np.array(1), num_classes=3), [0, 1, 0])


def test_wrong_ones_are_caught() -> None:
    one_hot = torch.nn.functional.one_hot
    assert statuses() == {("value", "agrees"), ("type", "agrees")}
    assert ("value", "deviates") in statuses(subject=lambda x, num_classes: 1 - one_hot(x, num_classes))
    assert ("value", "deviates") in statuses(subject=lambda x, num_classes: one_hot(x))
    assert ("type", "deviates") in statuses(subject=lambda x, num_classes: one_hot(x, num_classes).to(torch.int32))
    assert ("type", "deviates") in statuses(
        subject=lambda x, num_classes: one_hot(x, num_classes).double().requires_grad_()
    )
    assert ("value", "raises") in statuses(subject=lambda x, num_classes: one_hot(x - 1, num_classes))
    entry: Any = entry_named(NAME)
    assert ("value", "deviates") in statuses(entry=replace(entry, function=lambda x, **words: entry.function(x)))


def test_entries_of_other_kinds_are_refused() -> None:
    with pytest.raises(UsageError, match="relu is no operation on integers"):
        judge_integers(parse_case("nn.functional.relu(x=ordinary(3)) seed=0 dtype=float32"))
