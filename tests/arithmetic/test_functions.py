"""The functions that references need besides NumPy's: plain in float64, and each arithmetic's own elsewhere."""

from __future__ import annotations

import math

import numpy as np

from gradcheck.arithmetic import (
    as_dtype,
    as_dtype_of,
    balls,
    enclosure,
    guarded,
    number,
    pi,
    sgn,
    stored,
    sum_over_batch,
)

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
