"""Convolution in whole numbers: each option by itself, and against the sum of its definition."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from gradcheck.cases.inputs import Bits
from tests.reference.known import check, gives

IMAGE = [[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]]
KERNEL = [[[[1.0, 0.0], [0.0, -1.0]]]]


def test_it_is_a_cross_correlation() -> None:
    check(
        "conv2d",
        {"x": IMAGE, "weight": KERNEL, "bias": [10.0]},
        value=[[[[6.0, 6.0], [6.0, 6.0]]]],
        x=[[[[1.0, 1.0, 0.0], [1.0, 0.0, -1.0], [0.0, -1.0, -1.0]]]],
        weight=[[[[12.0, 16.0], [24.0, 28.0]]]],
        bias=[4.0],
    )


def test_options_in_whole_numbers() -> None:
    base = {"x": IMAGE, "weight": KERNEL, "bias": None}
    check("conv2d", {**base, "stride": 2}, value=[[[[-4.0]]]])
    check("conv2d", {**base, "dilation": 2}, value=[[[[-8.0]]]])
    check("conv2d", {**base, "padding": (1, 0)}, value=[[[[-2.0, -3.0], [-4.0, -4.0], [-4.0, -4.0], [7.0, 8.0]]]])
    check("conv2d", {**base, "padding": "same"}, value=[[[[-4.0, -4.0, 3.0], [-4.0, -4.0, 6.0], [7.0, 8.0, 9.0]]]])
    check("conv2d", {**base, "padding": "valid"}, value=[[[[-4.0, -4.0], [-4.0, -4.0]]]])
    check("conv2d", {"x": IMAGE[0], "weight": KERNEL, "bias": None}, value=[[[-4.0, -4.0], [-4.0, -4.0]]])


def test_what_no_window_reaches_has_no_gradient() -> None:
    check(
        "conv2d",
        {"x": IMAGE, "weight": KERNEL, "bias": None, "stride": 2},
        x=[[[[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0] * 3]]],
    )


def by_definition(
    x: np.ndarray,
    weight: np.ndarray,
    stride: tuple[int, int],
    pad: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> np.ndarray:
    """Σ over channels and kernel, one product at a time."""
    (n, _, height, width), (filters, inner, rows, columns) = x.shape, weight.shape
    high = (height + 2 * pad[0] - dilation[0] * (rows - 1) - 1) // stride[0] + 1
    wide = (width + 2 * pad[1] - dilation[1] * (columns - 1) - 1) // stride[1] + 1
    value = np.zeros((n, filters, high, wide))
    for b, o, i, j, c, k, m in itertools.product(
        range(n), range(filters), range(high), range(wide), range(inner), range(rows), range(columns)
    ):
        row, column = i * stride[0] + k * dilation[0] - pad[0], j * stride[1] + m * dilation[1] - pad[1]
        if 0 <= row < height and 0 <= column < width:
            channel = o // (filters // groups) * inner + c
            value[b, o, i, j] += x[b, channel, row, column] * weight[o, c, k, m]
    return value


OPTIONS = [
    {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1},
    {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 1), "groups": 2},
    {"stride": (1, 3), "padding": (2, 0), "dilation": (2, 1), "groups": 1},
    {"stride": (3, 2), "padding": (1, 1), "dilation": (1, 2), "groups": 2},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_whole_numbers_match_the_definition_and_its_adjoint(options: dict[str, Any]) -> None:
    bits = Bits("convolution", options)
    x = bits.below(9, 2 * 4 * 6 * 7).reshape(2, 4, 6, 7) - 4.0
    weight = bits.below(9, 4 * (4 // options["groups"]) * 2 * 3).reshape(4, -1, 2, 3) - 4.0
    plain = (options["stride"], options["padding"], options["dilation"], options["groups"])
    value = by_definition(x, weight, *plain)
    g = bits.below(9, value.size).reshape(value.shape) - 4.0
    got = gives("conv2d", {"x": x, "weight": weight, "bias": None, **options}, cotangent=g)
    assert np.array_equal(got["value"], value)
    # The map is linear in each array: ⟨g, map of a unit⟩ is the gradient there, and whole numbers are exact.
    for place in bits.below(x.size, 20):
        unit = np.zeros(x.size)
        unit[place] = 1.0
        assert np.sum(g * by_definition(unit.reshape(x.shape), weight, *plain)) == got["grad[x]"].ravel()[place]
    for place in range(weight.size):
        unit = np.zeros(weight.size)
        unit[place] = 1.0
        assert np.sum(g * by_definition(x, unit.reshape(weight.shape), *plain)) == got["grad[weight]"].ravel()[place]
