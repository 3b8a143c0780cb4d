"""Normalisation in plain numbers."""

from __future__ import annotations

from tests.reference.known import check

NORMAL = ["-0.879882690128119735016683713028", "-0.439941345064059867508341856514", "1.31982403519217960252502556954"]
SLOPES = ["0.179760979703594354465774091909", "-0.203413740190909401106007525055", "0.0236527604873150466402334331459"]


def test_layer_norm_of_1_2_6_with_eps_one_half() -> None:
    """Mean 3, variance 14/3."""
    case = {"x": [[1.0, 2.0, 6.0]], "normalized_shape": (3,), "eps": 0.5}
    check("layer_norm", case, cotangent=[[1.0, 0.0, 0.0]], value=[NORMAL], x=[SLOPES])


def test_weight_and_bias() -> None:
    """Mean 2, variance 1 and eps 0 more: normalised to -1, 1."""
    case = {"x": [[1.0, 3.0], [3.0, 1.0]], "normalized_shape": (2,), "eps": 0.0}
    check("layer_norm", {**case, "weight": [2.0, 4.0], "bias": [10.0, 20.0]}, value=[[8.0, 24.0], [12.0, 16.0]])
    check(
        "layer_norm",
        {**case, "weight": [2.0, 4.0], "bias": [10.0, 20.0]},
        cotangent=[[1.0, 2.0], [3.0, 4.0]],
        weight=[2.0, -2.0],
        bias=[4.0, 6.0],
    )
    check("layer_norm", {**case, "weight": [2.0, 4.0]}, value=[[-2.0, 4.0], [2.0, -4.0]])


def test_over_two_axes() -> None:
    case = {"x": [[[1.0, 1.0], [3.0, 3.0]]], "normalized_shape": (2, 2), "eps": 0.0}
    check("layer_norm", case, value=[[[-1.0, -1.0], [1.0, 1.0]]], x=[[[0.0, 0.0], [0.0, 0.0]]])


def test_eps_is_inside_the_root() -> None:
    """Variance 1 and eps 3 make a root of 2."""
    case = {"x": [[1.0, 3.0]], "normalized_shape": (2,), "eps": 3.0}
    check("layer_norm", case, value=[[-0.5, 0.5]])
