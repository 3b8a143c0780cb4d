"""Transposed convolution in whole numbers, and as the adjoint of convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck.cases.inputs import Bits
from tests.reference.known import check, gives

SIGNAL = [[[1.0, 2.0, 3.0]]]
KERNEL = [[[10.0, 1.0]]]


def test_every_number_spreads_over_the_kernel() -> None:
    check(
        "conv_transpose1d",
        {"x": SIGNAL, "weight": KERNEL, "bias": [100.0]},
        value=[[[110.0, 121.0, 132.0, 103.0]]],
        x=[[[11.0, 11.0, 11.0]]],
        weight=[[[6.0, 6.0]]],
        bias=[4.0],
    )


def test_options_in_whole_numbers() -> None:
    base: dict[str, Any] = {"x": SIGNAL, "weight": KERNEL, "bias": None}
    check("conv_transpose1d", {**base, "stride": 2}, value=[[[10.0, 1.0, 20.0, 2.0, 30.0, 3.0]]])
    check("conv_transpose1d", {**base, "dilation": 2}, value=[[[10.0, 20.0, 31.0, 2.0, 3.0]]])
    check("conv_transpose1d", {**base, "padding": 1}, value=[[[21.0, 32.0]]], weight=[[[5.0, 3.0]]])
    check("conv_transpose1d", {**base, "stride": 3}, value=[[[10.0, 1.0, 0.0, 20.0, 2.0, 0.0, 30.0, 3.0]]])
    check(
        "conv_transpose1d", {**base, "stride": 2, "output_padding": 1}, value=[[[10.0, 1.0, 20.0, 2.0, 30.0, 3.0, 0.0]]]
    )
    check("conv_transpose1d", {**base, "x": SIGNAL[0]}, value=[[10.0, 21.0, 32.0, 3.0]])
    wide = {"x": [[[1.0], [2.0]]], "weight": [[[10.0], [20.0]], [[30.0], [40.0]]], "bias": [1.0, 2.0, 3.0, 4.0]}
    check("conv_transpose1d", {**wide, "groups": 2}, value=[[[11.0], [22.0], [63.0], [84.0]]])


def test_pixels_that_nothing_reaches_hold_the_bias() -> None:
    words = {"x": SIGNAL, "weight": [[[1.0]]], "bias": [7.0], "stride": 2, "output_padding": 1}
    check("conv_transpose1d", words, value=[[[8.0, 7.0, 9.0, 7.0, 10.0, 7.0]]])


def test_padding_that_cuts_all_that_a_number_reaches_leaves_it_without_gradient() -> None:
    words = {"x": [[[np.nan, 2.0, 3.0]]], "weight": [[[1.0, 1.0]]], "bias": None, "stride": 2, "padding": 2}
    check("conv_transpose1d", words, value=[[[2.0, 2.0]]], weight=[[[2.0, 2.0]]], x=[[[0.0, 2.0, 0.0]]])


def options(stride: Any, padding: Any, dilation: Any, groups: int) -> dict[str, Any]:
    return {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


OPTIONS = [
    ("conv1d", "conv_transpose1d", (9,), (3,), options(2, 1, 1, 1), 0),
    ("conv1d", "conv_transpose1d", (12,), (3,), options(3, 2, 2, 2), 2),
    ("conv2d", "conv_transpose2d", (6, 8), (2, 3), options((2, 1), (1, 2), (1, 2), 2), (0, 0)),
    ("conv3d", "conv_transpose3d", (4, 5, 4), (2, 1, 3), options((1, 3, 2), (0, 1, 1), (2, 1, 1), 1), (0, 0, 1)),
]


@pytest.mark.parametrize(("forward", "backward", "sides", "kernel", "words", "more"), OPTIONS)
def test_it_is_the_adjoint_of_convolution(
    forward: str, backward: str, sides: tuple[int, ...], kernel: tuple[int, ...], words: dict[str, Any], more: Any
) -> None:
    """In whole numbers, which are exact: each is the gradient of the other."""
    bits = Bits("adjoint", sides, words)

    def whole(*shape: int) -> np.ndarray:
        return bits.below(9, int(np.prod(shape))).reshape(shape) - 4.0

    x, weight = whole(2, 4, *sides), whole(6, 4 // words["groups"], *kernel)
    y = gives(forward, {"x": x, "weight": weight, "bias": None, **words})["value"]
    g = whole(*y.shape)
    there = gives(forward, {"x": x, "weight": weight, "bias": None, **words}, cotangent=g)
    turned = {"x": g, "weight": weight, "bias": None, **words, "output_padding": more}
    back = gives(backward, turned, cotangent=x)
    assert np.array_equal(back["value"], there["grad[x]"])
    assert np.array_equal(back["grad[x]"], y)
    assert np.array_equal(back["grad[weight]"], there["grad[weight]"])
