"""The affine map in whole numbers."""

from __future__ import annotations

import numpy as np

from tests.reference.known import check

X = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
WEIGHT = [[1.0, 0.0, -1.0], [2.0, 1.0, 0.0]]


def test_linear() -> None:
    check(
        "linear",
        {"x": X, "weight": WEIGHT, "bias": [10.0, 20.0]},
        cotangent=[[1.0, 2.0], [3.0, 4.0]],
        value=[[8.0, 24.0], [8.0, 33.0]],
        x=[[5.0, 2.0, -1.0], [11.0, 4.0, -3.0]],
        weight=[[13.0, 17.0, 21.0], [18.0, 24.0, 30.0]],
        bias=[4.0, 6.0],
    )


def test_without_bias() -> None:
    check("linear", {"x": X, "weight": WEIGHT, "bias": None}, value=[[-2.0, 4.0], [-2.0, 13.0]])


def test_a_row_of_weights_drops_the_last_axis() -> None:
    check(
        "linear", {"x": X, "weight": [1.0, 0.0, 1.0], "bias": 0.5}, value=[4.5, 10.5], weight=[5.0, 7.0, 9.0], bias=2.0
    )


def test_more_and_fewer_axes() -> None:
    check("linear", {"x": X[0], "weight": WEIGHT, "bias": None}, value=[-2.0, 4.0])
    check("linear", {"x": [[X[0]], [X[1]]], "weight": WEIGHT, "bias": None}, value=[[[-2.0, 4.0]], [[-2.0, 13.0]]])


def test_a_sum_of_nothing_is_the_bias() -> None:
    empty = {"x": np.zeros((2, 0)), "weight": np.zeros((3, 0)), "bias": [1.0, 2.0, 3.0]}
    check("linear", empty, value=[[1.0, 2.0, 3.0]] * 2, bias=[2.0, 2.0, 2.0])
