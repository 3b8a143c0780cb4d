"""Reductions of losses in plain numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, rounding_model
from gradcheck.reference.reduction import reduced, weighted_reduced

ELEMENTS = np.array([1.0, 2.0, 5.0])
WEIGHT = np.array([1.0, 3.0, 4.0])


def test_plain() -> None:
    value, spread = reduced(ELEMENTS, "none")
    assert value is ELEMENTS
    assert spread(7.0) == 7.0
    value, spread = reduced(ELEMENTS, "sum")
    assert (value, spread(7.0)) == (8.0, 7.0)
    value, spread = reduced(np.array([1.0, 3.0]), "mean")
    assert (value, spread(7.0)) == (2.0, 3.5)


def test_weighted() -> None:
    value, spread = weighted_reduced(ELEMENTS, WEIGHT, "none")
    assert value.tolist() == [1.0, 6.0, 20.0]
    assert [part.tolist() for part in spread(np.ones(3))] == [[1.0, 3.0, 4.0], [1.0, 2.0, 5.0]]
    value, spread = weighted_reduced(ELEMENTS, WEIGHT, "sum")
    assert value == 27.0
    assert [part.tolist() for part in spread(2.0)] == [[2.0, 6.0, 8.0], [2.0, 4.0, 10.0]]
    value, spread = weighted_reduced(ELEMENTS, WEIGHT, "mean")
    assert value == 27.0 / 8.0
    each, through_weight = spread(8.0)
    assert each.tolist() == [1.0, 3.0, 4.0]
    # (element - mean)·g/Σ weight
    assert through_weight.tolist() == [1.0 - 3.375, 2.0 - 3.375, 5.0 - 3.375]


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_nothing(reduction: str) -> None:
    with np.errstate(invalid="ignore"):
        value, _ = reduced(np.zeros(0), reduction)
    assert value == 0.0 if reduction == "sum" else math.isnan(value)


def test_the_elements_and_their_sum_are_stored() -> None:
    model = rounding_model("bfloat16")
    elements = Bounded(ELEMENTS * 1.01, None, model)  # no numbers of the format
    mean, _ = reduced(elements, "mean")
    total, _ = reduced(elements, "sum")
    assert float(total.full_bound()) >= 8.08 * 2.0**-8
    assert float(mean.full_bound()) >= 2.0 * (8.08 / 3.0) * 2.0**-8
