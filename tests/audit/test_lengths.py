"""The length of a reduction: additions one after another, sums that a sum carries counted, sums beside it not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradcheck.audit.lengths import lengths
from gradcheck.audit.trials import Trials
from gradcheck.cases.case import parse_case
from gradcheck.cases.inputs import arguments_of, cotangents_of
from gradcheck.reference.registry import reference_named

N = 5 * 6  # elements of a channel in the case of batch_norm

LENGTHS = {
    "nn.functional.softplus(x=ordinary(4, 7)) seed=1 dtype=float64": {"value": 1, "grad[x]": 1},
    "nn.functional.softmax(x=ordinary(4, 7), dim=1) seed=1 dtype=float64": {"value": 7, "grad[x]": 13},
    "nn.functional.linear(x=ordinary(4, 7), weight=ordinary(3, 7), bias=None) seed=1 dtype=float64": {
        "value": 7,
        "grad[x]": 3,
        "grad[weight]": 4,
    },
    "nn.functional.batch_norm(x=ordinary(5, 2, 6), running_mean=None, running_var=None, weight=ordinary(2), "
    "bias=ordinary(2), training=True) seed=1 dtype=float64": {
        "value": 2 * N,  # x·rstd·weight, and from it the mean's
        "grad[x]": 2 * N,
        "grad[weight]": 2 * N - 1,
        "grad[bias]": N,
    },
}


def measured(line: str, **changes: Any) -> dict[str, int]:
    case = parse_case(line)
    return lengths(replace(reference_named(case.operation), **changes), arguments_of(case), cotangents_of(case))


@pytest.mark.parametrize("line", LENGTHS, ids=lambda line: line.partition("(")[0])
def test_additions_one_after_another_are_counted(line: str) -> None:
    assert measured(line) == LENGTHS[line]


def test_a_sum_that_nothing_goes_through_does_not_count() -> None:
    """Beside the chain, where its last addition alone counts, and where only a branch is decided by it."""

    def beside(x: Any, *, beta: Any = 1.0, threshold: Any = 20.0) -> Any:
        chosen = np.where(np.sum(x) > 0.0, x, -x)
        return np.sum(chosen, axis=0) + np.sum(x * x, axis=0), lambda g: {"x": np.zeros_like(x)}

    line = "nn.functional.softplus(x=ordinary(4, 7)) seed=1 dtype=float64"
    assert measured(line, function=beside) == {"value": 5, "grad[x]": 1}


@pytest.mark.parametrize("name", ["nn.functional.batch_norm", "nn.functional.embedding_bag"])
def test_lengths_are_the_same_in_every_dtype(name: str) -> None:
    """So those of one case are measured once."""
    for trial in list(Trials(reference_named(name), "bfloat16", 6, 0).small)[::4]:
        if trial.ran:
            measured_here = lengths(trial.reference, trial.known, cotangents_of(trial.case))
            assert {output: trial.length_of(output) for output in measured_here} == measured_here
