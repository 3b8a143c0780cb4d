"""Convolution layers by hand, and what a padding mode must be."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck.reference.registry import reference_named
from tests.reference.known import check, gives

X, WEIGHT = [[[1.0, 2.0, 4.0]]], [[[1.0, 10.0, 100.0]]]


@pytest.mark.parametrize(
    ("padding_mode", "value", "gradient"),
    [
        ("zeros", [210.0, 421.0, 42.0], [11.0, 111.0, 110.0]),
        ("reflect", [212.0, 421.0, 242.0], [11.0, 212.0, 110.0]),
        ("replicate", [211.0, 421.0, 442.0], [12.0, 111.0, 210.0]),
        ("circular", [214.0, 421.0, 142.0], [111.0, 111.0, 111.0]),
    ],
)
def test_what_stands_beyond_the_border(padding_mode: str, value: list[float], gradient: list[float]) -> None:
    arguments = {"x": X, "weight": WEIGHT, "padding": 1, "padding_mode": padding_mode}
    check("nn.Conv1d", arguments, value=[[value]], x=[[gradient]])


def test_same_pads_the_odd_element_behind() -> None:
    arguments = {"x": X, "weight": [[[1.0, 10.0]]], "padding": "same", "padding_mode": "circular"}
    check("nn.Conv1d", arguments, value=[[[21.0, 42.0, 14.0]]])


@pytest.mark.parametrize("padding_mode", ["reflect", "replicate", "circular"])
def test_a_layer_is_the_function_of_the_padded_image(padding_mode: str) -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.integers(-9, 9, (2, 3, 5, 4)) * 1.0, rng.integers(-9, 9, (2, 3, 2, 3)) * 1.0
    padded, _ = reference_named("nn.functional.pad").function(x, pad=(1, 1, 2, 2), mode=padding_mode)
    layer = gives("nn.Conv2d", {"x": x, "weight": weight, "padding": (2, 1), "padding_mode": padding_mode})
    function = gives("conv2d", {"x": padded, "weight": weight})
    assert np.array_equal(layer["value"], function["value"])
    assert np.array_equal(layer["grad[weight]"], function["grad[weight]"])
    assert layer["grad[x]"].sum() == function["grad[x]"].sum()
