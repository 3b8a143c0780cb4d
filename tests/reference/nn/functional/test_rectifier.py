"""Piecewise linear activations: exact numbers on both sides of every kink, and at it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.reference.known import check, gives

INF, NAN = math.inf, math.nan

#: name, keyword arguments -> x, value, slope; kinks among the x
TABLE: list[tuple[str, dict[str, Any], list[float], list[float], list[float]]] = [
    ("relu", {}, [-2.0, 0.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 1.0]),
    ("relu6", {}, [-2.0, 0.0, 3.0, 6.0, 7.0], [0.0, 0.0, 3.0, 6.0, 6.0], [0.0, 0.0, 1.0, 0.0, 0.0]),
    ("hardtanh", {}, [-2.0, -1.0, 0.5, 1.0, 3.0], [-1.0, -1.0, 0.5, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0, 0.0]),
    ("hardtanh", {"min_val": -2.0, "max_val": 0.5}, [-3.0, -1.0, 1.0], [-2.0, -1.0, 0.5], [0.0, 1.0, 0.0]),
    ("leaky_relu", {"negative_slope": 0.25}, [-2.0, 0.0, 3.0], [-0.5, 0.0, 3.0], [0.25, 0.25, 1.0]),
    ("rrelu", {"lower": 0.25, "upper": 0.75}, [-2.0, 0.0, 3.0], [-1.0, 0.0, 3.0], [0.5, 0.5, 1.0]),
    ("threshold", {"threshold": 1.0, "value": 9.0}, [0.0, 1.0, 2.0], [9.0, 9.0, 2.0], [0.0, 0.0, 1.0]),
    ("hardshrink", {}, [-2.0, -0.5, 0.0, 0.5, 1.0], [-2.0, 0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0, 1.0]),
    ("hardshrink", {"lambd": 1.5}, [-2.0, 1.0, 2.0], [-2.0, 0.0, 2.0], [1.0, 0.0, 1.0]),
    ("softshrink", {}, [-2.0, -0.5, 0.0, 0.5, 1.0], [-1.5, 0.0, 0.0, 0.0, 0.5], [1.0, 0.0, 0.0, 0.0, 1.0]),
    ("hardsigmoid", {}, [-4.0, -3.0, 0.0, 3.0, 4.0], [0.0, 0.0, 0.5, 1.0, 1.0], [0.0, 0.0, 1.0 / 6.0, 0.0, 0.0]),
    ("hardswish", {}, [-4.0, -3.0, 0.0, 3.0, 4.0], [0.0, 0.0, 0.0, 3.0, 4.0], [0.0, 0.0, 0.5, 1.0, 1.0]),
]


@pytest.mark.parametrize(("name", "options", "x", "value", "slope"), TABLE)
def test_values_and_slopes(
    name: str, options: dict[str, Any], x: list[float], value: list[float], slope: list[float]
) -> None:
    check(name, {"x": x, **options}, value=value, x=slope)
    check(name, {"x": x, **options}, cotangent=[-2.0] * len(x), x=[-2.0 * s for s in slope])


def test_prelu_has_one_slope_or_one_for_each_channel() -> None:
    check(
        "prelu", {"x": [-2.0, 0.0, 3.0], "weight": [0.25]}, value=[-0.5, 0.0, 3.0], x=[0.25, 0.25, 1.0], weight=[-2.0]
    )
    check(
        "prelu",
        {"x": [[-2.0, -1.0], [4.0, -8.0]], "weight": [0.25, 0.5]},
        value=[[-0.5, -0.5], [4.0, -4.0]],
        x=[[0.25, 0.5], [1.0, 0.5]],
        weight=[-2.0, -9.0],
    )
    check("prelu", {"x": -2.0, "weight": [0.25]}, value=-0.5, x=0.25, weight=[-2.0])


@pytest.mark.parametrize("name", ["relu", "relu6", "hardtanh", "leaky_relu", "hardshrink", "softshrink"])
def test_nan_stays_nan_and_passes_the_cotangent_on(name: str) -> None:
    outputs = gives(name, {"x": [NAN]})
    assert math.isnan(outputs["value"][0])
    slope = 0.01 if name == "leaky_relu" else 1.0
    assert outputs["grad[x]"].tolist() == [slope]


def test_infinities_are_cut_or_kept() -> None:
    ends = {"x": [INF, -INF]}
    assert gives("relu", ends)["value"].tolist() == [INF, 0.0]
    assert gives("relu6", ends)["value"].tolist() == [6.0, 0.0]
    assert gives("hardtanh", ends)["value"].tolist() == [1.0, -1.0]
    assert gives("leaky_relu", ends)["value"].tolist() == [INF, -INF]
    assert gives("softshrink", ends)["value"].tolist() == [INF, -INF]
    assert gives("hardsigmoid", ends)["value"].tolist() == [1.0, 0.0]
