"""Overflow, poles and special values: what is certain has to be matched, what may overflow accepts everything."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gradcheck.arithmetic import Bounded, Mask, rounding_model, stored
from gradcheck.verdict.compare import error_ratios

F64, F32 = rounding_model("float64"), rounding_model("float32")
INF, NAN = math.inf, math.nan


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    """The evaluation of references is quiet in the same way."""
    with np.errstate(all="ignore"):
        yield


def f32(*values: float, bound: Any = None) -> Bounded:
    return Bounded(np.array(values), None if bound is None else np.array(bound), F32)


def bounds(x: Bounded) -> list[float]:
    return x.full_bound().tolist()


def test_a_certain_infinity_has_to_be_matched() -> None:
    for x in (f32(INF) + 1.0, f32(INF) * f32(-2.0), f32(1.0) / f32(0.0), np.log(f32(0.0)), np.exp(f32(INF))):
        assert np.isinf(x.value).all()
        assert bounds(x) == [0.0]
        assert error_ratios(np.array([1e30]), x).tolist() == [INF]
        assert error_ratios(x.value, x).tolist() == [0.0]
        assert error_ratios(-x.value, x).tolist() == [INF]


def test_a_certain_nan_has_to_be_matched() -> None:
    for x in (f32(INF) - f32(INF), f32(0.0) * f32(INF), np.log(f32(-1.0)), np.sqrt(f32(-1.0)), f32(0.0) / f32(0.0)):
        assert np.isnan(x.value).all()
        assert bounds(x) == [0.0]
        assert error_ratios(np.array([NAN]), x).tolist() == [0.0]
        assert error_ratios(np.array([0.0]), x).tolist() == [INF]
    assert error_ratios(np.array([NAN]), f32(1.0) + 1.0).tolist() == [INF]


def test_what_may_overflow_accepts_everything_that_follows() -> None:
    large = f32(3e38)
    for x in (large + large, large * 2.0, large * large, np.exp(f32(89.0)), np.square(large), large / f32(0.25)):
        assert bounds(x) == [INF]
    assert bounds(large + large - large) == [INF]
    assert bounds(1.0 / (large + large)) == [INF]
    assert error_ratios(np.array([NAN]), large + large).tolist() == [0.0]


def test_an_overflow_of_float64_itself_is_no_certain_infinity() -> None:
    for x in (
        Bounded(np.array([1e308]), None, F64) * 1e10,
        Bounded(np.array([1e308]), None, F64) / 1e-10,
        np.exp(Bounded(np.array([710.0]), None, F64)),
        np.sum(Bounded(np.array([1e308, 1e308]), None, F64)),
    ):
        assert np.isinf(x.value).all()
        assert np.isinf(x.full_bound()).all()


def test_the_largest_number_may_be_rounded_away() -> None:
    form = F32.store
    x = Bounded(np.array([form.largest]), np.array([form.ulp(np.array(form.largest))]), F32)
    assert error_ratios(np.array([INF]), x).tolist() == [0.0]
    assert error_ratios(np.array([-INF]), x).tolist() == [INF]
    around_zero = Bounded(np.array([0.0]), np.array([2.0 * form.largest]), F32)
    assert error_ratios(np.array([-INF]), around_zero).tolist() == [0.0]


def test_errors_that_reach_a_pole_leave_nothing_certain() -> None:
    assert bounds(f32(1.0) / f32(0.25, bound=[0.5])) == [INF]
    assert bounds(np.log(f32(0.25, bound=[0.5]))) == [INF]
    assert bounds(np.sqrt(f32(0.25, bound=[0.5]))) == [INF]
    assert bounds(np.log1p(f32(-0.75, bound=[0.5]))) == [INF]
    assert bounds(np.sqrt(f32(0.25, bound=[0.25]))) < [INF]


def test_a_sum_of_squares_has_a_root_however_small_it_is() -> None:
    """The squares may all be lost, and each one's error, in the subject: at worst the root is that of the errors."""
    x, other = f32(1e-23, -3e-23), f32(1e-23, 1e-23)
    squares = np.sum(x * x)
    root = np.sqrt(stored(squares / 2 * 3.0 + 0.0))
    assert squares.value < squares.bound
    assert root.value + np.sqrt(1.5 * squares.bound) < root.value + root.bound < INF
    for kept in (np.square(x), x * x + squares, squares * squares, squares / squares, np.sqrt(squares), 2.0 * squares):
        assert kept.nonnegative
    third = squares**1.5
    assert third.nonnegative
    assert third.value + squares.bound**1.5 < third.value + third.bound < INF
    assert np.isinf(((squares - 0.0) ** 1.5).full_bound())
    for lost in (
        np.sum(x * other),
        x * x - other * other,
        -squares,
        squares * -2.0,
        x**3.0,
        squares + x,
        squares / x,
        x * 2.0,
    ):
        assert not lost.nonnegative
    assert np.isinf(np.sqrt(squares - 0.0).full_bound())


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("grade", ["agrees", "coarse"])
def test_a_number_that_is_not_below_eps_has_a_finite_reciprocal_root(dtype: str, grade: str) -> None:
    """1/√(v + 1/4) for v = 1 ± 2 and v ≥ 0 lies between 1/√3.25 and 2: not of v that may be negative."""
    model = rounding_model(dtype, grade=grade)
    variance = Bounded(np.array([1.0]), np.array([2.0]), model)
    inverse = 1.0 / np.sqrt(stored(variance.at_least_zero() + 0.25))
    farthest = 2.0 - 1.25**-0.5
    assert farthest <= inverse.bound[0] < farthest + 24.0 * model.work.roundoff + 4.0 * model.store.roundoff
    assert np.isinf((1.0 / np.sqrt(variance.at_least_zero())).full_bound())
    assert np.isinf((1.0 / np.sqrt(variance.at_least_zero(False) + 0.25)).full_bound())
    assert np.isinf((1.0 / np.sqrt(variance.at_least_zero() - 0.25)).full_bound())
    assert np.isinf((1.0 / np.sqrt(Bounded(1.0, INF, model).at_least_zero() + 0.25)).full_bound())


