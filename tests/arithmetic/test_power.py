"""Powers at the edges: bases that are zero or negative, or may be, and exponents that are whole or not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, Dual, ball_precision, balls, rounding_model
from gradcheck.arithmetic.running_power import power

F64 = rounding_model("float64")
INF, NAN = math.inf, math.nan


def number(value: float, bound: float | None = None) -> Bounded:
    return Bounded(np.array([value]), None if bound is None else np.array([bound]), F64)


CERTAIN: dict[str, tuple[float, float, float]] = {
    "0 to a positive power": (0.0, 2.5, 0.0),
    "anything to 0": (7.0, 0.0, 1.0),
    "0 to a negative power": (0.0, -1.5, INF),
    "a negative number to a broken power": (-2.0, 0.5, NAN),
    "a negative number to a whole power": (-2.0, 3.0, -8.0),
    "infinity": (INF, 0.5, INF),
}


@pytest.mark.parametrize("name", CERTAIN)
def test_special_powers_of_exact_numbers_are_certain(name: str) -> None:
    base, exponent, value = CERTAIN[name]
    with np.errstate(all="ignore"):
        result = number(base) ** exponent
    assert np.array_equal(result.value, [value], equal_nan=True)
    if not math.isfinite(value):
        assert result.full_bound().tolist() == [0.0]


UNKNOWN: dict[str, tuple[Bounded, Any]] = {
    "a base of either sign": (number(1.0, 2.0), 0.5),
    "a base that may be 0": (number(1.0, 1.0), -1.0),
    "an uncertain exponent of a negative base": (number(-2.0), number(3.0, 0.5)),
    "an exponent of either sign of 0": (number(0.0), number(0.5, 0.5)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_nothing_is_said_where_the_errors_reach_a_pole(name: str) -> None:
    base, exponent = UNKNOWN[name]
    assert (base**exponent).full_bound().tolist() == [INF]


def test_a_whole_power_is_bounded_across_zero() -> None:
    result = number(0.5, 1.0) ** 3
    assert 1.5**3 - 0.5**3 <= result.full_bound()[0] <= 2.0 * 1.5**3


def test_the_spread_counts_base_and_exponent() -> None:
    base, exponent = number(2.0, 0.5), number(1.5, 0.25)
    corners = [x**y - 2.0**1.5 for x in (1.5, 2.5) for y in (1.25, 1.75)]
    assert max(map(abs, corners)) <= power(F64, base, exponent).full_bound()[0] <= 2.0 * max(map(abs, corners))


def test_balls_take_whole_powers_of_negative_numbers_and_zero() -> None:
    with ball_precision(100):
        assert [float(x.mid()) for x in (balls([-2.0, 0.0, 3.0]) ** 3).array] == [-8.0, 0.0, 27.0]
        assert float(balls(-2.0) ** -2.0) == 0.25
        assert float(balls(0.0) ** 2.5) == 0.0
        assert float(balls(NAN) ** 0.0) == 1.0


def test_the_tangent_of_the_power_0_is_0() -> None:
    """As PyTorch has it, at the base 0 too."""
    result = Dual(np.array([0.0, 2.0]), np.array([1.0, 1.0])) ** 0.0
    assert result.tangent.tolist() == [0.0, 0.0]


def test_a_negative_number_has_no_root_whose_exponent_is_certainly_no_whole_number() -> None:
    base = Bounded(np.array([-8.0, -8.0]), np.array([1e-3, 16.0]), F64)
    cube_root = power(F64, base, Bounded(np.float64(1.0 / 3.0), np.float64(1e-9), F64))
    assert np.isnan(cube_root.value).all()
    assert cube_root.full_bound().tolist() == [0.0, math.inf]  # the second may be positive
    whole = power(F64, base, Bounded(np.float64(3.0), np.float64(1e-9), F64))
    assert np.isinf(whole.full_bound()).all()
