"""The functions that references need besides NumPy's: plain in float64, and each arithmetic's own elsewhere."""

from __future__ import annotations

import math

import flint
import numpy as np
import pytest

from gradcheck.arithmetic import (
    Bounded,
    Dual,
    as_dtype,
    as_dtype_of,
    ball_precision,
    balls,
    enclosure,
    guarded,
    number,
    pi,
    rounding_model,
    sgn,
    stored,
    sum_over_batch,
)
from gradcheck.arithmetic.batched import Batched
from gradcheck.arithmetic.functions import routed, sinc, ties_for_largest
from gradcheck.arithmetic.mask import Mask
from gradcheck.errors import ContractError

X = np.array([[1.0, -2.0], [0.0, math.nan]])


def test_in_float64_they_are_plain() -> None:
    assert stored(X) is X
    assert as_dtype(X, "bfloat16") is X
    assert as_dtype(X, None) is X
    assert as_dtype_of(X, np.float32(1.0)) is X
    assert number(0.1, X) == 0.1
    assert isinstance(number(0.1, X), np.float64)
    assert pi(X) == math.pi
    assert sum_over_batch(np.ones((3, 2)), 0).tolist() == [3.0, 3.0]
    assert sum_over_batch(np.ones((3, 2)), 0, keepdims=True).shape == (1, 2)


def test_the_sign_of_nan_is_zero() -> None:
    assert sgn(X).tolist() == [[1.0, -1.0], [0.0, 0.0]]
    assert math.isnan(np.sign(X)[1, 1])
    assert enclosure(sgn(balls(X)))[0].tolist() == [[1.0, -1.0], [0.0, 0.0]]


def test_guarded_replaces_what_is_not_used() -> None:
    with np.errstate(all="raise"):
        assert np.log(guarded(np.array([0.0, 1.0]), np.array([False, True]), 1.0)).tolist() == [0.0, 0.0]
    assert guarded(X, np.zeros((2, 2), dtype=bool)).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_balls_do_not_round_what_is_stored() -> None:
    x = balls(0.1)
    assert stored(x) is x
    assert as_dtype(x, "bfloat16") is x


SINGLE = rounding_model("float32")


@pytest.mark.parametrize(
    ("values", "bounds", "undecided"),
    [
        ([3.0, 2.0, 1.0], [0.1, 0.1, 0.1], []),
        ([3.0, 2.9, 1.0], [0.1, 0.1, 0.1], [0, 1]),
        ([3.0, 2.9, 1.0], [0.1, 0.1, 1.95], [0, 1, 2]),
        ([3.0, 3.0, 1.0], [0.0, 0.0, 0.5], []),
        ([3.0, 3.0, 1.0], [0.1, 0.0, 0.5], [0, 1]),
        ([math.inf, 2.0, 1.0], [0.0, 0.1, 0.1], []),
        ([3.0, 2.0, 1.0], [0.1, math.inf, 0.1], [0, 1]),
        ([math.nan, 2.0, 1.0], [0.0, 0.1, 0.1], []),
    ],
)
def test_what_is_the_largest_is_open_only_between_rivals(
    values: list[float], bounds: list[float], undecided: list[int]
) -> None:
    number = Bounded(np.array(values), np.array(bounds), SINGLE)
    with np.errstate(all="ignore"):  # as all rules are evaluated
        both = ties_for_largest(number, -1), ties_for_largest(Dual(number, number, 1), 0)
    for found in both:
        likely, doubt = (found.likely, found.undecided) if isinstance(found, Mask) else (found, np.zeros(3, bool))
        assert np.array_equal(likely, values == np.max(values))
        assert np.flatnonzero(doubt).tolist() == undecided


def test_the_largest_of_a_batch_is_each_rows_own() -> None:
    rows = Batched(Bounded(np.array([[1.0, 2.0], [4.0, 3.0]]), np.array(0.1), SINGLE))
    for axis in (-1, 0, None):
        assert ties_for_largest(rows, axis).content.tolist() == [[False, True], [True, False]]


def test_sinc_of_a_ball_that_holds_zero_is_near_one() -> None:
    with ball_precision(100):
        third = balls(np.array([1.0])) / 3.0
        (middle,), (radius,) = enclosure(sinc(third * 3.0 - 1.0))
    assert abs(middle - 1.0) <= radius < 2.0**-90


def test_sinc_has_a_bound_where_its_divisor_may_be_zero() -> None:
    x = np.array([0.0, 2.0**-60, 0.25, 1.5])
    number = sinc(Bounded(x, np.array([0.0, 2.0**-20, 2.0**-20, 0.0]), SINGLE))
    truth = np.array([float((flint.arb(v)).sinc_pi()) for v in x])
    errors = np.abs(sinc(x + np.array([0.0, 2.0**-20, 2.0**-20, 0.0])) - truth)
    assert np.all(errors <= number.full_bound())
    assert np.all(number.full_bound() < 2.0**-17)
    assert np.all(np.abs(np.asarray(number.value) - truth) <= number.full_bound())


def test_a_number_by_two_routes_has_a_bound_that_holds_both() -> None:
    one = Bounded(np.array([1.0, 1.0, math.inf, 1.0]), np.array([0.1, 0.5, 0.0, 0.1]), SINGLE)
    other = Bounded(np.array([1.25, 1.0, math.inf, math.nan]), np.array([0.25, 0.1, 0.0, math.inf]), SINGLE)
    with np.errstate(invalid="ignore"):  # as where verdicts are given
        both = routed(one, other)
        dual = routed(Dual(one, one), Dual(other, other))
        together = routed(Batched(one), Batched(other))
    assert np.array_equal(both.value, one.value)
    assert both.full_bound()[0] >= 0.5  # up to 1.5
    assert both.full_bound()[1:].tolist() == [0.5, 0.0, 0.1]  # where the other route overflows it is no excuse
    assert routed(2.0, 3.0) == 2.0
    far = Bounded(np.array([1.5]), np.array([0.25]), SINGLE)
    with pytest.raises(ContractError, match="two routes"):
        routed(Bounded(np.array([1.0]), np.array([0.125]), SINGLE), far)
    assert np.array_equal(dual.tangent.full_bound(), both.full_bound())
    assert np.array_equal(together.content.full_bound(), both.full_bound())
