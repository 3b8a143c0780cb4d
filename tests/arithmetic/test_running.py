"""Running error: plain numbers for each rule, and what overflow, poles and special values do to a bound."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from gradcheck.arithmetic import (
    Bounded,
    Mask,
    apart,
    as_dtype,
    as_dtype_of,
    expit_slope,
    fixed,
    number,
    pi,
    rounding_model,
    stored,
    sum_over_batch,
)
from gradcheck.arithmetic.functions import sharing
from gradcheck.arithmetic.model import UPWARD
from gradcheck.arithmetic.running import lift, lift_array
from gradcheck.arithmetic.ulps import FEW

F64, F32 = rounding_model("float64"), rounding_model("float32")
BF16, BF16_COARSE = rounding_model("bfloat16"), rounding_model("bfloat16", grade="coarse")
U32 = 2.0**-24
INF, NAN = math.inf, math.nan
E2, Y2 = math.exp(-2.0), 1.0 / (1.0 + math.exp(-2.0))


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    """Special values are the point here; the evaluation of references is quiet in the same way."""
    with np.errstate(all="ignore"):
        yield


def f32(*values: float, bound: Any = None) -> Bounded:
    return Bounded(np.array(values), None if bound is None else np.array(bound), F32)


def bounds(x: Bounded) -> list[float]:
    return x.full_bound().tolist()


def between(value: float, low: float) -> bool:
    """At least ``low``, and not above it by more than bounds are rounded up and float64's own rounding adds."""
    return low <= value <= low * (1.0 + 2.0**-13)


# One rounding each, half an ulp: 2^-24 of the power of two below the result, in float32.
ONE_ROUNDING: dict[str, tuple[Callable[..., Any], tuple[float, ...], float]] = {
    "3 + 4": (np.add, (3.0, 4.0), 4.0 * U32),
    "3 - 7": (np.subtract, (3.0, 7.0), 4.0 * U32),
    "3 · 5": (np.multiply, (3.0, 5.0), 8.0 * U32),
    "3 / 5": (np.true_divide, (3.0, 5.0), 0.5 * U32),
    "√9": (np.sqrt, (9.0,), 2.0 * U32),
    "3²": (np.square, (3.0,), 8.0 * U32),
    # One ulp: u between 1/2 and 1; tanh is stated to err by two.
    "exp 1": (np.exp, (1.0,), 4.0 * U32),
    "cos 1": (np.cos, (1.0,), U32),
    "sin 1": (np.sin, (1.0,), U32),
    "2^1.5": (np.power, (2.0, 1.5), 4.0 * U32),
    "expm1 1": (np.expm1, (1.0,), 2.0 * U32),
    "log 2": (np.log, (2.0,), U32),
    "log1p 1": (np.log1p, (1.0,), U32),
    "tanh 1": (np.tanh, (1.0,), 2.0 * U32),
    "tanh 0.1": (np.tanh, (0.1,), 4.0 * 2.0**-4 * U32),
    "tanh 20, which may be rounded to 1": (np.tanh, (20.0,), 4.0 * U32),
    "erf 1": (special.erf, (1.0,), U32),
    # 1/(1 + e) with e = 1: half of exp's 2u, the sum's and the quotient's u.
    "expit 0": (special.expit, (0.0,), 0.5 * 3.0 * U32),
    # Half ulps of y and of 1 + e, and an ulp of e = 0.135….
    "expit 2": (special.expit, (2.0,), (0.5 + Y2 / (1.0 + E2) + Y2 * Y2 * 2.0 * 0.125) * U32),
    # Half ulps of y and of 1 + e, e = 7.39; the ulp of 1/e, which the other way has for x < 0, is the larger one.
    "expit -2": (special.expit, (-2.0,), (2.0**-4 + (1 - Y2) * (Y2 * 2.0 * 0.125 / E2 + 8.0 / (1.0 + 1.0 / E2))) * U32),
}