def test_a_root_is_off_by_half_of_what_is_under_it() -> None:
    """√(4 ± 1) is 2 up to 2 - √3, and √(4 ± 1/64) up to 1/256 or so."""
    for delta in (1.0, 0.015625):
        root = np.sqrt(f32(4.0, bound=[delta]))
        farthest = 2.0 - math.sqrt(4.0 - delta)
        assert farthest <= root.bound[0] < farthest + 4.0 * 2.0**-24


def test_infinite_bounds_stay_infinite() -> None:
    unknown = f32(1.0, bound=[INF])
    one = f32(1.0)
    for x in (unknown + one, unknown * one, one / unknown, np.sqrt(unknown), np.exp(unknown), np.tanh(unknown)):
        assert bounds(x) == [INF]
    for x in (np.maximum(unknown, one), -unknown, np.where(np.array([True]), unknown, one), stored(unknown)):
        assert bounds(x) == [INF]
    assert np.isinf(np.sum(unknown).full_bound())
    assert np.isinf(np.max(unknown).full_bound())
    assert isinstance(unknown < 5.0, Mask)
    assert isinstance(np.isnan(unknown), Mask)


def test_infinity_divides_to_zero() -> None:
    zero = f32(1.0) / f32(INF)
    assert zero.value.tolist() == [0.0]
    assert bounds(zero)[0] <= F32.eta


def test_sums_of_special_values() -> None:
    table = Bounded(np.array([[1.0, INF], [INF, -INF], [1.0, NAN], [3e38, 3e38]]), None, F32)
    total = np.sum(table, axis=1)
    assert np.array_equal(total.value, [INF, NAN, NAN, 6e38], equal_nan=True)
    assert bounds(total) == [0.0, 0.0, 0.0, INF]


def test_contractions_of_special_values() -> None:
    matrix, vector = Bounded(np.array([[1.0, INF], [1.0, NAN], [1.0, 3e38]]), None, F32), f32(1.0, 2.0).reshape(2, 1)
    product = matrix @ vector
    assert np.array_equal(product.value[:2, 0], [INF, NAN], equal_nan=True)
    assert bounds(product)[0] == [0.0]
    assert bounds(product)[1] == [0.0]
    assert bounds(product)[2] == [INF]
    same = np.einsum("ij,jk->ik", matrix, vector)
    assert np.array_equal(same.full_bound(), product.full_bound())
