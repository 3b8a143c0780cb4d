"""softmax and its relatives in plain numbers."""

from __future__ import annotations

import math

import numpy as np

from tests.reference.known import check, gives

#: of 0, 1, 2
SHARES = ["0.0900305731703804579980221014845", "0.244728471054797652472959618341", "0.665240955774821889529018280175"]
LOGS = ["-2.40760596444438030448291990455", "-1.40760596444438030448291990455", "-0.407605964444380304482919904545"]
X = [[0.0, 1.0, 2.0]]
FIRST = [[1.0, 0.0, 0.0]]


def test_softmax() -> None:
    slopes = [
        "0.0819250690649932284458638756903",
        "-0.0220330445201742960346675404911",
        "-0.0598920245448189324111963351991",
    ]
    check("softmax", {"x": X, "dim": 1}, cotangent=FIRST, value=[SHARES], x=[slopes])
    check("softmax", {"x": [[0.0], [1.0], [2.0]], "dim": 0}, value=[[share] for share in SHARES])
    check("softmax", {"x": [1.0, 1.0, 1.0, 1.0], "dim": -1}, value=[0.25] * 4, x=[0.0] * 4)


def test_softmin_is_the_softmax_of_minus_x() -> None:
    check("softmin", {"x": [[0.0, -1.0, -2.0]], "dim": 1}, value=[SHARES])
    check("softmin", {"x": [0.0, 0.0], "dim": 0}, cotangent=[1.0, 0.0], x=[-0.25, 0.25])


def test_log_softmax() -> None:
    slopes = [
        "0.909969426829619542001977898516",
        "-0.244728471054797652472959618341",
        "-0.665240955774821889529018280175",
    ]
    check("log_softmax", {"x": X, "dim": 1}, cotangent=FIRST, value=[LOGS], x=[slopes])


def test_a_large_row_does_not_overflow() -> None:
    check("softmax", {"x": [[1000.0, 1001.0, 1002.0]], "dim": 1}, value=[SHARES])
    check("log_softmax", {"x": [[1000.0, 1001.0, 1002.0]], "dim": 1}, value=[LOGS])


def test_a_number_is_a_row_of_one() -> None:
    check("softmax", {"x": 7.0, "dim": 0}, value=1.0, x=0.0)
    check("log_softmax", {"x": 7.0, "dim": -1}, value=0.0, x=0.0)


def test_a_row_with_an_infinity_is_nan_but_for_minus_infinity_among_numbers() -> None:
    rows = [[math.inf, 0.0], [-math.inf, -math.inf], [-math.inf, 0.0], [math.nan, 0.0]]
    value = gives("softmax", {"x": rows, "dim": 1})["value"]
    assert np.isnan(value).tolist() == [[True, True], [True, True], [False, False], [True, True]]
    assert value[2].tolist() == [0.0, 1.0]


def test_no_rows_and_no_classes() -> None:
    for name in ("softmax", "softmin", "log_softmax"):
        assert gives(name, {"x": np.zeros((0, 3)), "dim": 1})["value"].shape == (0, 3)
        assert gives(name, {"x": np.zeros((3, 0)), "dim": 1})["grad[x]"].shape == (3, 0)