@pytest.mark.parametrize("name", ONE_ROUNDING)
def test_one_operation_on_exact_numbers_is_one_rounding(name: str) -> None:
    function, operands, rounding = ONE_ROUNDING[name]
    result = function(*(f32(operand) for operand in operands))
    assert result.value.tolist() == [function(*operands)]
    assert between(bounds(result)[0], rounding)


def test_exp_and_cos_of_zero_are_exact_and_of_about_zero_are_not() -> None:
    for function in (np.exp, np.cos):
        assert bounds(function(f32(0.0, 1.0, -0.0)))[::2] == [0.0, 0.0]
        assert bounds(function(f32(0.0, 1.0)))[1] > 0.0
        assert between(bounds(function(f32(0.0, bound=[0.0])))[0], 0.0)
        assert bounds(function(f32(0.0, bound=[U32])))[0] >= 2.0 * U32
    assert between(bounds(np.expm1(f32(0.0)))[0], F32.eta)


def log_sum_exp(terms: Any, shift: Any) -> Any:
    return np.log(np.sum(np.exp(terms - shift), axis=1)) + shift[:, 0]


@pytest.mark.parametrize("spread", [1e-6, 1e-3])
def test_a_shift_on_which_nothing_depends_has_no_error(spread: float) -> None:
    """float32 computes Σ exp of terms with errors, shifted by another number than the reference has. Where the shift
    is not added again (a fault) it stands in the result."""
    rng = np.random.default_rng(1)
    terms = rng.standard_normal((200, 3))
    errors = np.full(terms.shape, spread)
    number_of = Bounded(terms, errors, F32)
    peak = np.max(number_of, axis=1, keepdims=True)
    bound = log_sum_exp(number_of, fixed(peak)).full_bound()
    assert np.all(bound < log_sum_exp(number_of, peak).full_bound() * 0.5)
    worst, forgotten = 0.0, 0.0
    exact = log_sum_exp(terms, terms.max(axis=1, keepdims=True))
    for _ in range(50):
        subject = np.float32(terms + rng.uniform(-spread, spread, terms.shape) * 0.99)
        shift = np.float32(peak.value + rng.choice([-1.0, 1.0], (200, 1)) * spread)
        got = log_sum_exp(subject, shift)
        worst = max(worst, float(np.max(np.abs(got - exact) / bound)))
        forgotten = max(forgotten, float(np.max(np.abs(got - shift[:, 0] + peak.value[:, 0] - exact) / bound)))
    assert 0.5 < worst <= 1.0 < forgotten


def test_an_error_that_stands_apart_is_counted_once() -> None:
    """5/x - 4/x for x = 2 ± 1/16 is 1/2 up to 1/64 or so; where it is taken for two errors, up to 9/64."""
    x = f32(2.0, bound=[0.0625])
    known, common = apart(x)
    once, twice = (5.0 / known - 4.0 / known) * common, 5.0 / x - 4.0 / x
    assert between(bounds(once)[0], 0.5 / 31.0) or bounds(once)[0] - 0.5 / 31.0 < 16.0 * U32
    assert bounds(twice)[0] > 4.5 / 31.0
    for subject in (2.0625, 1.9375):
        assert (
            abs(1.0 / subject - 0.5)
            <= bounds(once)[0]
            < abs(1.0 / (subject + math.copysign(0.01, subject - 2.0)) - 0.5)
        )
    three = f32(3.0)
    assert between(bounds(three * common)[0], 3.0 * bounds(common)[0])  # not rounded
    nothing = f32(3.0)
    assert apart(nothing) == (nothing, 1.0)
    assert apart(2.0) == (2.0, 1.0)


