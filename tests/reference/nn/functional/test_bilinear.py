"""Bilinear maps and the cross entropy of affine ones, by numbers and by their parts."""

from __future__ import annotations

import numpy as np

from tests.reference.known import check, gives


def test_bilinear_in_whole_numbers() -> None:
    check(
        "bilinear",
        {"x": [[1.0, 2.0]], "input2": [[3.0, 4.0, 5.0]], "weight": [[[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]], "bias": [7.0]},
        value=[[28.0]],
        x=[[13.0, 4.0]],
        input2=[[1.0, 2.0, 2.0]],
        weight=[[[3.0, 4.0, 5.0], [6.0, 8.0, 10.0]]],
        bias=[1.0],
    )


def test_two_features_add_up_in_the_gradients() -> None:
    check(
        "bilinear",
        {"x": [2.0], "input2": [3.0], "weight": [[[1.0]], [[10.0]]], "bias": None},
        [1.0, 2.0],
        value=[6.0, 60.0],
        x=[63.0],
        input2=[42.0],
        weight=[[[6.0]], [[12.0]]],
    )


def test_linear_cross_entropy_of_equal_logits_is_the_logarithm_of_their_number() -> None:
    """ln 2 (OEIS A002162); the gradient is ½ away from the class."""
    words = {"x": [[1.0]], "linear_weight": [[3.0], [3.0]], "target": [1], "linear_bias": [0.5, 0.5]}
    check(
        "linear_cross_entropy",
        words,
        value="0.69314718055995",
        x=[["0.000000000000000"]],
        linear_weight=[["0.500000000000000"], ["-0.500000000000000"]],
        linear_bias=["0.500000000000000", "-0.500000000000000"],
    )


def test_it_is_linear_then_cross_entropy() -> None:
    """With outer positions, bit by bit, since the steps are the same."""
    x, weight, bias = np.arange(6.0).reshape(2, 3) - 2.0, np.arange(12.0).reshape(2, 2, 3) / 8.0, np.ones((2, 2))
    target = np.array([[0, 1], [1, 1]])
    got = gives("linear_cross_entropy", {"x": x, "linear_weight": weight, "target": target, "linear_bias": bias})
    logits = gives("linear", {"x": x, "weight": weight.reshape(4, 3), "bias": bias.ravel()})["value"]
    loss = gives("cross_entropy", {"x": logits.reshape(2, 2, 2), "target": target})
    assert got["value"] == loss["value"]
    back = gives(
        "linear",
        {"x": x, "weight": weight.reshape(4, 3), "bias": bias.ravel()},
        cotangent=loss["grad[x]"].reshape(2, 4),
    )
    assert np.array_equal(got["grad[x]"], back["grad[x]"])
    assert np.array_equal(got["grad[linear_weight]"], back["grad[weight]"].reshape(2, 2, 3))
    assert np.array_equal(got["grad[linear_bias]"], back["grad[bias]"].reshape(2, 2))
