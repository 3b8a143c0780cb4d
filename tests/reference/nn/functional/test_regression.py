"""Losses against a target of the same shape, in plain numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.reference.known import check, gives

X, TARGET = [1.0, 2.0, 4.0, 9.0], [1.0, 4.0, 0.0, 1.0]
#: differences 0, -2, 4, 8
PAIR: dict[str, Any] = {"x": X, "target": TARGET}


def test_mse() -> None:
    check("mse_loss", {**PAIR, "reduction": "none"}, value=[0.0, 4.0, 16.0, 64.0], x=[0.0, -4.0, 8.0, 16.0])
    check("mse_loss", {**PAIR, "reduction": "sum"}, value=84.0, target=[0.0, 4.0, -8.0, -16.0])
    check("mse_loss", PAIR, value=21.0, x=[0.0, -1.0, 2.0, 4.0], target=[0.0, 1.0, -2.0, -4.0])


def test_the_seeds_faulty_gradient_is_four_times_the_gradient_of_mse() -> None:
    """np.dot(2·x, x·w - y).mean() of the seeds: the dot product is a sum already, so the mean does nothing."""
    x, y, w = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 4.0, 6.0, 8.0]), 0.0
    faulty = np.dot(2 * x, x * w - y).mean()
    gradient = gives("mse_loss", {"x": x * w, "target": y})["grad[x]"]
    assert faulty == 4.0 * np.dot(gradient, x)


def test_weights_of_mse_and_l1_share_the_mean_among_them() -> None:
    weighted = {**PAIR, "weight": [1.0, 1.0, 4.0, 2.0]}
    check(
        "mse_loss",
        weighted,
        value=(4.0 + 64.0 + 128.0) / 8.0,
        x=[0.0, -0.5, 4.0, 4.0],
        weight=[-3.0625, -2.5625, -1.0625, 4.9375],
    )
    check("l1_loss", weighted, value=(2.0 + 16.0 + 16.0) / 8.0, x=[0.0, -0.125, 0.5, 0.25])
    check("l1_loss", {**weighted, "reduction": "sum"}, value=34.0, weight=[0.0, 2.0, 4.0, 8.0])


def test_weights_of_huber_do_not() -> None:
    """PyTorch's mean divides by the number of elements there."""
    weighted = {**PAIR, "weight": [1.0, 1.0, 4.0, 2.0], "delta": 4.0}
    check("huber_loss", weighted, value=(2.0 + 32.0 + 48.0) / 4.0, x=[0.0, -0.5, 4.0, 2.0], weight=[0.0, 0.5, 2.0, 6.0])


def test_l1_has_no_gradient_where_both_agree() -> None:
    check("l1_loss", PAIR, value=3.5, x=[0.0, -0.25, 0.25, 0.25])
    check("l1_loss", {"x": [math.nan], "target": [1.0]}, value=None, x=[0.0])


def test_smooth_l1_is_quadratic_below_beta() -> None:
    check(
        "smooth_l1_loss",
        {**PAIR, "beta": 4.0, "reduction": "none"},
        value=[0.0, 0.5, 2.0, 6.0],
        x=[0.0, -0.5, 1.0, 1.0],
    )
    check(
        "smooth_l1_loss",
        {**PAIR, "beta": 0.0, "reduction": "none"},
        value=[0.0, 2.0, 4.0, 8.0],
        x=[0.0, -1.0, 1.0, 1.0],
    )


def test_huber_is_quadratic_up_to_delta() -> None:
    check(
        "huber_loss", {**PAIR, "delta": 4.0, "reduction": "none"}, value=[0.0, 2.0, 8.0, 24.0], x=[0.0, -2.0, 4.0, 4.0]
    )
    check("huber_loss", {**PAIR, "delta": 1.0}, value=(1.5 + 3.5 + 7.5) / 4.0, x=[0.0, -0.25, 0.25, 0.25])


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_the_mean_of_nothing_is_nan_and_its_sum_zero(name: str) -> None:
    nothing = {"x": np.zeros(0), "target": np.zeros(0)}
    assert math.isnan(gives(name, {**nothing, "reduction": "mean"})["value"])
    assert gives(name, {**nothing, "reduction": "sum"})["value"] == 0.0