@pytest.mark.parametrize("first", [1.9, 3.0, 0.25])
def test_what_divides_once_and_twice_has_one_error(first: float) -> None:
    """a/x - b/x² for x = 2 ± 1/16 and b = 2: of an a that is about twice b/x hardly anything is left of the error."""
    x, a, b = f32(2.0, bound=[0.0625]), f32(first), f32(2.0)
    known, common = apart(x)
    shared = sharing(a / known, -(b / known) / known, common)
    exact = first / 2.0 - 0.5
    worst = max(abs(first / subject - 2.0 / subject**2 - exact) for subject in np.linspace(1.9375, 2.0625, 50))
    assert worst <= bounds(shared)[0] <= 1.2 * worst + 2.0 / 31.0**2
    apart_twice = (a / known + -(b / known) / known * common) * common
    assert bounds(shared)[0] <= bounds(apart_twice)[0] * (0.6 if first > 1.0 else 1.001)
    assert sharing(3.0, 4.0, 1.0) == 7.0
    assert bounds(sharing(f32(3.0), f32(4.0), apart(f32(1.0))[1])) == bounds(f32(3.0) + f32(4.0))


@pytest.mark.parametrize(("value", "bound"), [(0.0, 0.5), (1.0, 1.0), (INF, 0.0), (NAN, 0.0), (1.0, INF)])
def test_what_may_be_zero_or_is_not_finite_keeps_its_error(value: float, bound: float) -> None:
    known, common = apart(f32(value, bound=[bound]))
    assert bounds(known) == [bound]
    assert (common.value.tolist(), bounds(common)) == ([1.0], [0.0])


@pytest.mark.parametrize("spread", [0.0, 1e-6, 1e-3])
def test_the_slope_of_a_sigmoid_has_one_error_of_its_output(spread: float) -> None:
    """float32 takes a y that is off by up to ``spread``, both times the same; with two different ones (a fault) the
    bound is left, where y is about 1/2 even far."""
    rng = np.random.default_rng(3)
    y, g = np.float32(rng.uniform(0.4, 1.0, 300)).astype(float), np.float32(rng.standard_normal(300)).astype(float)
    stored_y = Bounded(y, np.full(300, spread), F32)
    bound = expit_slope(lift_array(g, F32), stored_y).full_bound()
    assert np.all(bound <= (lift_array(g, F32) * (1.0 - stored_y) * stored_y).full_bound() * (1.0 + 2.0**-12))
    worst, at_odds = 0.0, 0.0
    for _ in range(100):
        off = rng.uniform(-spread, spread, 300) * 0.9
        near, other = np.float32(y + off), np.float32(y - off)
        right, wrong = np.float32(g) * (np.float32(1.0) - near) * near, np.float32(g) * (np.float32(1.0) - near) * other
        worst = max(worst, float(np.max(np.abs(right - g * (1.0 - y) * y) / bound)))
        at_odds = max(at_odds, float(np.max(np.abs(wrong - g * (1.0 - y) * y) / bound)))
    assert 0.5 < worst <= 1.0
    assert at_odds > 1.0 or not spread


def test_the_slope_of_a_sigmoid_counts_each_rounding_once() -> None:
    """3·(1 - 1/4)·1/4: half an ulp of 3/4, times 3/4, of 9/4, times 1/4, and of 9/16; of 3/4 none if y is 3/4."""
    slope = expit_slope(lift_array(np.array([3.0, 3.0]), F32), lift_array(np.array([0.25, 0.75]), F32))
    assert between(bounds(slope)[0], (0.5 * 0.75 + 2.0 * 0.25 + 0.5) * U32)
    assert between(bounds(slope)[1], (0.5 * 0.75 + 0.5) * U32)


@pytest.mark.parametrize("g", [INF, NAN, 3e38])
@pytest.mark.parametrize("y", [0.0, 0.5, 1.0, NAN])
def test_the_slope_of_a_sigmoid_is_the_product_where_numbers_are_not_ordinary(g: float, y: float) -> None:
    of_g, of_y = lift_array(np.array([g]), F32), lift_array(np.array([y]), F32)
    slope, product = expit_slope(of_g, of_y), of_g * (1.0 - of_y) * of_y
    assert np.array_equal(slope.value, product.value, equal_nan=True)
    assert bounds(slope) == bounds(product)


def test_few_products_are_rounded_and_added_by_half_ulps() -> None:
    """3 + 8: half an ulp of 3, 8 and 11, in units of u."""
    for product in (f32(1.0, 2.0).reshape(1, 2) @ f32(3.0, 4.0).reshape(2, 1),
                    np.einsum("ij,kj->ik", f32(1.0, 2.0).reshape(1, 2), f32(3.0, 4.0).reshape(1, 2))):  # fmt: skip
        assert product.value.tolist() == [[11.0]]
        assert between(product.full_bound()[0, 0], (2.0 + 8.0 + 8.0) * U32)
    many = f32(*[1.0] * 600).reshape(1, 600) @ f32(*[1.0] * 600).reshape(600, 1)
    assert between(many.full_bound()[0, 0], 600.0 * F32.product_factor(600))
    narrow = Bounded(np.ones((1, 2)), None, BF16_COARSE) @ Bounded(np.ones((2, 1)), None, BF16_COARSE)
    assert between(narrow.full_bound()[0, 0], 2.0 * BF16_COARSE.product_factor(2))


def test_errors_of_operands_add_up() -> None:
    a, b = f32(3.0, bound=[0.25]), f32(5.0, bound=[0.5])
    assert between(bounds(a + b)[0], 0.75 + 8.0 * U32)
    assert between(bounds(a - b)[0], 0.75 + 2.0 * U32)
    assert between(bounds(a * b)[0], 3.0 * 0.5 + 5.0 * 0.25 + 0.125 + 16.0 * U32)  # 17.875 is the farthest
    # (3 ± 1/4)/(5 ± 1/2): the farthest is 3.25/4.5.
    assert between(bounds(a / b)[0], 3.25 / 4.5 - 0.6 + 0.5 * U32)
    assert between(bounds(f32(4.0, bound=[1.0]) * 1.0)[0], 1.0)


def test_the_error_of_a_divisor_is_not_lost_to_underflow() -> None:
    """1e-315 / (1e-11 ± 1e-20) is off by a part in 1e9, although 1e-304·1e-20 is zero."""
    quotient = lift_array(np.array([1e-315]), F64) / Bounded(np.array([1e-11]), np.array([1e-20]), F64)
    assert between(bounds(quotient)[0], 1e-315 / 1e-11 * 1e-9)


def test_functions_enlarge_errors_by_their_steepest_slope() -> None:
    wide = f32(2.0, bound=[1.0])
    assert bounds(np.exp(wide))[0] >= math.exp(3.0) - math.exp(2.0)
    assert bounds(np.log(wide))[0] >= math.log(2.0) - math.log(1.0)
    assert bounds(np.sqrt(wide))[0] >= math.sqrt(2.0) - 1.0
    assert bounds(np.tanh(wide))[0] >= math.tanh(2.0) - math.tanh(1.0)
    assert bounds(np.cos(wide))[0] >= math.cos(1.0) - math.cos(2.0)
    assert bounds(np.sin(wide))[0] >= math.sin(2.0) - math.sin(3.0)
    assert bounds(wide**2.5)[0] >= 3.0**2.5 - 2.0**2.5
    assert bounds(wide**-1.5)[0] >= 1.0 - 2.0**-1.5
    assert bounds(f32(2.0) ** wide)[0] >= 8.0 - 4.0
    assert bounds(special.expit(f32(0.5, bound=[1.0])))[0] >= special.expit(0.5) - special.expit(-0.5)
    assert bounds(special.erf(f32(0.0, bound=[1.0])))[0] >= math.erf(1.0)


@pytest.mark.parametrize("factor", [2.0, 0.5, -4.0, 1.0])
def test_a_power_of_two_costs_no_rounding(factor: float) -> None:
    assert bounds(f32(3.0) * factor)[0] <= F32.eta
    assert bounds(f32(3.0) / factor)[0] <= F32.eta
    assert bounds(f32(3.0, bound=[0.5]) * factor)[0] - 0.5 * abs(factor) <= F32.eta


def test_the_root_of_a_power_of_four_is_exact_and_no_other() -> None:
    model = rounding_model("float32")
    for width, exact in ((4.0, True), (16.0, True), (0.25, True), (8.0, False), (9.0, False), (4.0 + 2.0**-20, False)):
        scale = 1.0 / np.sqrt(lift(width, model))
        assert (scale.bound is None) == exact
        assert (np.sqrt(lift_array(np.array([width]), model)).bound > 0.0).all()


def test_one_over_an_exact_root_may_still_be_one_function_that_rounds() -> None:
    root = np.sqrt(lift(4.0, rounding_model("float32", "cuda")))
    assert (1.0 / root).bound > 0.0
    assert (3.0 / root).bound is None


def test_what_moves_or_turns_a_number_keeps_its_error() -> None:
    x = f32(-3.0, 4.0, bound=[0.5, 0.25])
    for moved in (np.negative(x), np.positive(x), np.absolute(x)):
        assert bounds(moved) == [0.5, 0.25]
    assert bounds(np.flip(x, axis=0)) == [0.25, 0.5]
    assert bounds(np.sign(x)) == [0.0, 0.0]
    assert bounds(np.sign(f32(0.25, bound=[0.5]))) == [2.0]


OPERATORS = {
    "+": (lambda a, b: a + b, np.add),
    "-": (lambda a, b: a - b, np.subtract),
    "*": (lambda a, b: a * b, np.multiply),
    "/": (lambda a, b: a / b, np.true_divide),
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("model", [F64, F32, BF16, BF16_COARSE], ids=lambda m: f"{m.store.name}-{m.grade}")
def test_the_short_cut_of_operators_is_the_ufunc(name: str, model: Any) -> None:
    operator, ufunc = OPERATORS[name]
    x = Bounded(np.array([[3.0, -0.1], [INF, 0.0]]), np.full((2, 2), 0.01), model)
    others: list[Any] = [x[0], 0.1, 2, 0.0, np.array([7.0, -1.5]), np.float64(3.0), Bounded(np.array(1.5), None, model)]
    for other in others:
        for a, b in ((x, other), (other, x)):
            left, right = operator(a, b), ufunc(a, b)
            assert np.array_equal(left.value, right.value, equal_nan=True)
            assert np.array_equal(left.full_bound(), right.full_bound(), equal_nan=True)


def test_extrema_have_the_error_of_what_may_be_chosen() -> None:
    a, b = f32(1.0, 1.0, 1.0, bound=[0.125, 0.125, 0.125]), f32(2.0, 1.0625, 1.0, bound=[0.25, 0.25, 0.0])
    largest = np.maximum(a, b)
    assert largest.value.tolist() == [2.0, 1.0625, 1.0]
    assert all(between(got, low) for got, low in zip(bounds(largest), [0.25, 0.25, 0.125], strict=True))
    smallest = np.minimum(a, b)
    assert smallest.value.tolist() == [1.0, 1.0, 1.0]
    # min(1 ± 1/8, 1.0625 ± 1/4) may be as small as 0.8125.
    assert all(between(got, low) for got, low in zip(bounds(smallest), [0.125, 0.1875, 0.125], strict=True))
    # The third may be as large as 9, 7.5 above the one that is chosen.
    assert between(float(np.max(f32(1.0, 1.5, 0.0, bound=[0.75, 0.125, 9.0])).bound), 7.5)
    assert np.max(f32(1.0, 2.0)).bound is None


def test_comparisons_are_open_where_errors_overlap() -> None:
    a = f32(1.0, 1.0, 1.0, bound=[0.25, 0.25, 0.0])
    outcome = a < f32(1.125, 2.0, 1.0)
    assert isinstance(outcome, Mask)
    assert outcome.likely.tolist() == [True, True, False]
    assert outcome.undecided.tolist() == [True, False, False]
    assert (f32(1.0) < f32(2.0)).tolist() == [True]
    assert (f32(1.0) == 1.0).tolist() == [True]


def test_a_hyperparameter_is_rounded_where_the_format_does_not_hold_it() -> None:
    assert lift(0.5, F32).bound is None
    assert between(float(lift(0.1, F32).bound), 0.1 * U32)
    assert lift(0.1, F64).bound is None
    assert lift(np.arange(3), F32).bound is None
    assert lift(np.array([0.5, 0.1]), F32).full_bound()[0] == 0.0
    assert 0.0 < lift(np.array([0.5, 0.1]), F32).full_bound()[1] <= 0.1 * U32
    assert lift_array(np.array([1.0]), F32).bound is None
    assert between(float(pi(f32(1.0)).bound), math.pi * U32)
    assert number(2.0, f32(1.0)).bound is None


def test_storing_rounds_once_more_where_the_format_is_narrower() -> None:
    x = Bounded(np.full(FEW + 1, 3.0), np.full(FEW + 1, 0.5), BF16)
    assert between(bounds(stored(x))[0], 0.5 + 3.5 * 2.0**-8)
    few = Bounded(np.array([3.0, 3.0]), np.array([0.5, 2.0**-10]), BF16)
    assert between(bounds(stored(few))[0], 0.5 + 3.5 * 2.0**-8)
    assert bounds(stored(few))[1] == 2.0**-10
    assert stored(f32(3.0)).bound is None
    assert bounds(stored(Bounded(np.array([1e38]), None, rounding_model("float16")))) == [INF]


def test_conversion_to_another_dtype_rounds_where_that_is_narrower() -> None:
    wide = as_dtype(Bounded(np.array([3.0]), None, BF16), "float32")
    assert (wide.model.store.name, wide.bound) == ("float32", None)
    third = as_dtype(Bounded(np.array([3.0 + 2.0**-12]), None, rounding_model("float32")), "bfloat16")
    assert between(bounds(third)[0], (3.0 + 2.0**-12) * 2.0**-8)
    narrow = as_dtype_of(wide, Bounded(np.array([1.0]), None, BF16))
    assert narrow.model.store.name == "bfloat16"
    assert bounds(narrow) == [0.0]
    assert as_dtype(wide, None) is wide


def test_a_sum_over_the_batch_knows_the_other_blocks() -> None:
    x = f32(*([1.0] * 8))
    whole = x.model.in_blocks(4)
    part = sum_over_batch(Bounded(x.value, None, whole), 0)
    assert between(float(part.bound), 8.0 * F32.sum_factor(32))
    assert between(float(np.sum(x).bound), U32 * (2 + 2 + 4 + 4 + 4 + 4 + 8))  # half ulps of the partial sums 2 to 8


def test_bounds_are_rounded_up() -> None:
    """A rounding that enters a bound is never less than that of the format, exactly."""
    assert F32.unit > 2.0**-24 + 2.0**-53
    assert F64.unit > 2.0**-52
    assert UPWARD > 1.0


def test_in_16_bits_a_rounding_acts_on_what_the_subject_has() -> None:
    """0 ± 1/4 times 2 ± 0: the subject may have 1/2, and rounds that."""
    x = Bounded(np.array([0.0]), np.array([0.25]), BF16_COARSE)
    assert between(bounds(x * Bounded(np.array([3.0]), None, BF16_COARSE))[0], 0.75 * (1.0 + 2.0**-8))
    assert bounds(np.sum(Bounded(np.zeros(3), np.full(3, 0.25), BF16_COARSE), axis=0, keepdims=True))[0] > 0.75 * (
        1.0 + 2.0 * 2.0**-8
    )
